import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as RequestTable from "../../src/client/requestTable.ts"
import type { ReplyStatus } from "../../src/wire/Envelope.ts"
import { actions, retryAfterMillis, Rig, timeoutMillis } from "./tableRig.ts"

const numRuns = Number(process.env.BSTAR_RUNS ?? 200)

/** Longer than a request, its reply, and a round of votes take. */
const soonMillis = 100

const connected = (): Rig => {
  const rig = new Rig()
  rig.connect(0)
  rig.connect(1)
  return rig
}

/** A rig whose second server has been found active; the first one sends nothing. */
const secondActive = (): Rig => {
  const rig = connected()
  rig.behave(0, "Dropped")
  rig.request(true)
  rig.advance(soonMillis)
  assert.strictEqual(rig.table.activeServer, rig.peers[1]!.server)
  return rig
}

describe("a request", () => {
  it("is sent to the first connected server, and then to the active one", () => {
    const rig = new Rig()
    rig.connect(1)
    assert.deepStrictEqual(rig.sentTo(rig.request(true)), [1])
    rig.connect(0)
    rig.advance(soonMillis)
    assert.deepStrictEqual(rig.sentTo(rig.request(true)), [1])
  })

  it("waits for the first connection", () => {
    const rig = new Rig()
    const requests = [rig.request(true), rig.request(false)]
    rig.advance(timeoutMillis / 2)
    rig.connect(1)
    rig.advance(soonMillis)
    assert.deepStrictEqual(requests.map((request) => rig.reasonOf(request)), ["Replied", "Replied"])
  })

  it("votes when its server does not reply, and all others follow it to the active server", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    const requests = [rig.request(true), rig.request(true), rig.request(true)]
    rig.advance(RequestTable.voteAfterMillis)
    assert.deepStrictEqual(requests.map((request) => rig.sentTo(request).filter((index) => index === 1).length), [
      1,
      0,
      0
    ])
    rig.advance(2)
    assert.strictEqual(rig.table.activeServer, rig.peers[1]!.server)
    rig.advance(2)
    assert.deepStrictEqual(requests.map((request) => rig.reasonOf(request)), ["Replied", "Replied", "Replied"])
  })

  it("that no server answers does not keep the others from voting", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    rig.behave(1, "Dropped")
    const ids = [rig.request(true), rig.request(true), rig.request(true)].map(({ id }) => id)
    rig.advance(400)
    const voters = rig.sent.filter(({ peer }) => peer === rig.peers[1]).map(({ id }) => id)
    assert.deepStrictEqual(voters.slice(0, 6), [...ids, ...ids])
  })

  it("that was sent a moment ago does not vote yet", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    rig.advance(soonMillis)
    rig.request(true)
    assert.deepStrictEqual(RequestTable.vote(rig.table, rig.now + 1).sends, [])
    assert.isFalse(RequestTable.isOverdue(rig.table, rig.now + 1))
    assert.isTrue(RequestTable.isOverdue(rig.table, rig.now + RequestTable.voteAfterMillis))
  })

  it("is sent again, a little later, to a server that is found active and may have dropped it", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    rig.behave(1, "Dropped")
    const dropped = rig.request(true)
    rig.advance(soonMillis)
    rig.lose(0)
    rig.advance(1)
    rig.behave(1, "Reply")
    const quick = rig.request(true)
    rig.advance(2)
    assert.deepStrictEqual([quick, dropped].map((request) => rig.reasonOf(request)), ["Replied", undefined])
    rig.advance(RequestTable.reorderMillis - 1)
    assert.strictEqual(rig.sent.at(-1)!.id, quick.id)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(dropped), "Replied")
  })

  it("is not sent twice by two decisions of the same moment", () => {
    for (const resend of [false, true]) {
      const rig = secondActive()
      const request = rig.request(resend)
      assert.isUndefined(RequestTable.beginAttempt(rig.table, { request, server: rig.peers[1]!.server }, rig.now))
      assert.deepStrictEqual(rig.sentTo(request), [1])
    }
  })

  it("is sent to the active server again only after retryAfter", () => {
    const rig = secondActive()
    rig.behave(1, "Executed")
    const startedAt = rig.now
    const request = rig.request(true)
    rig.advance(retryAfterMillis - 1)
    assert.deepStrictEqual(rig.sentTo(request).filter((index) => index === 1), [1])
    rig.advance(soonMillis)
    const again = rig.sent.filter(({ id, peer }) => id === request.id && peer === rig.peers[1])
    assert.strictEqual(again.length, 2)
    assert.isAtLeast(again[1]!.at - startedAt, retryAfterMillis)
  })

  it("fails with NoReply when its time is over, with Unanswered if it must not be resent and was sent", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    rig.behave(1, "Dropped")
    const requests = [rig.request(true), rig.request(false)]
    rig.advance(timeoutMillis - 1)
    assert.deepStrictEqual(requests.map((request) => rig.reasonOf(request)), [undefined, undefined])
    rig.advance(1)
    assert.deepStrictEqual(requests.map((request) => rig.reasonOf(request)), ["NoReply", "Unanswered"])
    assert.deepStrictEqual(rig.sentTo(requests[1]!), [0])
    const unsent = new Rig()
    const request = unsent.request(false)
    unsent.advance(timeoutMillis)
    assert.strictEqual(unsent.reasonOf(request), "NoReply")
  })

  it("that must not be resent fails soon after another server is found active", () => {
    const rig = connected()
    rig.behave(0, "Dropped")
    const [once, again] = [rig.request(false), rig.request(true)]
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(again), "Replied")
    assert.strictEqual(rig.reasonOf(once), undefined)
    rig.advance(RequestTable.statusGraceMillis)
    assert.strictEqual(rig.reasonOf(once), "Unanswered")
    assert.deepStrictEqual(rig.sentTo(once), [0])
  })

  it("that must not be resent goes to the other server after NotActive, also when that is active by then", () => {
    const rig = connected()
    rig.behave(0, "NotActive", soonMillis / 2)
    const [once, again] = [rig.request(false), rig.request(true)]
    rig.advance(2 * soonMillis)
    assert.deepStrictEqual([once, again].map((request) => rig.reasonOf(request)), ["Replied", "Replied"])
    assert.deepStrictEqual(rig.sentTo(once), [0, 1])
  })

  it("that must not be resent has all its time at the active server, although it was at another one before", () => {
    const rig = connected()
    rig.behave(0, "NotActive", soonMillis / 2)
    const [once, again] = [rig.request(false), rig.request(true)]
    rig.advance(soonMillis / 2)
    assert.strictEqual(rig.reasonOf(again), "Replied")
    rig.behave(1, "Reply", 3 * RequestTable.statusGraceMillis)
    rig.advance(RequestTable.statusGraceMillis + 2 * soonMillis)
    assert.deepStrictEqual(rig.sentTo(once), [0, 1])
    assert.strictEqual(rig.reasonOf(once), undefined)
    rig.advance(6 * RequestTable.statusGraceMillis)
    assert.strictEqual(rig.reasonOf(once), "Replied")
  })

  it("that must not be resent and was dropped waits for a connection, although another server was active", () => {
    const rig = connected()
    rig.behave(0, "NotActive", soonMillis / 2)
    const [once, again] = [rig.request(false), rig.request(true)]
    rig.advance(soonMillis / 2 - 1)
    assert.strictEqual(rig.reasonOf(again), "Replied")
    rig.lose(1)
    const attempt = once.attempts[0]!.sequence
    rig.receive(rig.peers[0]!, { id: once.id, attempt, status: "NotActive", token: undefined, body: [] })
    rig.lose(0)
    rig.advance(RequestTable.statusGraceMillis + soonMillis)
    assert.strictEqual(rig.reasonOf(once), undefined)
    rig.connect(1)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(once), "Replied")
  })

  it("fails with Unanswered when its connection is lost and it must not be resent, and is resent otherwise", () => {
    const rig = connected()
    rig.behave(0, "Executed")
    const requests = [rig.request(false), rig.request(true)]
    rig.lose(0)
    rig.advance(soonMillis)
    assert.deepStrictEqual(requests.map((request) => rig.reasonOf(request)), ["Unanswered", "Replied"])
  })

  it("is offered again when the queue of its connection was full", () => {
    const rig = connected()
    rig.peers[0]!.isFull = true
    const request = rig.request(false)
    assert.strictEqual(request.sentCount, 0)
    rig.peers[0]!.isFull = false
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(request), "Replied")
    assert.strictEqual(request.sentCount, 1)
  })
})

