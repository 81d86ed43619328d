import { assert, describe, it } from "@effect/vitest"
import * as Model from "../../../src/verify/model/Model.ts"
import { properties } from "../../../src/verify/model/Properties.ts"
import { atOnce, classic, hardened, violates, violations, yieldAfterEach } from "./explorations.ts"

yieldAfterEach()

/** The largest of these models take many seconds of CPU. */
const timeoutMillis = 300_000

describe("the classic policy", () => {
  it("violates nothing without faults", () => {
    assert.deepStrictEqual(violations(classic({})), {})
  })

  it("B4, B7: two answer when the primary is restarted quickly, and a lone backup rejects for ever", () => {
    assert.deepStrictEqual(violations(classic({ kills: 1 })), { "dual-answer": 0, "no-answer": 25 })
    assert.deepStrictEqual(violations(classic({ stops: 1 })), { "dual-answer": 0, "no-answer": 25 })
    assert.deepStrictEqual(violations(classic({ kills: 3 })), { "dual-answer": 0, abort: 0, "no-answer": 25 })
  })

  it("B5, B6: two answer, and one aborts, when a process is paused", () => {
    assert.deepStrictEqual(violations(classic({ pauses: 1 })), { "dual-answer": 5, abort: 7, "no-answer": 25 })
  })

  it("B15: a server aborts when a cut link heals", () => {
    assert.deepStrictEqual(violations(classic({ cuts: 1 })), { "dual-answer-under-cut": 5, abort: 5 })
  })
})

describe("the hardened policy", () => {
  it.each<Model.Options>([
    hardened({}),
    hardened({ kills: 2 }),
    hardened({ kills: 1, stops: 1 }),
    hardened({ kills: 1, pauses: 1 }),
    { ...hardened({ kills: 1, stops: 1 }), evidence: false },
    { ...hardened({ pauses: 1 }), evidence: false }
  ])("violates nothing after kills, stops and pauses: %#", (options) => {
    assert.deepStrictEqual(violations(options), {})
  }, timeoutMillis)

  it.each<Model.Options>([
    hardened({ handovers: 1 }),
    hardened({ handovers: 2, ...atOnce }),
    hardened({ handovers: 1, kills: 1, ...atOnce }),
    hardened({ handovers: 1, pauses: 1, ...atOnce }),
    { ...hardened({ handovers: 1 }), evidence: false }
  ])("violates nothing when an operator hands over and promotes: %#", (options) => {
    assert.deepStrictEqual(violations(options), {})
  }, timeoutMillis)

  it("violates nothing where failovers are limited", () => {
    assert.deepStrictEqual(violations(hardened({ kills: 2, maxFailovers: 1 })), {})
    assert.deepStrictEqual(violations(hardened({ kills: 1, pauses: 1, maxFailovers: 1, ...atOnce })), {})
  })

  it("violates nothing where a lone backup serves", () => {
    assert.deepStrictEqual(violations(hardened({ lone: "serve", kills: 1 })), {})
    assert.deepStrictEqual(violations(hardened({ lone: "serve", pauses: 1 })), {})
  })

  it("H10: violates nothing however long handshakes take", () => {
    for (const handshake of [0, 1, 3]) {
      assert.deepStrictEqual(violations(hardened({ kills: 1, handshake })), {})
    }
    assert.throws(() => Model.make(hardened({ handshake: Model.maxHandshake + 1 })), RangeError)
  })

  it("H2, H11: two answer only while the link is cut", () => {
    assert.deepStrictEqual(violations(hardened({ kills: 1, cuts: 1, ...atOnce })), { "dual-answer-under-cut": 5 })
    assert.deepStrictEqual(violations(hardened({ cuts: 1 })), { "dual-answer-under-cut": 5 })
  }, timeoutMillis)

  it("two answer if messages may take a whole heartbeat", () => {
    assert.deepStrictEqual(violations(hardened({ pauses: 1, delay: 0 })), {})
    assert.isTrue(violates(hardened({ pauses: 1, delay: 2 }), "dual-answer"))
  })

  it("a sentence names the longest time without an answer, and the exception", () => {
    const sentences = (options: Model.Options) => {
      const model = Model.make(options)
      return properties.flatMap(({ exception, sentence }) => [sentence(model.setup), exception ?? ""]).join("; ")
    }
    assert.include(sentences(hardened({})), "the link is whole, yet for longer than 4 heartbeats neither would answer")
    assert.include(sentences(hardened({})), "for longer than 12 heartbeats it does not answer")
    assert.include(sentences(hardened({ handovers: 1 })), "for longer than 18 heartbeats it does not answer")
    assert.include(sentences(hardened({})), "a backup that has received nothing from its primary since it started")
  })
})
