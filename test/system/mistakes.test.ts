/** Common mistakes, as a user makes them: one line of the log names the cause and the remedy. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as path from "node:path"
import * as zmq from "zeromq"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { makeKeyFiles } from "../support/keys.ts"
import { readyAsActive, readyAsPassive, start, startPair } from "../support/pair.ts"
import type { Endpoints, Process } from "../support/processes.ts"
import {
  addressOf,
  bstar,
  foreignPeer,
  freeAddresses,
  freeEndpoints,
  other,
  roles,
  send,
  socket
} from "../support/processes.ts"
import { quiet } from "../support/sockets.ts"
import { safeHeartbeatMillis, steadyHeartbeatMillis } from "../support/times.ts"

const env = { BSTAR_HTTP_TOKEN: "the-token-of-this-test" }

const configuration = 78

/** What a command writes and how it ends. */
const ended = (args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const command = yield* bstar(args, env)
    const { code } = yield* command.exit
    return { code, stdout: command.stdout(), stderr: command.stderr() }
  })

const swapped = ({ backup, primary }: Endpoints): Endpoints => ({ primary: backup, backup: primary })

/** Warnings and errors, but those of a machine under load. */
const complaints = ({ lines }: Process): ReadonlyArray<string> =>
  lines.filter((line) => /^[WE]: /.test(line) && !/this machine was suspended|round trip/.test(line))

/** Waits for some heartbeats more: a line that is not folded would repeat. */
const later = Effect.sleep(`${4 * steadyHeartbeatMillis} millis`)

describe("two servers of one role", () => {
  for (const role of roles) {
    it.scopedLive(`two servers started as ${role}: each names it once`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const places = role === "primary" ? [at, swapped(at)] : [swapped(at), at]
        const [one, another] = places as [Endpoints, Endpoints]
        const servers = [
          yield* start(role, one, steadyHeartbeatMillis),
          yield* start(role, another, steadyHeartbeatMillis)
        ]
        const line = (place: Endpoints) =>
          `W: the peer at ${place[other(role)].state} is a ${role}, too: ` +
          `start one of the two as the ${other(role)} (${role === "primary" ? "-b" : "-p"})`
        yield* servers[0]!.waitForLine(line(one))
        yield* servers[1]!.waitForLine(line(another))
        yield* later
        assert.deepStrictEqual(servers.map(complaints), [[line(one)], [line(another)]])
      }))
  }
})

describe("addresses that lead to the server itself", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, RegExp]> = [
    ["localhost", ["--state", "tcp://*:5903", "--peer", "tcp://localhost:5903"], /peer: .* own --state/],
    ["127.0.0.1", ["--state", "tcp://0.0.0.0:5903", "--peer", "tcp://127.0.0.1:5903"], /peer: .* own --state/],
    ["[::1]", ["--state", "tcp://localhost:5903", "--peer", "tcp://[::1]:5903"], /peer: .* own --state/],
    ["0.0.0.0", ["--state", "tcp://127.0.0.1:5903", "--peer", "tcp://0.0.0.0:5903"], /peer: .* own --state/],
    ["ipc", ["--state", "ipc:///tmp/bstar-x", "--peer", "ipc:///tmp/bstar-x"], /peer: .* own --state/],
    ["http", ["--http", "5911", "--peer-http", "http://localhost:5911/"], /peer-http: .* own --http/],
    ["http of every interface", ["--http", "*:5911", "--peer-http", "127.0.0.1:5911"], /peer-http: .* own --http/],
    ["frontend", ["--frontend", "tcp://127.0.0.1:5903", "--state", "tcp://*:5903"], /frontend: .* is --state, too/]
  ]
  for (const [name, args, expected] of cases) {
    it.scopedLive(`${name}: refused at the start`, () =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* ended(["-p", "--policy", "hardened", ...args])
        assert.strictEqual(code, configuration, stdout)
        assert.match(stderr, expected)
      }))
  }
})

