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
  votesRefused,
  withoutSeconds
} from "../support/processes.ts"

interface Heartbeat {
  readonly option: string
  readonly millis: number
}

const quick: Heartbeat = { option: "50 millis", millis: 50 }

/** Slow enough for a machine that stalls now and then not to be taken for a silent peer. */
const slow: Heartbeat = { option: "250 millis", millis: 250 }

/** Our server in a role, and a foreign one in the other, which our server listens to. */
const start = (role: Role, { option }: Heartbeat) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const peer = yield* foreignPeer(other(role), at)
    const server = yield* bstar(serverArgs(role, at, option))
    yield* server.waitForLine(startLine[role])
    yield* peer.listened
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

describe("heartbeats", () => {
  const own: { readonly [R in Role]: string } = { primary: "1", backup: "2" }
  for (const role of roles) {
    it.scopedLive(`a ${role} publishes one frame of one digit every period`, () =>
      Effect.gen(function*() {
        const { peer } = yield* start(role, { option: "100 millis", millis: 100 })
        const beats = yield* peer.heard.more(16)
        assert.deepStrictEqual(beats.map(({ frames }) => frames.map(String)), beats.map(() => [own[role]]))
        const periods = beats.slice(1).map(({ at }, i) => at - beats[i]!.at).sort((a, b) => a - b)
        const median = periods[Math.floor(periods.length / 2)]!
        assert.isAbove(median, 80)
        assert.isBelow(median, 125)
      }))
  }
})

/** What a foreign peer says in turn, what our server then says, and the state it publishes from then on. */
const transitions: ReadonlyArray<{
  readonly role: Role
  readonly hears: ReadonlyArray<Digit>
  readonly says: ReadonlyArray<string>
  readonly publishes: Digit
}> = [
  { role: "primary", hears: ["1", "4"], says: [], publishes: "1" },
  { role: "primary", hears: ["2"], says: [readyAsActive], publishes: "3" },
  { role: "primary", hears: ["1", "4", "2", "1", "2", "4"], says: [readyAsActive], publishes: "3" },
  { role: "primary", hears: ["3", "3"], says: [readyAsPassive.primary], publishes: "4" },
  { role: "primary", hears: ["3", "1"], says: [readyAsPassive.primary, primaryRestarts], publishes: "3" },
  { role: "primary", hears: ["3", "2"], says: [readyAsPassive.primary, backupRestarts], publishes: "3" },
  { role: "backup", hears: ["1", "2", "4"], says: [], publishes: "2" },
  { role: "backup", hears: ["3", "3"], says: [readyAsPassive.backup], publishes: "4" },
  { role: "backup", hears: ["3", "1"], says: [readyAsPassive.backup, primaryRestarts], publishes: "3" },
  { role: "backup", hears: ["3", "2"], says: [readyAsPassive.backup, backupRestarts], publishes: "3" },
  { role: "backup", hears: ["3", "1", "1", "2", "4"], says: [readyAsPassive.backup, primaryRestarts], publishes: "3" }
]

describe("transitions", () => {
  for (const { hears, publishes, role, says } of transitions) {
    it.scopedLive(`a ${role} that hears ${hears.join(", ")} publishes ${publishes}`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start(role, quick)
        for (const digit of hears) {
          yield* peer.say(digit)
        }
        // Whatever is said in order is heard in order, so once the word after them is taken for malformed, all were heard.
        yield* peer.say("the end")
        yield* server.waitForLine(/^W: malformed /)
        yield* peer.hear(publishes)
        assert.deepStrictEqual(server.lines.slice(0, -1), [startLine[role], ...says])
        assert.deepStrictEqual((yield* peer.heard.more(2)).map(({ frames }) => frames.join()), [publishes, publishes])
      }))
  }
})

