import { assert, describe, it } from "@effect/vitest"
import { current, distinct, namesOf, whyInactive, withPeer } from "../../src/status/Observation.ts"
import { merge, now, pair, type Patch, reached, statusOf, takenOver, unreached } from "./observations.ts"

describe("Observation", () => {
  it("namesOf: roles, or addresses if the roles are the same", () => {
    const two = pair({}, { role: "primary" })
    assert.deepStrictEqual(namesOf([...pair(), unreached]), ["primary", "backup", "http://10.0.0.2:5011"])
    assert.deepStrictEqual(namesOf(two), two.map(({ address }) => `the primary at ${address}`))
  })

  it("distinct: a server at two addresses counts once", () => {
    const [primary, backup] = pair()
    assert.deepStrictEqual(distinct([primary, unreached, { ...primary, address: "http://a" }, backup]), [
      primary,
      backup
    ])
  })

  it("withPeer: the copy has the age of its request", () => {
    const self = reached(statusOf("primary"), { peer: { status: statusOf("backup"), error: null, ageMillis: 700 } })
    assert.deepInclude(withPeer(self)[1], { requestedAt: 4300, durationMillis: 710, address: "http://10.0.0.2:5011" })
    const failed = { status: null, error: "connection refused", ageMillis: null }
    assert.deepStrictEqual(withPeer({ ...self, peer: failed }), [{ ...self, peer: failed }, unreached])
    assert.deepStrictEqual(withPeer({ ...self, peer: null }).length, 1)
  })

  it("current: two servers that became active at once keep one status", () => {
    const young: Patch = { state: "ACTIVE", answers: true, since: now }
    assert.strictEqual(current(pair(young, young)).length, 1)
    assert.strictEqual(current(takenOver(20, 900)).length, 1)
    assert.strictEqual(current(takenOver(2000, 900)).length, 2)
  })

  it("whyInactive: explains each state", () => {
    const why = (patch: Patch) => whyInactive({ name: "it", status: merge(statusOf("backup"), patch) })
    const expired = { peer: { isExpired: true } }
    assert.strictEqual(why(expired), "it takes over with the next request")
    assert.strictEqual(why({ state: "HANDING_OVER" }), "it is handing over")
    assert.match(why({ state: "CONTESTED" }), /was active when its peer was, and decides within two heartbeats/)
    const never = { state: "BACKUP", peer: { state: null, isExpired: true } } as const
    assert.strictEqual(why(never), "it has not received a heartbeat from its primary yet and rejects every request")
    assert.strictEqual(
      why({ ...never, config: { lone: "serve" } }),
      "it has not received a heartbeat from its primary yet and takes over with the next request, unless a subscriber is connected to its state port"
    )
    assert.strictEqual(
      why({ state: "BACKUP", ...expired }),
      "it has lost its primary and takes over with the next request"
    )
    assert.strictEqual(
      why({ state: "BACKUP", policy: "classic", ...expired }),
      "it has not received a heartbeat from its primary yet and rejects every request"
    )
    assert.strictEqual(why({ state: "BACKUP", peer: { state: "PRIMARY" } }), "it waits for its primary")
    assert.strictEqual(why({ state: "PRIMARY" }), "it waits for its backup")
    assert.strictEqual(why({}), "it is PASSIVE")
    assert.match(
      why({ ...expired, takeoverBlock: { kind: "limited", until: now } }),
      /does not take over by itself, because it is limited/
    )
  })
})
