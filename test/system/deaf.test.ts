import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as http from "node:http"
import * as net from "node:net"
import * as zmq from "zeromq"
import { makeRelayed } from "../support/links.ts"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, freeEndpoints, other, roles, root, run, serverArgs, startLine } from "../support/processes.ts"
import * as Reflector from "../support/reflector.ts"
import { graceMillis, kill, readyAsActive, readyAsPassive, requests, start, within } from "./hardenedPair.ts"

const heartbeatMillis = 400

/** Ten heartbeats, and what a busy machine adds, or a connection that is given some seconds to be made. */
const tenHeartbeats = (millis: number) => within(10 * millis + 4 * graceMillis, "paired")

const portOf = (endpoint: string) => Number(endpoint.split(":").at(-1))

/** Something that is no peer, at a peer's port. */
interface Squatter {
  /** Waits until a server has connected to it. */
  readonly connected: Effect.Effect<void>
  /** Lets go of the port. */
  readonly end: Effect.Effect<void>
}

const tcpSquatter = (
  endpoint: string,
  onConnection: (socket: net.Socket) => void,
  keepsConnections = false
): Effect.Effect<Squatter, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<net.Socket>()
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket.on("error", () => {}).resume())
      onConnection(socket)
    })
    const destroy = () => sockets.forEach((socket) => socket.destroy())
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(portOf(endpoint), "127.0.0.1"), "listening")),
      () => Effect.sync(() => (server.close(), destroy()))
    )
    return {
      connected: Effect.asVoid(Effect.repeat(Effect.sleep("5 millis"), { until: () => sockets.size > 0 })),
      end: Effect.sync(() => {
        server.close()
        if (!keepsConnections) {
          destroy()
        }
      })
    }
  })

/** A server of HTTP, which takes what libzmq sends for a bad request. */
const httpSquatter = (endpoint: string): Effect.Effect<Squatter, never, Scope.Scope> =>
  Effect.gen(function*() {
    let count = 0
    const server = http.createServer().on("connection", () => count++)
    const end = Effect.sync(() => (server.close(), server.closeAllConnections()))
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(portOf(endpoint), "127.0.0.1"), "listening")),
      () => end
    )
    return { connected: Effect.asVoid(Effect.repeat(Effect.sleep("5 millis"), { until: () => count > 0 })), end }
  })

/** A socket of ZeroMQ that is no publisher. */
const zmqSquatter =
  (open: () => zmq.Socket & { readonly bind: (endpoint: string) => Promise<void> }) =>
  (endpoint: string): Effect.Effect<Squatter, never, Scope.Scope> =>
    Effect.gen(function*() {
      let count = 0
      const squatter = yield* Effect.acquireRelease(
        Effect.sync(open),
        (squatter) => Effect.sync(() => squatter.close())
      )
      squatter.events.on("accept", () => count++)
      yield* Effect.promise(() => squatter.bind(endpoint))
      return {
        connected: Effect.asVoid(Effect.repeat(Effect.sleep("5 millis"), { until: () => count > 0 })),
        end: Effect.sync(() => squatter.close())
      }
    })

/** A greeting of ZMTP 3.1 with the mechanism NULL. */
const greeting = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from("NULL".padEnd(20, "\0")),
  Buffer.alloc(32)
])

const squatters: { readonly [what: string]: (endpoint: string) => Effect.Effect<Squatter, never, Scope.Scope> } = {
  "writes garbage": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write(Buffer.alloc(1000, "garbage "))),
  "writes garbage and closes": (endpoint) => tcpSquatter(endpoint, (socket) => socket.end(Buffer.alloc(1000, 0xff))),
  "writes a banner of SSH": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write("SSH-2.0-OpenSSH_9.6\r\n")),
  "writes a greeting of ZMTP and then garbage": (endpoint) =>
    tcpSquatter(endpoint, (socket) => socket.write(Buffer.concat([greeting, Buffer.alloc(1000, 0xff)]))),
  "writes a greeting of ZMTP and then nothing": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write(greeting)),
  "accepts and closes": (endpoint) => tcpSquatter(endpoint, (socket) => socket.end()),
  "accepts and resets": (endpoint) => tcpSquatter(endpoint, (socket) => socket.resetAndDestroy()),
  "accepts and is silent": (endpoint) => tcpSquatter(endpoint, () => {}),
  "is silent, and keeps its connections when the peer starts": (endpoint) => tcpSquatter(endpoint, () => {}, true),
  "keeps its connections after garbage when the peer starts": (endpoint) =>
    tcpSquatter(endpoint, (socket) => socket.write(Buffer.alloc(1000, "garbage ")), true),
  "is a server of HTTP": httpSquatter,
  "is a REP": zmqSquatter(() => new zmq.Reply({ linger: 0 })),
  "is a PULL": zmqSquatter(() => new zmq.Pull({ linger: 0 })),
  "is an XPUB with keys": zmqSquatter(() =>
    new zmq.XPublisher({ linger: 0, curveServer: true, curveSecretKey: zmq.curveKeyPair().secretKey })
  )
}