describe("takeover", () => {
  for (const role of roles) {
    it.scopedLive(`a passive ${role} takes over after two heartbeats of silence, not before`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, slow)
        yield* peer.say("3")
        yield* server.waitForLine(readyAsPassive[role])
        const { ask, replies } = yield* dealer(frontend)

        // While the peer speaks, however many requests come: no answer.
        let lastWord = 0
        const speakAndAsk = Effect.gen(function*() {
          const at = performance.now()
          yield* peer.say("3")
          lastWord = at
          yield* ask("anybody?")
        })
        const busy = yield* Effect.fork(Effect.repeat(speakAndAsk, Schedule.spaced("20 millis")))
        yield* peer.heard.more(5)
        yield* Fiber.interrupt(busy)
        assert.strictEqual(replies.entries.length, 0)

        // It falls silent, and the requests go on.
        yield* Effect.forkScoped(Effect.repeat(ask("anybody now?"), Schedule.spaced("10 millis")))
        yield* server.waitForLine(takeover)
        yield* peer.hear("3")
        const answer = yield* replies.find(() => true)
        assert.strictEqual(answer.frames.join(), "anybody now?")
        assert.isAtLeast(answer.at - lastWord, 2 * slow.millis)
        assert.deepStrictEqual(server.lines, [startLine[role], readyAsPassive[role], takeover])
      }))

    it.scopedLive(`a passive ${role} does not take over unless a client asks`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, quick)
        yield* peer.say("3")
        yield* peer.hear("4")
        const silence = yield* peer.heard.more(10)
        assert.deepStrictEqual(silence.map(({ frames }) => frames.join()), silence.map(() => "4"))
        assert.deepStrictEqual(server.lines, [startLine[role], readyAsPassive[role]])

        const { ask, replies } = yield* dealer(frontend)
        // A process that was late a moment ago takes no vote yet.
        yield* Effect.forkScoped(Effect.repeat(ask("anybody?"), Schedule.spaced("10 millis")))
        yield* replies.find(({ frames }) => frames.join() === "anybody?")
        yield* server.waitForLine(takeover)
        yield* peer.hear("3")
      }))
  }

  it.scopedLive("a backup that never heard its primary refuses", () =>
    Effect.gen(function*() {
      const { at, frontend, peer, server } = yield* start("backup", quick)
      const { ask, replies } = yield* dealer(frontend)
      yield* Effect.forkScoped(Effect.repeat(ask("anybody?"), Schedule.spaced("10 millis")))
      yield* server.waitForLine(/^W: votes are rejected: /)
      const beats = yield* peer.heard.more(10)
      assert.deepStrictEqual(beats.map(({ frames }) => frames.join()), beats.map(() => "2"))
      assert.deepStrictEqual(server.lines.map(withoutSeconds), [startLine.backup, votesRefused(at.primary.state)])
      assert.strictEqual(replies.entries.length, 0)
    }))
})