describe("a peer of another implementation with another format", () => {
  const formats: ReadonlyArray<readonly [string, Buffer | string, string]> = [
    ["numbers its states from 0", "0", `got "0": its states are numbered from 0`],
    ["sends words", "ACTIVE", `got "ACTIVE": its states are words`],
    [
      "sends integers",
      Buffer.from([3, 0, 0, 0]),
      `got "\\u0003\\u0000\\u0000\\u0000": its states are integers of four bytes`
    ]
  ]
  for (const [name, message, expected] of formats) {
    it.scopedLive(`that ${name}: named once in the log, in status and in doctor`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const http = (yield* freeAddresses).backup
        const peer = yield* socket(() => new zmq.Publisher({ linger: 0 }))
        yield* Effect.promise(() => peer.bind(at.primary.state))
        const backup = yield* start("backup", at, steadyHeartbeatMillis, { args: ["--http", http] })
        yield* Effect.forkScoped(Effect.repeat(send(peer, message), Schedule.spaced("50 millis")))
        const line = yield* backup.waitForLine(/^E: /)
        const problem = `expected one of 1, 2, 3, 4, ${expected}`
        assert.strictEqual(
          line,
          `E: the peer at ${at.primary.state} has sent nothing but malformed state messages, so it counts as silent: ` +
            `${problem}; check --peer: a server that can be a peer sends one digit, as the Guide's in C, C++, Go and Python do`
        )
        yield* later
        assert.deepStrictEqual(complaints(backup), [line])
        const status = yield* ended(["status", "--http", http])
        assert.strictEqual(status.code, 2)
        assert.match(status.stdout, /receives +malformed messages/)
        assert.include(status.stdout, problem)
        const doctor = yield* ended(["doctor", "--http", http])
        assert.match(doctor.stdout, /error +the peer of backup at .* has sent nothing but malformed state messages/)
        assert.include(doctor.stdout, problem)
        // Nothing was received, but not because the primary does not run.
        assert.notInclude(doctor.stdout, "start the primary")
      }))
  }

  it.scopedLive("that reports 1 for BACKUP: a primary names both possible causes", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* foreignPeer("backup", at)
      const primary = yield* start("primary", at, steadyHeartbeatMillis)
      yield* backup.subscribed
      const line = yield* backup.publishUntil("1", primary.waitForLine(/^W: /))
      assert.strictEqual(
        line,
        `W: the peer at ${at.backup.state} is a primary, too: start one of the two as the backup (-b); ` +
          "if it is the backup already, its states are numbered from 0, where 1 is BACKUP: use one that sends 1 to 4"
      )
    }))
})

describe("a healthy pair without --peer-http", () => {
  it.scopedLive("status and doctor judge it by the heartbeats", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddresses
      yield* startPair(at, safeHeartbeatMillis, (role) => ({ args: ["--http", http[role]] }))
      const statuses = yield* Effect.forEach(roles, (role) =>
        ended(["status", "--http", http[role]]).pipe(
          Effect.repeat({ until: ({ code }) => code === 0, times: 20 })
        ))
      assert.match(statuses[0]!.stdout, /^healthy: primary is active, backup \(by its heartbeats\) stands by/m)
      assert.match(statuses[1]!.stdout, /^healthy: primary \(by its heartbeats\) is active, backup stands by/m)
      const doctor = yield* ended(["doctor", "--http", http.primary])
      assert.match(doctor.stdout, /\n1 warning\n$/)
      assert.notInclude(doctor.stdout, "promote")
    }))
})

describe("keys on one side only", () => {
  it.scopedLive("a client without keys: one line on each side names the cause", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const at = yield* freeEndpoints
      const primary = yield* start("primary", at, safeHeartbeatMillis, { args: ["--keys", keys] })
      const client = yield* bstar(["client", "--server", at.primary.frontend])
      yield* client.waitForLine(
        `W: the server at ${at.primary.frontend} requires a key, and this side has none: start both with --keys, or neither ` +
          "(bstar keygen makes keys); trying again"
      )
      yield* primary.waitForLine(
        `W: frontend ${at.primary.frontend}: rejected a connection: it has no key: start both with --keys, or neither`
      )
      // The client tries again each second.
      yield* Effect.sleep("3 seconds")
      assert.lengthOf(complaints(client).filter((line) => line.includes("key")), 1)
      assert.lengthOf(complaints(primary), 1)
    }))

  it.scopedLive("a client with keys, and servers without: one line on each side names the cause", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const at = yield* freeEndpoints
      const primary = yield* start("primary", at, safeHeartbeatMillis)
      const client = yield* bstar([
        ...["client", "--server", at.primary.frontend],
        ...["--keys", path.join(keys, "client-alice")]
      ])
      yield* client.waitForLine(/^W: the server at .* it has no key|^W: the server at .* has no key, and this side has/)
      yield* primary.waitForLine(
        `W: ${at.primary.frontend}: rejected a connection: it has a key, and this server has none: start both with --keys, or neither`
      )
      yield* Effect.sleep("3 seconds")
      assert.lengthOf(complaints(client).filter((line) => line.includes("key")), 1)
    }))

  it.scopedLive("a server without keys beside a peer with keys names the cause", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles([])
      const at = yield* freeEndpoints
      yield* start("primary", at, safeHeartbeatMillis, { args: ["--keys", keys] })
      const backup = yield* start("backup", at, safeHeartbeatMillis)
      yield* backup.waitForLine(
        new RegExp(`^W: the server at ${at.primary.state} requires a key, and this side has none`)
      )
    }))
})

