import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Fiber, Logger, Schedule } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import type { Digit, Endpoints, Process, Role } from "../support/processes.ts"
import {
  bstar,
  dealer,
  foreignPeer,
  freeEndpoints,
  other,
  publications,
  roles,
  serverArgs,
  startLine
} from "../support/processes.ts"

type Policy = "classic" | "hardened"

interface Heartbeat {
  readonly option: string
  readonly millis: number
}

/** Slow enough for a machine that stalls now and then: a hardened server that is late by half of it starts over. */
const quick: Heartbeat = { option: "400 millis", millis: 400 }

/** So slow that whatever takes less cannot come from an expiry, which is never sooner than one of them. */
const slow: Heartbeat = { option: "4 seconds", millis: 4000 }

const start = (
  role: Role,
  at: Endpoints,
  { option }: Heartbeat,
  policy: Policy = "hardened",
  ...more: ReadonlyArray<string>
) =>
  Effect.tap(
    bstar([...serverArgs(role, at, option), "--policy", policy, ...more]),
    (server) => server.waitForLine(startLine[role])
  )

const readyAsActive = "I: connected to backup (passive), ready as active"
const readyAsPassive: { readonly [R in Role]: string } = {
  primary: "I: connected to backup (active), ready as passive",
  backup: "I: connected to primary (active), ready as passive"
}
const takeover = "I: failover successful, ready as active"
const peerGone = (at: Endpoints, role: Role) => `I: the peer is down (connection to ${at[role].state} refused)`
const stalled = /^I: this process stalled, (?:restarting|rejoining)/

type Pair = { readonly [R in Role]: Process }

const startPair = (
  at: Endpoints,
  heartbeat: Heartbeat,
  policies: { readonly [R in Role]: Policy } = { primary: "hardened", backup: "hardened" },
  ...more: ReadonlyArray<string>
): Effect.Effect<Pair, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const primary = yield* start("primary", at, heartbeat, policies.primary, ...more)
    const backup = yield* start("backup", at, heartbeat, policies.backup, ...more)
    yield* backup.waitForLine(readyAsPassive.backup)
    // A server publishes that it is active before it logs it, so the other one may be the first to log.
    yield* primary.waitForLine(readyAsActive)
    return { primary, backup }
  })

/** Ends when the server has answered a request that was sent from now on, of which there are many. */
const untilAnswered = (frontend: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { ask, replies } = yield* dealer(frontend)
    yield* Effect.forkScoped(Effect.repeat(ask("anybody?"), Schedule.spaced("10 millis")))
    yield* replies.find(() => true)
  }))

const killHard = (server: Process) =>
  Effect.gen(function*() {
    yield* server.kill("SIGKILL")
    assert.deepStrictEqual(yield* server.exit, { code: null, signal: "SIGKILL" })
  })

/** Fails when it takes so long that the peer may simply have expired. */
const beforeAnyExpiry = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const began = performance.now()
    const result = yield* self
    assert.isBelow(performance.now() - began, slow.millis)
    return result
  })

/** Asks both servers the same, 100 times a second. Tells who has answered what was asked from some number on. */
const askBoth = (at: Endpoints) =>
  Effect.gen(function*() {
    const clients = { primary: yield* dealer(at.primary.frontend), backup: yield* dealer(at.backup.frontend) }
    let asked = 0
    yield* Effect.suspend(() => {
      const number = String(++asked)
      return Effect.zipRight(clients.primary.ask(number), clients.backup.ask(number))
    }).pipe(Effect.repeat(Schedule.spaced("10 millis")), Effect.forkScoped)
    const answered = (role: Role, from: number) =>
      clients[role].replies.entries.map(({ frames }) => Number(frames.join())).filter((number) => number > from)
    return {
      asked: () => asked,
      answered,
      /** Waits for so many answers of a server to what is asked from now on. */
      answers: (role: Role, count: number) =>
        Effect.suspend(() => {
          const from = asked
          return clients[role].replies.find(() => answered(role, from).length >= count)
        }),
      /** What both have answered. */
      twice: (from: number) => {
        const others = new Set(answered("backup", from))
        return answered("primary", from).filter((number) => others.has(number))
      }
    }
  })