describe("a status", () => {
  const statuses: ReadonlyArray<[ReplyStatus, boolean, string | undefined]> = [
    ["NotActive", true, undefined],
    ["NotActive", false, undefined],
    ["Interrupted", true, undefined],
    ["Interrupted", false, "Unanswered"],
    ["Failed", true, "Failed"],
    ["TimedOut", true, "TimedOut"],
    ["Busy", true, "Busy"]
  ]
  for (const [status, resend, reason] of statuses) {
    it(`${status}: a request that ${resend ? "may" : "must not"} be resent ${reason ? `fails with ${reason}` : "goes on"}`, () => {
      const rig = connected()
      rig.behave(0, status)
      const request = rig.request(resend)
      rig.advance(2)
      assert.strictEqual(rig.reasonOf(request), reason)
      rig.advance(soonMillis)
      assert.strictEqual(rig.reasonOf(request), reason ?? "Replied")
    })
  }

  for (const status of ["NotActive", "Interrupted", "Busy"] as const) {
    it(`${status} of an earlier attempt does not end or move the request`, () => {
      const rig = connected()
      rig.behave(0, "Executed")
      rig.behave(1, "Executed")
      const request = rig.request(true)
      rig.advance(retryAfterMillis)
      const { attempts } = request
      rig.receive(rig.peers[0]!, { id: request.id, attempt: 1, status, token: undefined, body: [] })
      assert.strictEqual(rig.reasonOf(request), undefined)
      assert.deepStrictEqual(request.attempts, attempts)
    })
  }
})

