import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import * as zmq from "zeromq"
import type { Digit, Role } from "../support/processes.ts"
import {
  bstar,
  dealer,
  foreignPeer,
  freeEndpoints,
  other,
  receiving,
  roles,
  send,
  serverArgs,
  socket,
  startLine,
  votesRejected,
  withoutSeconds
} from "../support/processes.ts"

interface Heartbeat {
  readonly option: string
  readonly millis: number
}

const quick: Heartbeat = { option: "50 millis", millis: 50 }

/** The line about a malformed message: an error if the peer has sent no other. */
const malformed = /^(W: malformed|E: the peer at \S+ has sent nothing but malformed) state message/

/** Slow enough that a peer on a busy machine rarely reaches its timeout. */
const slow: Heartbeat = { option: "250 millis", millis: 250 }

/** A classic server, and a foreign peer to which it is subscribed. */
const start = (role: Role, { option }: Heartbeat) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const peer = yield* foreignPeer(other(role), at)
    const server = yield* bstar(serverArgs(role, at, option))
    yield* server.waitForLine(startLine[role])
    yield* peer.subscribed
    return { at, frontend: at[role].frontend, peer, server }
  })

const readyAsPassive: { readonly [R in Role]: string } = {
  primary: "I: connected to backup (active), ready as passive",
  backup: "I: connected to primary (active), ready as passive"
}
const readyAsActive = "I: connected to backup (passive), ready as active"
const primaryRestarts = "I: primary (passive) is restarting, ready as active"
const backupRestarts = "I: backup (passive) is restarting, ready as active"
const takeover = "I: failover successful, ready as active"

describe("heartbeats of a server", () => {
  const own: { readonly [R in Role]: string } = { primary: "1", backup: "2" }
  for (const role of roles) {
    it.scopedLive(`wire: a ${role} publishes its state every period, as one frame of one digit`, () =>
      Effect.gen(function*() {
        const { peer } = yield* start(role, quick)
        const heartbeats = yield* peer.received.more(30)
        assert.deepStrictEqual(heartbeats.map(({ frames }) => frames.map(String)), heartbeats.map(() => [own[role]]))
        // Not every twentieth of a period, nor every second.
        const meanMillis = (heartbeats.at(-1)!.at - heartbeats[0]!.at) / (heartbeats.length - 1)
        assert.isAbove(meanMillis, quick.millis / 20)
        assert.isBelow(meanMillis, 20 * quick.millis)
      }))
  }
})

/** The states that a foreign peer publishes, the lines that the server logs, and the state that it publishes afterwards. */
const transitions: ReadonlyArray<{
  readonly role: Role
  readonly received: ReadonlyArray<Digit>
  readonly logged: ReadonlyArray<string>
  readonly publishes: Digit
}> = [
  { role: "primary", received: ["1", "4"], logged: [], publishes: "1" },
  { role: "primary", received: ["2"], logged: [readyAsActive], publishes: "3" },
  { role: "primary", received: ["1", "4", "2", "1", "2", "4"], logged: [readyAsActive], publishes: "3" },
  { role: "primary", received: ["3", "3"], logged: [readyAsPassive.primary], publishes: "4" },
  { role: "primary", received: ["3", "1"], logged: [readyAsPassive.primary, primaryRestarts], publishes: "3" },
  { role: "primary", received: ["3", "2"], logged: [readyAsPassive.primary, backupRestarts], publishes: "3" },
  { role: "backup", received: ["1", "2", "4"], logged: [], publishes: "2" },
  { role: "backup", received: ["3", "3"], logged: [readyAsPassive.backup], publishes: "4" },
  { role: "backup", received: ["3", "1"], logged: [readyAsPassive.backup, primaryRestarts], publishes: "3" },
  { role: "backup", received: ["3", "2"], logged: [readyAsPassive.backup, backupRestarts], publishes: "3" },
  {
    role: "backup",
    received: ["3", "1", "1", "2", "4"],
    logged: [readyAsPassive.backup, primaryRestarts],
    publishes: "3"
  }
]

describe("transitions of a server", () => {
  for (const { logged, publishes, received, role } of transitions) {
    it.scopedLive(`wire: a ${role} that receives ${received.join(", ")} publishes ${publishes}`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start(role, quick)
        for (const digit of received) {
          yield* peer.publish(digit)
        }
        // Messages arrive in order: once the malformed one is logged, all have been received.
        yield* peer.publish("the end")
        yield* server.waitForLine(malformed)
        yield* peer.receive(publishes)
        assert.deepStrictEqual(server.lines.slice(0, -1), [startLine[role], ...logged])
        assert.deepStrictEqual((yield* peer.received.more(2)).map(({ frames }) => frames.join()), [
          publishes,
          publishes
        ])
      }))
  }
})

