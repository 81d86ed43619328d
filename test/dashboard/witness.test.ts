import { assert, describe, it } from "@effect/vitest"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import { witnessCardOf } from "../../src/dashboard/page/witness.ts"
import type { PairStatus, Witness } from "../../src/status/Status.ts"
import { witnessOf } from "../status/observations.ts"
import { pairStatusOf, received, statusOf, witnessedStatusOf } from "./fakeStatus.ts"

const cardOf = (status: PairStatus) => witnessCardOf(pairOf(status, 0))

const seenBy = (primary: Partial<Witness>, backup: Partial<Witness>): PairStatus =>
  pairStatusOf(
    witnessedStatusOf("primary", { witness: { ...witnessOf("primary"), ...primary } }),
    witnessedStatusOf("backup", { witness: { ...witnessOf("backup"), ...backup } })
  )

describe("the card of the witness", () => {
  it("a pair without a witness has none, nor have servers of an earlier version", () => {
    assert.isUndefined(cardOf(pairStatusOf()))
    assert.isUndefined(cardOf(pairStatusOf(statusOf("primary", { witness: null }), statusOf("backup"))))
  })

  it("a witness that answers: its record, its latency, and the rights of each server", () => {
    const card = cardOf(seenBy({}, {}))
    assert.deepInclude(card!, { level: "good" })
    assert.deepStrictEqual(card!.texts, {
      place: "etcd://10.0.0.3:2379/orders",
      state: "UP",
      duty: "answers both servers",
      message: "It has recorded term 3.1, held by the primary.",
      why: ""
    })
    assert.deepInclude(card!.figures, ["Term", "3.1"])
    assert.deepInclude(card!.figures, ["Holder", "primary"])
    assert.deepInclude(card!.figures, ["Last answer", "0.2 s ago"])
    assert.deepInclude(card!.figures, ["p50 overall", "4.00 ms"])
    assert.deepStrictEqual(card!.rights, {
      primary: {
        summary: "may serve",
        held: [{ text: "from the witness: 1.3 s left", part: 1300 / 1500 }, {
          text: "from its peer: 0.9 s left",
          part: 0.6
        }]
      },
      backup: { summary: "holds no right, and takes over by evidence only for 1.8 s", held: [] }
    })
  })

  it("a witness that answers one server, or neither", () => {
    const silent = { isUp: false, problem: "no answer within 1s", answeredMillisAgo: 65_000 }
    const half = cardOf(seenBy({}, silent))
    assert.deepInclude(half!, { level: "warning" })
    assert.deepInclude(half!.texts, {
      state: "UP",
      duty: "answers the primary only",
      why: "backup: no answer within 1s"
    })
    const none = cardOf(seenBy(silent, { ...silent, answeredMillisAgo: null, record: null }))
    assert.deepInclude(none!, { level: "warning" })
    assert.deepInclude(none!.texts, { state: "SILENT", duty: "answers neither server" })
    assert.deepInclude(none!.figures, ["Last answer", "1 min 5 s ago"])
  })

  it("a silent witness is critical once a server is alone, as for bstar doctor", () => {
    const silent = { ...witnessOf("primary"), isUp: false, problem: "no answer within 1s" }
    const alone = witnessedStatusOf("primary", { witness: silent, ...received("PASSIVE", true) })
    assert.strictEqual(cardOf({ self: alone, peer: null })!.level, "critical")
    assert.strictEqual(cardOf(pairStatusOf(alone, witnessedStatusOf("backup")))!.level, "critical")
    assert.strictEqual(
      cardOf({ self: witnessedStatusOf("primary", received("PASSIVE", true)), peer: null })!.level,
      "good"
    )
  })

  it("a peer without a status: its rights are not known", () => {
    const card = cardOf({ self: witnessedStatusOf("primary", received("PASSIVE", true)), peer: null })
    assert.deepInclude(card!.texts, { duty: "answers the primary" })
    assert.deepStrictEqual(card!.rights.backup, { summary: "not known", held: [] })
  })

  it("a record that was released, and a right without an end", () => {
    const record = { ...witnessOf("primary").record!, isReleased: true }
    const card = cardOf(seenBy({ record, rights: [{ of: "operator", leftMillis: null }] }, {}))
    assert.strictEqual(card!.texts.message, "It has recorded term 3.1, which the primary has given up.")
    assert.deepStrictEqual(card!.rights.primary.held, [
      { text: "from an operator, who answers for the others: until one of them answers", part: 1 }
    ])
  })
})