it("Busy of an earlier attempt: the server receives no further copy, and its report on the latest one counts", () => {
  const rig = connected()
  rig.behave(0, "Executed")
  rig.behave(1, "Executed")
  const request = rig.request(true)
  rig.advance(soonMillis)
  const busy = (attempt: number) =>
    rig.receive(rig.peers[0]!, { id: request.id, attempt, status: "Busy", token: undefined, body: [] })
  busy(1)
  assert.strictEqual(rig.table.activeServer, rig.peers[0]!.server)
  const latest = request.attempts.find(({ server }) => server === rig.peers[0]!.server)!.sequence
  rig.advance(3 * retryAfterMillis)
  assert.strictEqual(request.attempts.find(({ server }) => server === rig.peers[0]!.server)!.sequence, latest)
  busy(latest)
  assert.strictEqual(rig.reasonOf(request), "Busy")
})

describe("a stale server", () => {
  /** Both servers have replied, the second one with a later term; the first one does not know, and replies after `delayMillis`. */
  const superseded = (resend: boolean, delayMillis = soonMillis) => {
    const rig = connected()
    rig.activate(0)
    rig.request(true)
    rig.advance(soonMillis)
    rig.behave(0, "Reply", delayMillis)
    const early = rig.request(resend)
    rig.activate(1)
    return { rig, early }
  }

  it("its reply is dropped, and the request is answered by the other one", () => {
    const { early, rig } = superseded(true, retryAfterMillis)
    rig.peers[1]!.delayMillis = 1.5 * retryAfterMillis
    rig.receive(rig.peers[1]!, { id: "gone", attempt: 1, status: undefined, token: rig.lastToken, body: [] })
    rig.advance(2.5 * retryAfterMillis)
    assert.isTrue(rig.replies.some(([peer, { id }]) => peer === rig.peers[0] && id === early.id))
    assert.strictEqual(rig.reasonOf(early), undefined)
    rig.advance(retryAfterMillis)
    assert.strictEqual(rig.reasonOf(early), "Replied")
    assert.strictEqual(rig.table.activeServer, rig.peers[1]!.server)
  })

  it("a request that it has executed, and that must not be resent, is Unanswered", () => {
    const { early, rig } = superseded(false, retryAfterMillis)
    rig.receive(rig.peers[1]!, { id: "gone", attempt: 1, status: undefined, token: rig.lastToken, body: [] })
    rig.advance(2 * retryAfterMillis)
    assert.strictEqual(rig.reasonOf(early), "Unanswered")
  })

  for (const status of ["Failed", "TimedOut", "Busy"] as const) {
    it(`its ${status} is dropped, too`, () => {
      const { early, rig } = superseded(true, retryAfterMillis)
      rig.behave(0, status, retryAfterMillis)
      rig.receive(rig.peers[1]!, { id: "gone", attempt: 1, status: undefined, token: rig.lastToken, body: [] })
      rig.advance(8 * retryAfterMillis)
      assert.strictEqual(rig.reasonOf(early), "Replied")
    })
  }

  it("it does not execute a request whose client knows the later term", () => {
    const { rig } = superseded(true)
    rig.receive(rig.peers[1]!, { id: "gone", attempt: 1, status: undefined, token: rig.lastToken, body: [] })
    const next = rig.request(false)
    rig.advance(4 * soonMillis)
    assert.deepStrictEqual(rig.sentTo(next), [0, 1])
    assert.strictEqual(rig.executions.get(next.id), 1)
    assert.strictEqual(rig.reasonOf(next), "Replied")
  })

  it("terms without a witness are not ordered: the last one counts", () => {
    const rig = connected()
    for (const token of [7, 3]) {
      rig.peers[0]!.token = token
      const request = rig.request(true)
      rig.advance(soonMillis)
      assert.strictEqual(rig.reasonOf(request), "Replied")
      assert.strictEqual(rig.table.latestToken, token)
    }
    rig.activate(0)
    rig.request(true)
    rig.advance(soonMillis)
    rig.peers[0]!.token = 3
    const request = rig.request(true)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(request), "Replied")
    assert.strictEqual(rig.table.latestToken, rig.lastToken)
  })
})