describe("a proxy without workers", () => {
  it.scopedLive("a client of this library is told that it is busy", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backends = yield* freeAddresses
      const proxies = yield* Effect.forEach(["backup", "primary"] as const, (role) =>
        bstar([
          ...["proxy", role === "primary" ? "-p" : "-b", "--policy", "hardened", "--timeout", "2 seconds"],
          ...["--frontend", at[role].frontend, "--state", at[role].state, "--peer", at[other(role)].state],
          ...["--backend", `tcp://${backends[role]}`]
        ]))
      yield* proxies[0]!.waitForLine(readyAsPassive)
      const client = yield* BinaryStarClient.make({
        servers: [at.primary.frontend, at.backup.frontend],
        // Long enough for a machine under load. The last attempt before the first report is reported on by twice the time in the queue.
        timeout: "20 seconds"
      }).pipe(Effect.provide([ZmqClientLink.layer, quiet]))
      const error = yield* Effect.flip(client.request("hello"))
      assert.strictEqual(error.reason, "Busy", error.message)
    }))
})

describe("commands of an operator", () => {
  it.scopedLive("a switchover is told as one on both sides, with its reason, and nobody is told to be down", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddresses
      const { backup, primary } = yield* startPair(at, safeHeartbeatMillis, (role) => ({
        args: ["--http", http[role], "--peer-http", http[other(role)]],
        env
      }))
      const from = { primary: primary.lines.length, backup: backup.lines.length }
      const switchover = yield* ended(["switchover", "--http", http.primary, "--reason", "new kernel"])
      assert.strictEqual(switchover.code, 0, switchover.stderr)
      yield* backup.waitForLine(/^I: took over by switchover: new kernel, ready as active/)
      yield* primary.waitForLine(/^I: backup took over by switchover: new kernel, ready as passive/)
      const lines = [...primary.lines.slice(from.primary), ...backup.lines.slice(from.backup)]
      assert.deepStrictEqual(lines.filter((line) => /is down|failover|promoted|gone/.test(line)), [])
      const history = yield* ended(["history", "--http", http.backup])
      const status = yield* ended(["status", "--http", http.backup])
      for (const { stdout } of [history, status]) {
        assert.include(stdout, "backup took over by switchover: new kernel, ready as passive")
        assert.match(stdout, /(: |  )took over by switchover: new kernel, ready as active/)
        assert.notInclude(stdout, "new kernel, ready as active (the final heartbeat of term 0.1), because")
      }
      const again = yield* ended(["promote", "--http", http.backup, "--reason", "twice"])
      assert.deepStrictEqual(again, {
        code: 0,
        stdout: `http://${http.backup}: nothing was done: this server was active already\n`,
        stderr: ""
      })
    }))

  it.scopedLive("a lone backup is promoted as soon as its peer counts as lost, also right after its start", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = addressOf((yield* freeEndpoints).backup.frontend)
      const backup = yield* start("backup", at, steadyHeartbeatMillis, { args: ["--http", http], env })
      yield* backup.waitForLine(/status server at/)
      const promote = yield* ended(["promote", "--http", http, "--reason", "the primary is lost"])
      assert.strictEqual(promote.code, 0, promote.stderr)
      assert.include(promote.stdout, "this server is active")
      yield* backup.waitForLine(readyAsActive)
    }))
})