const ready: { readonly [R in Role]: RegExp } = { primary: readyAsActive, backup: readyAsPassive }

const paired = (pair: { readonly [R in Role]: Process }) =>
  Effect.all(roles.map((role) => pair[role].waitForLine(ready[role])), { discard: true })

describe("F2 no connection is lost for good", () => {
  for (const role of roles) {
    for (const [what, squat] of Object.entries(squatters)) {
      it.scopedLive(`F2 what answers at the port of the peer of a ${role} ${what}; then the peer starts: paired`, () =>
        Effect.gen(function*() {
          const at = yield* freeEndpoints
          const squatter = yield* squat(at[other(role)].state)
          const server = yield* start(role, at, heartbeatMillis)
          yield* squatter.connected
          yield* Effect.sleep(5 * heartbeatMillis)
          yield* squatter.end
          const peer = yield* start(other(role), at, heartbeatMillis)
          yield* tenHeartbeats(heartbeatMillis)(
            paired(role === "primary" ? { primary: server, backup: peer } : { primary: peer, backup: server })
          )
        }))
    }
  }

  it.scopedLive("F2 something else answers at the port of an active server that was killed: its peer serves, then pairs", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* start("backup", at, heartbeatMillis)
      const primary = yield* start("primary", at, heartbeatMillis)
      yield* paired({ primary, backup })
      yield* kill(primary)
      const squatter = yield* squatters["writes garbage"]!(at.primary.state)
      const replies = yield* requests(at.backup.frontend)
      yield* within(10 * heartbeatMillis + graceMillis, "an answer of the backup")(replies.find(() => true))
      yield* squatter.connected
      yield* Effect.sleep(5 * heartbeatMillis)
      yield* squatter.end
      const again = yield* start("primary", at, heartbeatMillis)
      yield* tenHeartbeats(heartbeatMillis)(again.waitForLine(readyAsPassive))
    }))
})

/** A namespace in which the system gives out so few ports that a client soon gets the one that it connects to. */
const fewPorts = { first: 40_000, last: 40_031, peer: 40_016 }

const unshare = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]

const setUp = `ip link set lo up && echo "${fewPorts.first} ${fewPorts.last}" > /proc/sys/net/ipv4/ip_local_port_range`

const canUnshare = process.platform === "linux" && spawnSync(unshare[0]!, [...unshare.slice(1), setUp]).status === 0

/** The command before another one that runs it in a network namespace of its own. */
const namespace = Effect.gen(function*() {
  const holder = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(unshare[0]!, [...unshare.slice(1), `${setUp} && echo && exec cat`], { stdio: ["pipe", "pipe", "ignore"] })
    ),
    (holder) => Effect.sync(() => holder.kill("SIGKILL"))
  )
  yield* Effect.promise(() => once(holder.stdout, "data"))
  return ["nsenter", `--target=${holder.pid}`, "--user", "--net"] as const
})

/** Whether a connection of a port to itself is there. */
const isConnectedToItself = ([enter, ...args]: ReadonlyArray<string>, port: number): boolean => {
  const { stdout } = spawnSync(enter!, [...args, "cat", "/proc/net/tcp"], { encoding: "utf8" })
  const end = `0100007F:${port.toString(16).toUpperCase()}`
  return stdout.includes(`${end} ${end} 01`)
}

