import { assert, describe, it } from "@effect/vitest"
import { causes } from "../../src/dashboard/page/causes.ts"
import { drawingOf, labelOf, markerOf, places } from "../../src/dashboard/page/machine.ts"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import * as Timeline from "../../src/dashboard/page/timeline.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import * as PolicyGraph from "../../src/protocol/PolicyGraph.ts"
import { pairStatusOf, received, statusOf } from "./fakeStatus.ts"

const noMoves = Timeline.latestMoves(Timeline.empty)

describe("the drawing of the state machine", () => {
  for (const policy of Policies.policyNames) {
    it(`has a row for each edge of the policy ${policy}, and an arrow unless the edge is a stop only`, () => {
      const edges = PolicyGraph.edges(Policies.policies[policy])
      const { arrows, rows } = drawingOf(policy)
      assert.deepStrictEqual(
        rows,
        edges.map(({ events, from, to }) => [from, to, events.map((event) => causes[event]).join("; ")])
      )
      const stops = edges.filter(({ events }) => events.join() === "Stopping").length
      assert.strictEqual(arrows.length, edges.length - stops)
      assert.notMatch(arrows.map(({ path }) => path).join(), /NaN|Infinity|undefined/)
    })
  }

  it("marks the state of each server, and the arrow of a move that led to it", () => {
    const pair = pairOf(pairStatusOf(), 0)
    const entry = { role: "primary", from: "PRIMARY", to: "ACTIVE" } as Timeline.Entry
    const marker = markerOf(pair, { ...noMoves, primary: entry }, "primary")
    assert.deepInclude(marker, { state: "ACTIVE", from: "PRIMARY", isByHeartbeats: false })
    assert.isBelow(marker.at![0], places.ACTIVE[0])
    assert.isAbove(markerOf(pair, noMoves, "backup").at![0], places.PASSIVE[0])
    const earlier = { ...entry, to: "PASSIVE" } as Timeline.Entry
    assert.isUndefined(markerOf(pair, { ...noMoves, primary: earlier }, "primary").from)
  })

  it("a silent server has no place", () => {
    const pair = pairOf({ self: statusOf("primary", received(null, true)), peer: null }, 0)
    assert.deepInclude(markerOf(pair, noMoves, "backup"), { state: undefined, at: undefined, isByHeartbeats: true })
    assert.strictEqual(
      labelOf(pair),
      "State machine of the policy hardened: the primary is ACTIVE, the backup is silent."
    )
  })
})