const junk: ReadonlyArray<{ readonly what: string; readonly frames: ReadonlyArray<Buffer | string> }> = [
  { what: "a word", frames: ["junk"] },
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

const malformed = /^W: malformed /

describe("malformed messages", () => {
  for (const { frames, what } of junk) {
    it.scopedLive(`${what} is ignored`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start("backup", slow)
        yield* peer.say(...frames)
        const line = yield* server.waitForLine(malformed)
        assert.isBelow(line.length, 200)
        yield* peer.say("3")
        yield* server.waitForLine(readyAsPassive.backup)
        assert.deepStrictEqual(server.lines, [startLine.backup, line, readyAsPassive.backup])
      }))
  }

  for (const { frames, what } of oversized) {
    it.scopedLive(`${what} is ignored, and the connection made anew`, () =>
      Effect.gen(function*() {
        const { peer, server } = yield* start("backup", slow)
        // A peer that is received all the time: its connection is not made anew because of silence.
        const beats = yield* Effect.fork(peer.beat("1"))
        yield* peer.heard.more(3)
        const again = yield* Effect.fork(peer.listenedAgain)
        yield* peer.say(...frames)
        yield* Fiber.join(again)
        assert.deepStrictEqual((yield* peer.heard.more(3)).map(({ frames }) => frames.join()), ["2", "2", "2"])
        yield* Fiber.interrupt(beats)
        yield* Effect.forkScoped(peer.beat("3"))
        yield* server.waitForLine(readyAsPassive.backup)
        yield* peer.hear("4")
        assert.deepStrictEqual(server.lines, [startLine.backup, readyAsPassive.backup])
        assert.strictEqual(server.stderr(), "")
      }))
  }

  it.scopedLive("each burst of them is one line", () =>
    Effect.gen(function*() {
      const { peer, server } = yield* start("primary", slow)
      const burst = Effect.forEach(junk, ({ frames }) => peer.say(...frames), { discard: true })
      yield* burst
      yield* server.waitForLine(malformed)
      yield* burst
      yield* peer.say("3")
      yield* server.waitForLine(readyAsPassive.primary)
      assert.strictEqual(server.lines.filter((line) => malformed.test(line)).length, 1)
      // For a second the log folds a repeated line. A connection on which nothing is received would be made anew meanwhile.
      const beats = yield* Effect.fork(peer.beat("3"))
      yield* Effect.sleep("1100 millis")
      yield* Fiber.interrupt(beats)
      const from = server.lines.length
      yield* burst
      yield* server.waitForLine(malformed, from)
      yield* peer.say("2")
      yield* server.waitForLine(backupRestarts)
      assert.strictEqual(server.lines.filter((line) => malformed.test(line)).length, 2)
      assert.strictEqual(server.lines.length, 5)
    }))

  for (const role of roles) {
    it.scopedLive(`they are no sign of life to a ${role}`, () =>
      Effect.gen(function*() {
        const { frontend, peer, server } = yield* start(role, slow)
        yield* peer.say("3")
        yield* server.waitForLine(readyAsPassive[role])
        const babble = Effect.forEach(junk, ({ frames }) => peer.say(...frames), { discard: true })
        yield* Effect.forkScoped(Effect.repeat(babble, Schedule.spaced("20 millis")))
        yield* server.waitForLine(malformed)
        const { ask, replies } = yield* dealer(frontend)
        yield* Effect.forkScoped(Effect.repeat(ask("anybody?"), Schedule.spaced("20 millis")))
        yield* server.waitForLine(takeover)
        yield* replies.find(({ frames }) => frames.join() === "anybody?")
        yield* peer.hear("3")
      }))
  }

  it.scopedLive("a 5 is no vote of a client", () =>
    Effect.gen(function*() {
      const { peer, server } = yield* start("backup", quick)
      yield* peer.say("3")
      yield* peer.hear("4")
      yield* peer.heard.more(5)
      yield* peer.say("5")
      yield* server.waitForLine(malformed)
      assert.deepStrictEqual((yield* peer.heard.more(3)).map(({ frames }) => frames.join()), ["4", "4", "4"])
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

describe("clients of another make", () => {
  it.scopedLive("a REQ gets back what it sent", () =>
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

  it.scopedLive("a REQ that correlates its requests gets back what it sent", () =>
    Effect.gen(function*() {
      const { frontend } = yield* start("primary", quick)
      const client = yield* socket(() => new zmq.Request({ linger: 0, correlate: true, relaxed: true }))
      client.connect(frontend)
      const replies = receiving(client)
      for (const word of ["first", "second"]) {
        yield* send(client, word)
        yield* replies.find(({ frames }) => frames.join() === word)
      }
    }))

  it.scopedLive("a DEALER without a delimiter gets back what it sent, in order", () =>
    Effect.gen(function*() {
      const { frontend } = yield* start("primary", quick)
      const { ask, replies } = yield* dealer(frontend)
      for (const { frames } of bodies) {
        yield* ask(...frames)
      }
      yield* ask("the end")
      yield* replies.find(({ frames }) => frames.join() === "the end")
      assert.deepStrictEqual(
        replies.entries.slice(0, -1).map(({ frames }) => frames.map((frame) => frame.toString("hex"))),
        bodies.map(({ frames }) => frames.map((frame) => frame.toString("hex")))
      )
    }))
})