describe("kill -9", () => {
  it.scopedLive("of the active one: the other knows that its process is gone, and takes over long before it expires", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, slow)
      yield* killHard(primary)
      yield* beforeAnyExpiry(
        Effect.zipRight(backup.waitForLine(peerGone(at, "primary")), untilAnswered(at.backup.frontend))
      )
      yield* backup.waitForLine(takeover)
      assert.deepStrictEqual(backup.lines.slice(2), [peerGone(at, "primary"), takeover])

      // And back again.
      const again = yield* start("primary", at, slow)
      yield* again.waitForLine(readyAsPassive.primary)
      yield* killHard(backup)
      yield* beforeAnyExpiry(
        Effect.zipRight(again.waitForLine(peerGone(at, "backup")), untilAnswered(at.primary.frontend))
      )
      yield* again.waitForLine(takeover)
      assert.deepStrictEqual(again.lines.slice(1), [readyAsPassive.primary, peerGone(at, "backup"), takeover])
    }))

  for (const detection of ["on", "off"]) {
    it.scopedLive(`and a quick start of the primary: never two answers (crash detection ${detection})`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* startPair(at, quick, undefined, "--crash-detection", detection)
        const clients = yield* askBoth(at)
        yield* clients.answers("primary", 20)
        yield* killHard(primary)
        const from = clients.asked()
        const again = yield* start("primary", at, quick, "hardened", "--crash-detection", detection)
        const words = yield* publications(at.primary.state)
        yield* words.more(10)
        assert.deepStrictEqual(clients.twice(from), [])
        const paired = yield* again.waitForLine(/, ready as (?:active|passive)$/)
        const active = paired === readyAsActive ? "primary" : "backup"
        yield* clients.answers(active, 20)
        assert.deepStrictEqual(clients.twice(from), [])
        assert.strictEqual(backup.stderr() + again.stderr(), "")
      }))
  }
})

describe("SIGTERM", () => {
  it.scopedLive("of the active one under requests: none fails, its last word is its number, the other takes over", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, slow)
      const words = yield* publications(at.primary.state)
      yield* words.more(1)
      const client = yield* BinaryStarClient.make({
        servers: [at.primary.frontend, at.backup.frontend],
        timeout: "20 seconds"
      }).pipe(Effect.provide(ZmqClientLink.layer))
      let answered = 0
      const asking = yield* Effect.fork(
        Effect.forEach(
          Array(8).keys(),
          (n) => Effect.forever(Effect.tap(client.request(`${n}`), () => answered++)),
          { concurrency: "unbounded" }
        )
      )
      const more = (count: number) =>
        Effect.suspend(() => {
          const enough = answered + count
          return Effect.repeat(Effect.sleep("1 millis"), { until: () => answered >= enough })
        }).pipe(Effect.raceFirst(Fiber.join(asking)))
      yield* more(100)
      yield* primary.kill("SIGTERM")
      assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
      yield* beforeAnyExpiry(Effect.zipRight(backup.waitForLine(takeover), more(100)))
      yield* Fiber.interrupt(asking)
      assert.strictEqual(words.entries.at(-1)!.frames.join(), "1")
      assert.deepStrictEqual(primary.lines.slice(-2), ["I: stopped cleanly", "W: interrupted"])
      assert.strictEqual(primary.stderr() + backup.stderr(), "")
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it.scopedLive("of the passive one and its return: no client notices", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, quick)
      const words = yield* publications(at.backup.state)
      yield* words.more(1)
      const clients = yield* askBoth(at)
      yield* clients.answers("primary", 10)
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      assert.strictEqual(words.entries.at(-1)!.frames.join(), "2")
      yield* clients.answers("primary", 10)
      const again = yield* start("backup", at, quick)
      yield* again.waitForLine(readyAsPassive.backup)
      yield* clients.answers("primary", 10)
      assert.deepStrictEqual(clients.answered("backup", 0), [])
      assert.deepStrictEqual(primary.lines.filter((line) => !line.startsWith("I: the peer is down")), [
        startLine.primary,
        readyAsActive
      ])
    }))
})

