import { assert, describe, it } from "@effect/vitest"
import { cardOf } from "../../src/dashboard/page/cards.ts"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import type { PairStatus } from "../../src/status/Status.ts"
import { pairStatusOf, received, statusOf } from "./fakeStatus.ts"

const cardsOf = (status: PairStatus) => {
  const pair = pairOf(status, 0)
  return { primary: cardOf(pair, pair.servers.primary, 12), backup: cardOf(pair, pair.servers.backup, null) }
}

describe("cards", () => {
  it("a server with a status has its state, its counters and its settings", () => {
    const { backup, primary } = cardsOf(pairStatusOf())
    assert.deepInclude(primary.texts, { place: "this server", state: "ACTIVE", duty: "answers clients", block: "" })
    assert.deepInclude(backup.texts, { place: "peer", state: "PASSIVE", duty: "stands by" })
    assert.match(primary.texts.since, /^for 1 h, since \d\d:00:00$/)
    assert.deepInclude(primary.lists.figures, ["Requests", "12/s"])
    assert.deepInclude(backup.lists.figures, ["Requests", "–"])
    assert.deepInclude(primary.lists.counters, ["Accepted", "1,284,120"])
    assert.deepInclude(primary.lists.settings, ["Failovers", "at most 3 in 1 h"])
    assert.deepInclude(primary, { age: 0.206, isPeerExpired: false })
  })

  it("a peer without a status has its last heartbeat, and why the status is missing", () => {
    const textsOf = (peer: PairStatus["peer"], ...last: Parameters<typeof received>) =>
      cardsOf({ self: statusOf("primary", received(...last)), peer }).backup.texts
    assert.deepInclude(textsOf({ status: null, error: "no response", ageMillis: null }, "PASSIVE", true), {
      state: "SILENT",
      duty: "no heartbeats received",
      message: "Its last heartbeat reported PASSIVE, 4 s ago.",
      why: "Its status is unavailable: no response"
    })
    assert.deepInclude(textsOf(null, null, true), {
      message: "The primary has received no heartbeat from it.",
      why: "Its status is unknown: the primary runs without --peer-http."
    })
    assert.deepInclude(textsOf(null, "ACTIVE", false), { state: "ACTIVE", duty: "answers clients" })
  })

  it("a missed peer timeout, a block and a reason are shown", () => {
    const { texts } = cardsOf(pairStatusOf(statusOf("primary", {
      ...received("PASSIVE", true),
      takeoverBlock: { kind: "limited", until: "2026-01-31T13:10:00.000Z" },
      explanation: "vote",
      reason: "ticket 7"
    }))).primary
    assert.deepInclude(texts, {
      block: "limited",
      why: "vote · reason: ticket 7",
      heartbeat: "heartbeat of its peer: PASSIVE, 4 s ago: peer timeout"
    })
  })

  it("a reason that is part of the message is not repeated", () => {
    const { texts } = cardsOf(pairStatusOf(statusOf("primary", {
      message: "took over by switchover: new kernel",
      explanation: "the final heartbeat of term 0.1",
      reason: "new kernel"
    }))).primary
    assert.deepInclude(texts, {
      message: "took over by switchover: new kernel",
      why: "the final heartbeat of term 0.1"
    })
  })
})