describe("takeover by a server", () => {
  for (const role of roles) {
    it.scopedLive(`takeover: a passive ${role} takes over on a vote after two heartbeats of silence, not before`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, slow)
        yield* peer.publish("3")
        yield* server.waitForLine(readyAsPassive[role])
        const { replies, request } = yield* dealer(frontend)

        // While the peer publishes, no request is answered.
        let lastHeartbeatAt = 0
        const heartbeatAndRequest = Effect.gen(function*() {
          const at = performance.now()
          yield* peer.publish("3")
          lastHeartbeatAt = at
          yield* request("hello")
        })
        const active = yield* Effect.fork(Effect.repeat(heartbeatAndRequest, Schedule.spaced("20 millis")))
        yield* peer.received.more(5)
        yield* Fiber.interrupt(active)
        assert.strictEqual(replies.entries.length, 0)

        // The peer is silent, and the requests continue.
        yield* Effect.forkScoped(Effect.repeat(request("hello again"), Schedule.spaced("10 millis")))
        yield* server.waitForLine(takeover)
        yield* peer.receive("3")
        const answer = yield* replies.find(() => true)
        assert.strictEqual(answer.frames.join(), "hello again")
        assert.isAtLeast(answer.at - lastHeartbeatAt, 2 * slow.millis)
        assert.deepStrictEqual(server.lines, [startLine[role], readyAsPassive[role], takeover])
      }))

    it.scopedLive(`takeover: a passive ${role} does not take over without a vote`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, quick)
        yield* peer.publish("3")
        yield* peer.receive("4")
        const silence = yield* peer.received.more(10)
        assert.deepStrictEqual(silence.map(({ frames }) => frames.join()), silence.map(() => "4"))
        assert.deepStrictEqual(server.lines, [startLine[role], readyAsPassive[role]])

        const { replies, request } = yield* dealer(frontend)
        // A process that was late a moment ago accepts no vote yet.
        yield* Effect.forkScoped(Effect.repeat(request("hello"), Schedule.spaced("10 millis")))
        yield* replies.find(({ frames }) => frames.join() === "hello")
        yield* server.waitForLine(takeover)
        yield* peer.receive("3")
      }))
  }

  it.scopedLive("takeover: a backup that has never received a heartbeat rejects votes", () =>
    Effect.gen(function*() {
      const { at, frontend, peer, server } = yield* start("backup", quick)
      const { replies, request } = yield* dealer(frontend)
      yield* Effect.forkScoped(Effect.repeat(request("hello"), Schedule.spaced("10 millis")))
      yield* server.waitForLine(/^W: votes are rejected: /)
      const heartbeats = yield* peer.received.more(10)
      assert.deepStrictEqual(heartbeats.map(({ frames }) => frames.join()), heartbeats.map(() => "2"))
      assert.includeMembers(server.lines.map(withoutSeconds), [startLine.backup, votesRejected(at.primary.state)])
      assert.strictEqual(replies.entries.length, 0)
    }))
})

const junk: ReadonlyArray<{ readonly what: string; readonly frames: ReadonlyArray<Buffer | string> }> = [
  { what: "text", frames: ["junk"] },
  { what: "an empty frame", frames: [""] },
  { what: "5", frames: ["5"] },
  { what: "0", frames: ["0"] },
  { what: "03", frames: ["03"] },
  { what: "3 and a line end", frames: ["3\n"] },
  { what: "the number 3 in binary", frames: [Buffer.from([3])] },
  { what: "two frames", frames: ["3", "3"] },
  { what: "a digit and an empty frame", frames: ["3", ""] },
  { what: "512 bytes", frames: [Buffer.alloc(512, "3")] }
]

const oversized: ReadonlyArray<{ readonly what: string; readonly frames: ReadonlyArray<Buffer | string> }> = [
  { what: "513 bytes", frames: [Buffer.alloc(513, "3")] },
  { what: "a mebibyte", frames: [Buffer.alloc(1024 * 1024, "3")] },
  { what: "a digit and a mebibyte", frames: ["3", Buffer.alloc(1024 * 1024, "3")] }
]

