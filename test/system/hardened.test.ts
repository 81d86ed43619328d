import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Schedule } from "effect"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import type { PolicyName } from "../../src/protocol/Policies.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import {
  assertLinesInOrder,
  assertNoLine,
  kill,
  readyAsActive,
  readyAsPassive,
  stalled,
  start,
  startPair,
  untilAnswered
} from "../support/pair.ts"
import type { Digit, Endpoints, Role } from "../support/processes.ts"
import { dealer, foreignPeer, freeEndpoints, other, publications, roles } from "../support/processes.ts"
import { eventTimeout, longHeartbeatMillis, steadyHeartbeatMillis } from "../support/times.ts"

const takeover = "I: failover successful, ready as active"
const peerDown = (at: Endpoints, role: Role) => `I: the peer is down (connection to ${at[role].state} refused)`

/** Sends the same requests, numbered, to both servers, 100 times a second. */
const requestBoth = (at: Endpoints) =>
  Effect.gen(function*() {
    const clients = { primary: yield* dealer(at.primary.frontend), backup: yield* dealer(at.backup.frontend) }
    let count = 0
    yield* Effect.suspend(() => {
      const number = String(++count)
      return Effect.zipRight(clients.primary.request(number), clients.backup.request(number))
    }).pipe(Effect.repeat(Schedule.spaced("10 millis")), Effect.forkScoped)
    /** The numbers above `from` that a server has answered. */
    const answered = (role: Role, from: number) =>
      clients[role].replies.entries.map(({ frames }) => Number(frames.join())).filter((number) => number > from)
    return {
      count: () => count,
      answered,
      /** Waits until a server has answered a number of requests that are sent from now on. */
      answers: (role: Role, expected: number) =>
        Effect.suspend(() => {
          const from = count
          return clients[role].replies.find(() => answered(role, from).length >= expected)
        }),
      /** The numbers above `from` that both servers have answered. */
      twice: (from: number) => {
        const others = new Set(answered("backup", from))
        return answered("primary", from).filter((number) => others.has(number))
      }
    }
  })

describe("kill -9", () => {
  it.scopedLive("H7 kill -9 of the active server: its peer receives crash evidence, and takes over before any peer timeout", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, longHeartbeatMillis)
      yield* kill(primary)
      yield* backup.waitForLine(peerDown(at, "primary"))
      yield* untilAnswered(at.backup.frontend)
      yield* backup.waitForLine(takeover)
      assertLinesInOrder(backup, readyAsPassive, peerDown(at, "primary"), takeover)

      // And back again.
      const again = yield* start("primary", at, longHeartbeatMillis)
      yield* again.waitForLine(readyAsPassive)
      yield* kill(backup)
      yield* again.waitForLine(peerDown(at, "backup"))
      yield* untilAnswered(at.primary.frontend)
      yield* again.waitForLine(takeover)
      assertLinesInOrder(again, readyAsPassive, peerDown(at, "backup"), takeover)
    }))

  for (const detection of ["on", "off"]) {
    it.scopedLive(`H1 kill -9 and a quick restart of the primary: never two answers (crash detection ${detection})`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const args = ["--crash-detection", detection]
        const { backup, primary } = yield* startPair(at, steadyHeartbeatMillis, () => ({ args }))
        const clients = yield* requestBoth(at)
        yield* clients.answers("primary", 20)
        yield* kill(primary)
        const from = clients.count()
        const again = yield* start("primary", at, steadyHeartbeatMillis, { args })
        const heartbeats = yield* publications(at.primary.state)
        yield* heartbeats.more(10)
        assert.deepStrictEqual(clients.twice(from), [])
        const paired = yield* again.waitForLine(/, ready as (?:active|passive)$/)
        yield* clients.answers(readyAsActive.test(paired) ? "primary" : "backup", 20)
        assert.deepStrictEqual(clients.twice(from), [])
        assert.strictEqual(backup.stderr() + again.stderr(), "")
      }))
  }
})

describe("SIGTERM", () => {
  it.scopedLive("H5 SIGTERM of the active server under load: no request fails, the final heartbeat is its role, its peer takes over", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, longHeartbeatMillis)
      const heartbeats = yield* publications(at.primary.state)
      yield* heartbeats.more(1)
      const client = yield* BinaryStarClient.make({
        servers: [at.primary.frontend, at.backup.frontend],
        timeout: eventTimeout
      }).pipe(Effect.provide(ZmqClientLink.layer))
      let answered = 0
      const users = yield* Effect.fork(
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
        }).pipe(Effect.raceFirst(Fiber.join(users)))
      yield* more(100)
      yield* primary.kill("SIGTERM")
      assert.deepStrictEqual(yield* primary.exit, { code: 0, signal: null })
      yield* backup.waitForLine(/^I: primary has handed over, ready as active/)
      yield* more(100)
      yield* Fiber.interrupt(users)
      assert.strictEqual(heartbeats.entries.at(-1)!.frames.join(), "1")
      assert.strictEqual(primary.lines.at(-1), "I: stopped cleanly")
      assert.strictEqual(primary.stderr() + backup.stderr(), "")
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it.scopedLive("H5 SIGTERM and restart of the passive server: the active server keeps answering", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, longHeartbeatMillis)
      const heartbeats = yield* publications(at.backup.state)
      yield* heartbeats.more(1)
      const clients = yield* requestBoth(at)
      yield* clients.answers("primary", 10)
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      assert.strictEqual(heartbeats.entries.at(-1)!.frames.join(), "2")
      yield* clients.answers("primary", 10)
      const again = yield* start("backup", at, longHeartbeatMillis)
      yield* again.waitForLine(readyAsPassive)
      yield* clients.answers("primary", 10)
      assert.deepStrictEqual(clients.answered("backup", 0), [])
      assertNoLine(primary, readyAsPassive)
    }))
})

