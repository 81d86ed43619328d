import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as http from "node:http"
import * as net from "node:net"
import * as zmq from "zeromq"
import { makeRelayed } from "../support/links.ts"
import { kill, type Pair, readyAsActive, readyAsPassive, start, untilAnswered } from "../support/pair.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { freeEndpoints, other, roles, root, run, serverArgs, startLine } from "../support/processes.ts"
import * as Reflector from "../support/reflector.ts"
import { eventTimeout, steadyHeartbeatMillis as heartbeatMillis } from "../support/times.ts"

const portOf = (endpoint: string) => Number(endpoint.split(":").at(-1))

/** Another program at the state port of a peer. */
interface Squatter {
  /** Waits until a server has connected to it. */
  readonly connected: Effect.Effect<void>
  /** Closes the port. */
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

/** An HTTP server. It answers the greeting of libzmq with a bad request. */
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

/** A ZeroMQ socket that is not a publisher. */
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

/** The other program, and what it does. */
const squatters: { readonly [what: string]: (endpoint: string) => Effect.Effect<Squatter, never, Scope.Scope> } = {
  "writes garbage": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write(Buffer.alloc(1000, "garbage "))),
  "writes garbage and closes": (endpoint) => tcpSquatter(endpoint, (socket) => socket.end(Buffer.alloc(1000, 0xff))),
  "writes an SSH banner": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write("SSH-2.0-OpenSSH_9.6\r\n")),
  "writes a ZMTP greeting and then garbage": (endpoint) =>
    tcpSquatter(endpoint, (socket) => socket.write(Buffer.concat([greeting, Buffer.alloc(1000, 0xff)]))),
  "writes a ZMTP greeting and then nothing": (endpoint) => tcpSquatter(endpoint, (socket) => socket.write(greeting)),
  "accepts and closes": (endpoint) => tcpSquatter(endpoint, (socket) => socket.end()),
  "accepts and resets": (endpoint) => tcpSquatter(endpoint, (socket) => socket.resetAndDestroy()),
  "accepts and is silent": (endpoint) => tcpSquatter(endpoint, () => {}),
  "is silent, and keeps its connections when it closes the port": (endpoint) => tcpSquatter(endpoint, () => {}, true),
  "writes garbage, and keeps its connections when it closes the port": (endpoint) =>
    tcpSquatter(endpoint, (socket) => socket.write(Buffer.alloc(1000, "garbage ")), true),
  "is an HTTP server": httpSquatter,
  "is a REP socket": zmqSquatter(() => new zmq.Reply({ linger: 0 })),
  "is a PULL socket": zmqSquatter(() => new zmq.Pull({ linger: 0 })),
  "is an XPUB socket with keys": zmqSquatter(() =>
    new zmq.XPublisher({ linger: 0, curveServer: true, curveSecretKey: zmq.curveKeyPair().secretKey })
  )
}

const ready: { readonly [R in Role]: RegExp } = { primary: readyAsActive, backup: readyAsPassive }

/** Waits until the primary is active and the backup passive. */
const paired = (pair: Pair) => Effect.all(roles.map((role) => pair[role].waitForLine(ready[role])), { discard: true })

describe("F2 another program at the state port of a peer", () => {
  for (const role of roles) {
    for (const [what, squat] of Object.entries(squatters)) {
      it.scopedLive(`F2 the program ${what}, then the peer starts: the ${role} is paired`, () =>
        Effect.gen(function*() {
          const at = yield* freeEndpoints
          const squatter = yield* squat(at[other(role)].state)
          const server = yield* start(role, at, heartbeatMillis)
          yield* squatter.connected
          yield* Effect.sleep(5 * heartbeatMillis)
          yield* squatter.end
          const peer = yield* start(other(role), at, heartbeatMillis)
          yield* paired(role === "primary" ? { primary: server, backup: peer } : { primary: peer, backup: server })
        }))
    }
  }

  it.scopedLive("F2 the program takes the port of an active server that was killed: the backup takes over, then is paired", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* start("backup", at, heartbeatMillis)
      const primary = yield* start("primary", at, heartbeatMillis)
      yield* paired({ primary, backup })
      yield* kill(primary)
      const squatter = yield* squatters["writes garbage"]!(at.primary.state)
      yield* untilAnswered(at.backup.frontend)
      yield* squatter.connected
      yield* Effect.sleep(5 * heartbeatMillis)
      yield* squatter.end
      const again = yield* start("primary", at, heartbeatMillis)
      yield* again.waitForLine(readyAsPassive)
    }))
})