describe("malformed messages of a peer", () => {
  for (const { frames, what } of junk) {
    it.scopedLive(`malformed: ${what}: ignored`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start("backup", slow)
        yield* peer.publish(...frames)
        const line = yield* server.waitForLine(malformed)
        assert.isBelow(line.length, 400)
        yield* peer.publish("3")
        yield* server.waitForLine(readyAsPassive.backup)
        assert.deepStrictEqual(server.lines, [startLine.backup, line, readyAsPassive.backup])
      }))
  }

  for (const { frames, what } of oversized) {
    it.scopedLive(`malformed: ${what}: ignored, and the server reconnects`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start("backup", slow)
        // Heartbeats all the time: the server does not reconnect because of silence.
        const heartbeats = yield* Effect.fork(peer.heartbeats("1"))
        yield* peer.received.more(3)
        const again = yield* Effect.fork(peer.resubscribed)
        yield* peer.publish(...frames)
        yield* Fiber.join(again)
        assert.deepStrictEqual((yield* peer.received.more(3)).map(({ frames }) => frames.join()), ["2", "2", "2"])
        yield* Fiber.interrupt(heartbeats)
        yield* Effect.forkScoped(peer.heartbeats("3"))
        yield* server.waitForLine(readyAsPassive.backup)
        yield* peer.receive("4")
        assert.deepStrictEqual(server.lines, [startLine.backup, readyAsPassive.backup])
        assert.strictEqual(server.stderr(), "")
      }))
  }

  it.scopedLive("malformed: a burst is logged in one line", () =>
    Effect.gen(function*() {
      const { peer, server } = yield* start("primary", slow)
      const burst = Effect.forEach(junk, ({ frames }) => peer.publish(...frames), { discard: true })
      yield* burst
      yield* server.waitForLine(malformed)
      yield* burst
      yield* peer.publish("3")
      yield* server.waitForLine(readyAsPassive.primary)
      assert.strictEqual(server.lines.filter((line) => malformed.test(line)).length, 1)
      // The log folds a repeated line for a second. Without heartbeats the server would reconnect meanwhile.
      const heartbeats = yield* Effect.fork(peer.heartbeats("3"))
      yield* Effect.sleep("1100 millis")
      yield* Fiber.interrupt(heartbeats)
      const from = server.lines.length
      yield* burst
      yield* server.waitForLine(malformed, from)
      yield* peer.publish("2")
      yield* server.waitForLine(backupRestarts)
      assert.strictEqual(server.lines.filter((line) => malformed.test(line)).length, 2)
    }))

  for (const role of roles) {
    it.scopedLive(`malformed: messages do not renew the peer deadline of a ${role}`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, slow)
        yield* peer.publish("3")
        yield* server.waitForLine(readyAsPassive[role])
        const burst = Effect.forEach(junk, ({ frames }) => peer.publish(...frames), { discard: true })
        yield* Effect.forkScoped(Effect.repeat(burst, Schedule.spaced("20 millis")))
        yield* server.waitForLine(malformed)
        const { replies, request } = yield* dealer(frontend)
        yield* Effect.forkScoped(Effect.repeat(request("hello"), Schedule.spaced("20 millis")))
        yield* server.waitForLine(takeover)
        yield* replies.find(({ frames }) => frames.join() === "hello")
        yield* peer.receive("3")
      }))
  }

  it.scopedLive("malformed: the state 5 is ignored", () =>
    Effect.gen(function*() {
      const { peer, server } = yield* start("backup", quick)
      yield* peer.publish("3")
      yield* peer.receive("4")
      yield* peer.received.more(5)
      yield* peer.publish("5")
      yield* server.waitForLine(malformed)
      assert.deepStrictEqual((yield* peer.received.more(3)).map(({ frames }) => frames.join()), ["4", "4", "4"])
    }))
})

const bodies: ReadonlyArray<{ readonly what: string; readonly frames: ReadonlyArray<Buffer> }> = [
  { what: "a frame", frames: [Buffer.from("hello")] },
  { what: "an empty frame", frames: [Buffer.alloc(0)] },
  { what: "every byte", frames: [Buffer.from(Array.from({ length: 256 }, (_, i) => i))] },
  { what: "a mebibyte", frames: [randomBytes(1024 * 1024)] },
  { what: "twenty frames", frames: Array.from({ length: 20 }, (_, i) => randomBytes(i)) },
  { what: "an empty frame in the middle", frames: [Buffer.from("a"), Buffer.alloc(0), Buffer.from("b")] }
]

describe("foreign clients", () => {
  it.scopedLive("clients: a REQ receives its request as the reply", () =>
    Effect.gen(function*() {
      const { frontend } = yield* start("primary", quick)
      const client = yield* socket(() => new zmq.Request({ linger: 0 }))
      client.connect(frontend)
      for (const { frames, what } of bodies) {
        yield* send(client, ...frames)
        const reply = yield* Effect.promise(() => client.receive())
        assert.isTrue(Buffer.concat(reply).equals(Buffer.concat([...frames])), what)
        assert.deepStrictEqual(reply.map(({ length }) => length), frames.map(({ length }) => length))
      }
    }))

  it.scopedLive("clients: a correlated REQ receives its request as the reply", () =>
    Effect.gen(function*() {
      const { frontend } = yield* start("primary", quick)
      const client = yield* socket(() => new zmq.Request({ linger: 0, correlate: true, relaxed: true }))
      client.connect(frontend)
      const replies = receiving(client)
      for (const body of ["first", "second"]) {
        yield* send(client, body)
        yield* replies.find(({ frames }) => frames.join() === body)
      }
    }))

  it.scopedLive("clients: a DEALER without a delimiter receives its requests as replies, in order", () =>
    Effect.gen(function*() {
      const { frontend } = yield* start("primary", quick)
      const { replies, request } = yield* dealer(frontend)
      for (const { frames } of bodies) {
        yield* request(...frames)
      }
      yield* request("the end")
      yield* replies.find(({ frames }) => frames.join() === "the end")
      assert.deepStrictEqual(
        replies.entries.slice(0, -1).map(({ frames }) => frames.map((frame) => frame.toString("hex"))),
        bodies.map(({ frames }) => frames.map((frame) => frame.toString("hex")))
      )
    }))
})