describe("SIGSTOP longer than the peer timeout, and SIGCONT", () => {
  it.scopedLive("H4 SIGSTOP of the active server: it logs the stall, becomes passive, and answers nothing after SIGCONT", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, steadyHeartbeatMillis)
      const clients = yield* requestBoth(at)
      yield* clients.answers("primary", 20)
      yield* primary.kill("SIGSTOP")
      yield* backup.waitForLine(takeover)
      const from = clients.count()
      yield* clients.answers("backup", 20)
      yield* primary.kill("SIGCONT")
      yield* primary.waitForLine(stalled)
      yield* primary.waitForLine(readyAsPassive)
      yield* clients.answers("backup", 100)
      assert.deepStrictEqual(clients.answered("primary", from), [])
    }))

  for (const policy of ["classic", "hardened"] as const) {
    it.scopedLive(`H4 SIGSTOP of an active backup without a vote: the ${policy} primary becomes active when the backup restarts`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* startPair(at, steadyHeartbeatMillis, (role) => ({
          policy: role === "primary" ? policy : "hardened"
        }))
        yield* kill(primary)
        yield* untilAnswered(at.backup.frontend)
        const again = yield* start("primary", at, steadyHeartbeatMillis, { policy })
        yield* again.waitForLine(readyAsPassive)
        const heartbeats = yield* publications(at.primary.state)
        const { length } = backup.lines
        yield* backup.kill("SIGSTOP")
        yield* heartbeats.more(5)
        yield* backup.kill("SIGCONT")
        yield* backup.waitForLine(stalled, length)
        yield* again.waitForLine("I: backup (passive) is restarting, ready as active")
        yield* backup.waitForLine(readyAsPassive, length)
        yield* untilAnswered(at.primary.frontend)
      }))
  }
})

const policies: ReadonlyArray<{ readonly [R in Role]: PolicyName }> = [
  { primary: "hardened", backup: "hardened" },
  { primary: "hardened", backup: "classic" },
  { primary: "classic", backup: "hardened" }
]

describe("pairing, failover and failback", () => {
  for (const policy of policies) {
    it.scopedLive(`a ${policy.primary} primary and a ${policy.backup} backup pair, fail over and fail back`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const { backup, primary } = yield* startPair(at, steadyHeartbeatMillis, (role) => ({ policy: policy[role] }))
        yield* untilAnswered(at.primary.frontend)
        yield* kill(primary)
        yield* untilAnswered(at.backup.frontend)
        yield* backup.waitForLine(takeover)
        const again = yield* start("primary", at, steadyHeartbeatMillis, { policy: policy.primary })
        yield* again.waitForLine(readyAsPassive)
        yield* kill(backup)
        yield* untilAnswered(at.primary.frontend)
        yield* again.waitForLine(takeover)
        const second = yield* start("backup", at, steadyHeartbeatMillis, { policy: policy.backup })
        yield* second.waitForLine(readyAsPassive)
        yield* untilAnswered(at.primary.frontend)
        assertNoLine(second, readyAsActive)
      }))
  }

  for (const role of roles) {
    it.scopedLive(`a hardened ${role} and a foreign peer pair, fail over and fail back`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const active = yield* start(role, at, steadyHeartbeatMillis)
        yield* peer.subscribed
        const publishing = (digit: Digit) => Effect.fork(peer.heartbeats(digit))
        // Pairing.
        if (role === "primary") {
          const heartbeats = yield* publishing("2")
          yield* peer.receive("3")
          yield* untilAnswered(at.primary.frontend)
          yield* Fiber.interrupt(heartbeats)
        }
        yield* kill(active)
        // The peer is active.
        const heartbeats = yield* publishing("3")
        const again = yield* start(role, at, steadyHeartbeatMillis)
        yield* again.waitForLine(readyAsPassive)
        yield* peer.receive("4")
        // The peer is silent, and restarts.
        yield* Fiber.interrupt(heartbeats)
        yield* untilAnswered(at[role].frontend)
        yield* peer.receive("3")
        for (const digit of [role === "primary" ? "2" : "1", "4"] as const) {
          const heartbeats = yield* publishing(digit)
          yield* peer.received.more(3)
          yield* Fiber.interrupt(heartbeats)
        }
        assertLinesInOrder(again, readyAsPassive, takeover)
        assert.strictEqual(peer.received.entries.at(-1)!.frames.join(), "3")
        yield* again.kill("SIGTERM")
        yield* peer.receive(role === "primary" ? "1" : "2")
        assert.deepStrictEqual(yield* again.exit, { code: 0, signal: null })
      }))
  }
})

describe("a foreign peer", () => {
  for (const role of roles) {
    it.scopedLive(`H2 states in any order never end a hardened ${role}`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* start(role, at, steadyHeartbeatMillis)
        yield* peer.subscribed
        const messages = ["1", "2", "3", "4", "junk", "", "33"]
        for (const one of messages) {
          for (const two of messages) {
            yield* Effect.forEach(["3", one, two, "4", two, one], (message) => peer.publish(message))
          }
        }
        yield* Effect.forkScoped(Effect.repeat(
          Effect.forEach(["3", "4"], (digit) => peer.publish(digit)),
          Schedule.spaced("10 millis")
        ))
        yield* peer.received.more(5)
        yield* server.kill("SIGTERM")
        assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
        assert.strictEqual(server.lines.at(-1), "I: stopped cleanly")
        assertNoLine(server, /fatal/)
      }))
  }
})