/** So few ephemeral ports that a client soon gets the port that it connects to. */
const fewPorts = { first: 40_000, last: 40_031, peer: 40_016 }

const unshare = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]

const setUp = `ip link set lo up && echo "${fewPorts.first} ${fewPorts.last}" > /proc/sys/net/ipv4/ip_local_port_range`

const canUnshare = process.platform === "linux" && spawnSync(unshare[0]!, [...unshare.slice(1), setUp]).status === 0

/** The prefix of a command that runs in a network namespace of its own. */
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

/** Whether a port is connected to itself. */
const isConnectedToItself = ([enter, ...args]: ReadonlyArray<string>, port: number): boolean => {
  const { stdout } = spawnSync(enter!, [...args, "cat", "/proc/net/tcp"], { encoding: "utf8" })
  const end = `0100007F:${port.toString(16).toUpperCase()}`
  return stdout.includes(`${end} ${end} 01`)
}

describe("F2 a port that is connected to itself", () => {
  it.scopedLive.skipIf(!canUnshare)(
    "F2 the server closes the connection: the peer can bind its port, and is paired",
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
        // The port may be in use for a moment: the primary is restarted, as by a supervisor.
        const bound = Effect.gen(function*() {
          const primary = yield* serve("primary", 5001, fewPorts.peer, 5004)
          yield* primary.waitForLine(startLine.primary)
          return primary
        })
        const primary = yield* Effect.retry(bound, { schedule: Schedule.spaced("100 millis") }).pipe(
          Effect.timeout(eventTimeout)
        )
        yield* paired({ primary, backup })
      })
  )
})

describe("F3 a round trip longer than a heartbeat", () => {
  const warning = /round trip/i
  const { connect, listen } = Reflector.addresses
  const isAvailable = Reflector.isAvailable()
  const warnsOnce = ({ backup, primary }: Pair) =>
    Effect.gen(function*() {
      yield* Effect.raceFirst(primary.waitForLine(warning), backup.waitForLine(warning))
      assert.isBelow([...primary.lines, ...backup.lines].filter((line) => warning.test(line)).length, 5)
    })

  for (const share of [0.6, 1.2]) {
    it.scopedLive(`F3 one-way delay of ${share} heartbeats, through a relay: the pair is paired, and warns`, () =>
      Effect.gen(function*() {
        const { at, peers } = yield* makeRelayed(share * heartbeatMillis)
        const serve = (role: Role) => start(role, at, heartbeatMillis, { peer: peers[role] })
        const pair = { backup: yield* serve("backup"), primary: yield* serve("primary") }
        yield* paired(pair)
        yield* warnsOnce(pair)
      }))

    it.scopedLive.skipIf(!isAvailable)(
      `F3 one-way delay of ${share} heartbeats, where connecting takes a round trip: the pair is paired, warns, and fails over`,
      () =>
        Effect.gen(function*() {
          const enter = yield* Reflector.make(share * heartbeatMillis)
          const bstarThere = (...args: ReadonlyArray<string>) =>
            run(enter[0], [...enter.slice(1), process.execPath, `${root}/dist/bstar.js`, ...args])
          const there: Endpoints = {
            primary: { frontend: `tcp://${listen}:5001`, state: `tcp://${listen}:5003` },
            backup: { frontend: `tcp://${listen}:5002`, state: `tcp://${listen}:5004` }
          }
          const serve = (role: Role) => {
            const peer = there[other(role)].state.replace(listen, connect)
            return Effect.tap(
              bstarThere(...serverArgs(role, there, `${heartbeatMillis} millis`, peer), "--policy", "hardened"),
              (server) => server.waitForLine(startLine[role])
            )
          }
          const pair = { backup: yield* serve("backup"), primary: yield* serve("primary") }
          yield* paired(pair)
          yield* warnsOnce(pair)
          yield* kill(pair.primary)
          yield* bstarThere("client", "--server", there.primary.frontend, "--server", there.backup.frontend)
          yield* pair.backup.waitForLine(readyAsActive)
        })
    )
  }
})