describe("the active server", () => {
  it("does not change because of a reply to an attempt from before it was found", () => {
    const rig = connected()
    rig.behave(0, "Reply", soonMillis)
    const late = rig.request(false)
    rig.request(true)
    rig.advance(2 * soonMillis)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(late), "Replied")
    assert.strictEqual(rig.table.activeServer, rig.peers[1]!.server)
  })

  it("is not one that has reported NotActive since it received the request", () => {
    const rig = connected()
    rig.behave(0, "Executed")
    const held = rig.request(false)
    rig.behave(0, "NotActive")
    rig.behave(1, "Dropped")
    rig.request(false)
    rig.advance(2)
    rig.receive(rig.peers[0]!, { id: held.id, attempt: 1, status: undefined, token: undefined, body: [] })
    assert.strictEqual(rig.reasonOf(held), "Replied")
    assert.strictEqual(rig.table.activeServer, undefined)
  })

  it("is deprioritized when it reports NotActive, when its connection is lost, and when a request times out there", () => {
    const failures: ReadonlyArray<(rig: Rig) => void> = [
      (rig) => {
        rig.behave(1, "NotActive")
        rig.request(false)
        rig.advance(2)
      },
      (rig) => rig.lose(1),
      (rig) => {
        rig.behave(1, "Dropped")
        rig.request(false)
        rig.advance(timeoutMillis)
      }
    ]
    for (const fail of failures) {
      const rig = secondActive()
      fail(rig)
      assert.strictEqual(rig.table.activeServer, undefined)
      assert.deepStrictEqual(rig.sentTo(rig.request(false)), [0])
    }
  })
})

describe("whatever happens", () => {
  it.prop("every request ends exactly once and in time; one that must not be resent is executed at most once", {
    actions
  }, ({ actions }) => {
    const rig = new Rig()
    actions.forEach((action) => rig.run(action))
    rig.advance(timeoutMillis)
    assert.strictEqual(rig.outcomes.size, rig.requests.length)
    assert.strictEqual(rig.table.pending.size, 0)
  }, { fastCheck: { numRuns } })

  it.prop("closing ends every pending request, and no message is sent afterwards", { actions }, ({ actions }) => {
    const rig = new Rig()
    actions.forEach((action) => rig.run(action))
    const requests = rig.table.pending.toArray()
    assert.deepStrictEqual(RequestTable.close(rig.table).map(({ request }) => request), requests)
    for (const request of requests) {
      for (const { server } of rig.peers) {
        assert.isUndefined(RequestTable.beginAttempt(rig.table, { request, server }, rig.now))
      }
    }
  }, { fastCheck: { numRuns } })

  it.prop("the active server is found once the faults end, and alone receives what follows", {
    actions,
    index: FastCheck.constantFrom(0 as const, 1 as const),
    passive: FastCheck.constantFrom("NotActive" as const, "Dropped" as const)
  }, ({ actions, index, passive }) => {
    const rig = new Rig()
    actions.forEach((action) => rig.run(action))
    rig.sendDelayMillis = 0
    rig.activate(index)
    for (const one of [0, 1] as const) {
      rig.behave(one, one === index ? "Reply" : passive)
      rig.peers[one]!.isFull = false
      rig.connect(one)
    }
    rig.advance(timeoutMillis)
    const found = rig.request(true)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(found), "Replied")
    assert.strictEqual(rig.table.activeServer, rig.peers[index]!.server)
    const next = rig.request(false)
    rig.advance(soonMillis)
    assert.strictEqual(rig.reasonOf(next), "Replied")
    assert.deepStrictEqual(rig.sentTo(next), [index])
  }, { fastCheck: { numRuns } })
})