describe("F2 a connection to itself", () => {
  it.scopedLive.skipIf(!canUnshare)(
    "F2 is refused: the peer can bind its port, and is paired",
    () =>
      Effect.gen(function*() {
        const enter = yield* namespace
        const serve = (role: Role, frontend: number, state: number, peer: number) =>
          run(enter[0], [
            ...enter.slice(1),
            process.execPath,
            `${root}/dist/bstar.js`,
            role === "primary" ? "-p" : "-b",
            ...["--frontend", `tcp://127.0.0.1:${frontend}`, "--state", `tcp://127.0.0.1:${state}`],
            ...["--peer", `tcp://127.0.0.1:${peer}`, "--heartbeat", `${heartbeatMillis} millis`, "--policy", "hardened"]
          ])
        const backup = yield* serve("backup", 5002, 5004, fewPorts.peer)
        yield* backup.waitForLine(startLine.backup)
        yield* Effect.sync(() => isConnectedToItself(enter, fewPorts.peer)).pipe(
          Effect.repeat({ until: (yes) => yes, schedule: Schedule.spaced("20 millis") }),
          Effect.timeoutOption("5 seconds")
        )
        // The port may be taken for a moment, so the primary is started again as by a supervisor.
        const bound = Effect.gen(function*() {
          const primary = yield* serve("primary", 5001, fewPorts.peer, 5004)
          yield* primary.waitForLine(startLine.primary)
          return primary
        })
        const primary = yield* Effect.retry(bound, { schedule: Schedule.spaced("100 millis") }).pipe(
          within(20_000, "the primary has bound its port")
        )
        yield* tenHeartbeats(heartbeatMillis)(paired({ primary, backup }))
      })
  )
})

describe("F3 a round trip that is longer than a heartbeat", () => {
  const millis = 400
  const told = /round trip/i
  const { connect, listen } = Reflector.addresses
  const isAvailable = Reflector.isAvailable()
  const tellsOnce = ({ backup, primary }: { readonly [R in Role]: Process }) =>
    Effect.gen(function*() {
      yield* Effect.raceFirst(primary.waitForLine(told), backup.waitForLine(told))
      assert.isBelow([...primary.lines, ...backup.lines].filter((line) => told.test(line)).length, 5)
    })

  for (const share of [0.6, 1.2]) {
    it.scopedLive(`F3 one-way delay ${share} hb, through a relay: is slow, not deaf, and is told`, () =>
      Effect.gen(function*() {
        const { at, peers } = yield* makeRelayed(share * millis)
        const serve = (role: Role) =>
          Effect.tap(
            bstar([...serverArgs(role, at, `${millis} millis`, peers[role]), "--policy", "hardened"]),
            (server) => server.waitForLine(startLine[role])
          )
        const pair = { backup: yield* serve("backup"), primary: yield* serve("primary") }
        yield* paired(pair)
        yield* tellsOnce(pair)
      }))

    it.scopedLive.skipIf(!isAvailable)(
      `F3 one-way delay ${share} hb, where a connect takes a round trip: pairs, is told, and fails over`,
      () =>
        Effect.gen(function*() {
          const enter = yield* Reflector.make(share * millis)
          const bstarThere = (...args: ReadonlyArray<string>) =>
            run(enter[0], [...enter.slice(1), process.execPath, `${root}/dist/bstar.js`, ...args])
          const there: Endpoints = {
            primary: { frontend: `tcp://${listen}:5001`, state: `tcp://${listen}:5003` },
            backup: { frontend: `tcp://${listen}:5002`, state: `tcp://${listen}:5004` }
          }
          const serve = (role: Role) => {
            const peer = there[other(role)].state.replace(listen, connect)
            return Effect.tap(
              bstarThere(...serverArgs(role, there, `${millis} millis`, peer), "--policy", "hardened"),
              (server) => server.waitForLine(startLine[role])
            )
          }
          const pair = { backup: yield* serve("backup"), primary: yield* serve("primary") }
          yield* paired(pair)
          yield* tellsOnce(pair)
          yield* kill(pair.primary)
          yield* bstarThere("client", "--server", there.primary.frontend, "--server", there.backup.frontend)
          yield* pair.backup.waitForLine(readyAsActive)
        })
    )
  }
})