describe("SIGSTOP longer than the expiry, and SIGCONT", () => {
  it.scopedLive("of the active one: it says that it stood still, becomes passive, and answers nothing any more", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, quick)
      const clients = yield* askBoth(at)
      yield* clients.answers("primary", 20)
      yield* primary.kill("SIGSTOP")
      yield* backup.waitForLine(takeover)
      const from = clients.asked()
      yield* clients.answers("backup", 20)
      yield* primary.kill("SIGCONT")
      yield* primary.waitForLine(stalled)
      yield* primary.waitForLine(readyAsPassive.primary)
      yield* clients.answers("backup", 100)
      assert.deepStrictEqual(clients.answered("primary", from), [])
      assert.strictEqual(primary.lines.at(-1), readyAsPassive.primary)
      assert.strictEqual(backup.lines.at(-1), takeover)
    }))

  for (const policy of ["classic", "hardened"] as const) {
    it.scopedLive(`of an active backup that nobody missed: a ${policy} primary that is passive becomes active`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* startPair(at, quick, { primary: policy, backup: "hardened" })
        yield* killHard(primary)
        yield* untilAnswered(at.backup.frontend)
        const again = yield* start("primary", at, quick, policy)
        yield* again.waitForLine(readyAsPassive.primary)
        const words = yield* publications(at.primary.state)
        yield* backup.kill("SIGSTOP")
        yield* words.more(5)
        yield* backup.kill("SIGCONT")
        yield* backup.waitForLine(stalled)
        yield* again.waitForLine("I: backup (passive) is restarting, ready as active")
        yield* backup.waitForLine(readyAsPassive.backup, 3)
        yield* untilAnswered(at.primary.frontend)
        assert.strictEqual(again.lines.length, 3)
      }))
  }
})

const policies: ReadonlyArray<{ readonly [R in Role]: Policy }> = [
  { primary: "hardened", backup: "hardened" },
  { primary: "hardened", backup: "classic" },
  { primary: "classic", backup: "hardened" }
]

describe("pairing, failover and failback", () => {
  for (const policy of policies) {
    it.scopedLive(`of a ${policy.primary} primary and a ${policy.backup} backup`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* startPair(at, quick, policy)
        yield* untilAnswered(at.primary.frontend)
        yield* killHard(primary)
        yield* untilAnswered(at.backup.frontend)
        yield* backup.waitForLine(takeover)
        const again = yield* start("primary", at, quick, policy.primary)
        yield* again.waitForLine(readyAsPassive.primary)
        yield* killHard(backup)
        yield* untilAnswered(at.primary.frontend)
        yield* again.waitForLine(takeover)
        const second = yield* start("backup", at, quick, policy.backup)
        yield* second.waitForLine(readyAsPassive.backup)
        yield* untilAnswered(at.primary.frontend)
        assert.deepStrictEqual(second.lines, [startLine.backup, readyAsPassive.backup])
      }))
  }

  for (const role of roles) {
    it.scopedLive(`of a hardened ${role} and a peer of another make`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const active = yield* start(role, at, quick)
        yield* peer.listened
        const speaking = (digit: Digit) => Effect.fork(peer.beat(digit))
        // Pairing.
        if (role === "primary") {
          const beats = yield* speaking("2")
          yield* peer.hear("3")
          yield* untilAnswered(at.primary.frontend)
          yield* Fiber.interrupt(beats)
          yield* killHard(active)
        } else {
          yield* killHard(active)
        }
        // The other one is active.
        const beats = yield* speaking("3")
        const again = yield* start(role, at, quick)
        yield* again.waitForLine(readyAsPassive[role])
        yield* peer.hear("4")
        // It falls silent, and comes back.
        yield* Fiber.interrupt(beats)
        yield* untilAnswered(at[role].frontend)
        yield* peer.hear("3")
        for (const digit of [role === "primary" ? "2" : "1", "4"] as const) {
          const beats = yield* speaking(digit)
          yield* peer.heard.more(3)
          yield* Fiber.interrupt(beats)
        }
        assert.deepStrictEqual(again.lines, [startLine[role], readyAsPassive[role], takeover])
        assert.strictEqual(peer.heard.entries.at(-1)!.frames.join(), "3")
        yield* again.kill("SIGTERM")
        yield* peer.hear(role === "primary" ? "1" : "2")
        assert.deepStrictEqual(yield* again.exit, { code: 0, signal: null })
      }))
  }
})

describe("a peer of another make", () => {
  for (const role of roles) {
    it.scopedLive(`never ends a hardened ${role}, whatever it says and when`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* start(role, at, quick)
        yield* peer.listened
        const words = ["1", "2", "3", "4", "junk", "", "33"]
        for (const one of words) {
          for (const two of words) {
            yield* Effect.forEach(["3", one, two, "4", two, one], (word) => peer.say(word))
          }
        }
        yield* Effect.forkScoped(Effect.repeat(
          Effect.forEach(["3", "4"], (word) => peer.say(word)),
          Schedule.spaced("10 millis")
        ))
        yield* peer.heard.more(5)
        yield* server.kill("SIGTERM")
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.strictEqual(server.lines.at(-1), "W: interrupted")
        assert.deepStrictEqual(server.lines.filter((line) => line.includes("fatal")), [])
      }))
  }
})
