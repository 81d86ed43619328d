import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { BootClock } from "../../src/internal/BootClock.ts"
import * as Counters from "../../src/member/Counters.ts"
import * as Dialogue from "../../src/member/Dialogue.ts"
import type { Input } from "../../src/member/Member.ts"
import * as Core from "../../src/member/Member.ts"
import * as Notices from "../../src/member/notices.ts"
import type { Heartbeat } from "../../src/protocol/Heartbeat.ts"
import { stateOnly } from "../../src/protocol/Heartbeat.ts"
import { makePair } from "../support/nodes.ts"
import { makeRules } from "./rules.ts"

const rules = makeRules()

/** A member that has sent heartbeats 1 to 9, at 1000 to 9000 ms. */
const member = {
  ...Core.start(rules, 0).member,
  dialogue: Array.from({ length: 9 }, (_, i) => (i + 1) * 1000).reduce(
    (dialogue, at) => Dialogue.send(dialogue, { at, state: "PASSIVE", question: undefined }),
    Dialogue.empty
  )
}

const heartbeat = (receivedAt: number, echo: number, different: Partial<Heartbeat> = {}): Input => ({
  _tag: "PeerHeartbeat",
  state: "PASSIVE",
  receivedAt,
  linkEpoch: 0,
  heartbeat: {
    life: "peer",
    sequence: receivedAt,
    state: "PASSIVE",
    ...stateOnly,
    received: { life: rules.life, sequence: echo },
    ...different
  }
})

const refused = (asOf: number): Input => ({
  _tag: "PeerDown",
  evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf },
  linkEpoch: 0
})

/** How often crash evidence was refuted. */
const refutations = (...inputs: ReadonlyArray<Input>) =>
  Effect.gen(function*() {
    const counters = Counters.make(1000)
    const log: Array<string> = []
    const notices = yield* Notices.make(rules, () => 0, counters)
    yield* notices.checkEvidence(inputs, member).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => log.push(String(message)))))
    )
    assert.lengthOf(log, Math.min(1, counters.refuted))
    return counters.refuted
  })

describe("crash evidence", () => {
  it.effect("refuted: the same process echoes what was sent after the refused attempt", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refutations(heartbeat(5000, 4), refused(5500), heartbeat(6100, 6)), 1)
      assert.strictEqual(
        yield* refutations(
          heartbeat(5000, 4),
          refused(5500),
          heartbeat(6100, 6),
          heartbeat(7100, 7),
          refused(7500),
          heartbeat(8100, 8)
        ),
        2
      )
    }))

  it.effect("not refuted: an older echo, another process, a later heartbeat, a hand-over", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refutations(heartbeat(5000, 4), refused(5500), heartbeat(5600, 5)), 0)
      assert.strictEqual(
        yield* refutations(heartbeat(5000, 4), refused(5500), heartbeat(6100, 6, { life: "restarted" })),
        0
      )
      assert.strictEqual(yield* refutations(heartbeat(5000, 4), refused(5500), heartbeat(8100, 8)), 0)
      assert.strictEqual(
        yield* refutations(heartbeat(5000, 4, { handsOver: true }), refused(5500), heartbeat(6100, 6)),
        0
      )
      assert.strictEqual(yield* refutations(refused(5500), heartbeat(6100, 6)), 0)
    }))
})

describe("the clocks", () => {
  it.scoped("a machine that was suspended is counted, reported and logged, once", () =>
    Effect.gen(function*() {
      const { primary } = yield* makePair()
      const clocks = { boot: 1000, monotonic: 0 }
      const server = yield* Effect.provideService(primary.start, BootClock, {
        boot: () => clocks.boot,
        monotonic: () => clocks.monotonic
      })
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined((yield* server.report).suspension)
      clocks.boot += 4000
      yield* TestClock.adjust("2 seconds")
      const { counters, suspension } = yield* server.report
      assert.strictEqual(counters.suspended, 1)
      assert.strictEqual(suspension?.millis, 4000)
      assert.lengthOf(primary.log.filter((line) => /this machine was suspended for 4000 ms/.test(line)), 1)
    }))
})
