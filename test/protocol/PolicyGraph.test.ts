import { assert, describe, it } from "@effect/vitest"
import * as Policies from "../../src/protocol/Policies.ts"
import * as PolicyGraph from "../../src/protocol/PolicyGraph.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"

type Cause = StateMachine.Event["_tag"]

/** The states that a cell can lead to, whatever it depends on: read from the table, without a step. */
const targetsOf = (cell: StateMachine.Cell): ReadonlyArray<StateMachine.State> => {
  switch (cell._tag) {
    case "TakeOver":
      return ["ACTIVE"]
    case "ByReceived":
      return [...targetsOf(cell.received), ...targetsOf(cell.unreceived)]
    case "ServeAlone":
      return targetsOf(cell.cell)
    case "KeepIfAlone":
      return targetsOf(cell.otherwise)
    default:
      return "state" in cell ? [cell.state] : []
  }
}

const optionalTags = [...StateMachine.heartbeatEventTags, ...StateMachine.rightEventTags]

const textOf = (from: string, event: Cause, to: string) => `${from} ${event} ${to}`

for (const [name, policy] of Object.entries(Policies.policies)) {
  const all = PolicyGraph.transitions(policy)
  const rows = PolicyGraph.condense(all)

  describe(`PolicyGraph of the policy ${name}`, () => {
    it("transitions: lists each role, state, event and peer once", () => {
      const keys = all.map(({ event, peer, role, state }) => [role, state, event, peer].join())
      assert.strictEqual(new Set(keys).size, keys.length)
      const pairs = new Set(all.map(({ role, state }) => `${role} ${state}`))
      const common = all.filter(({ peer }) => peer === "alive" || peer === "expired")
      const optional = [policy.primary, policy.backup].flatMap((table) =>
        Object.values<StateMachine.Row>(table).flatMap((row) =>
          optionalTags.filter((event) => row[event] !== undefined)
        )
      )
      assert.strictEqual(common.length, (pairs.size * StateMachine.eventTags.length + optional.length) * 2)
    })

    it("condense: exactly one row has each transition", () => {
      for (const transition of all) {
        const { event, peer, role, state } = transition
        const matching = rows.filter((row) =>
          row.state === state && row.event === event && [role, "any"].includes(row.role) &&
          [peer, "any", ...(peer === "alive" || peer === "expired" ? ["known", "possible"] : [])].includes(row.peer)
        )
        assert.deepStrictEqual(matching, [{ ...transition, role: matching[0]!.role, peer: matching[0]!.peer }])
      }
    })

    it("edges: are the changes of state that the cells of the policy can make", () => {
      const expected = [policy.primary, policy.backup].flatMap((table) =>
        Object.entries<StateMachine.Row>(table).flatMap(([from, row]) =>
          [...StateMachine.eventTags, ...optionalTags].flatMap((event) =>
            targetsOf(row[event] ?? { _tag: "Reject" }).filter((to) => to !== from).map((to) => textOf(from, event, to))
          )
        )
      )
      const edges = PolicyGraph.edges(policy).flatMap(({ events, from, to }) =>
        events.map((event) => textOf(from, event, to))
      )
      assert.deepStrictEqual([...edges].sort(), [...new Set(expected)].sort())
    })
  })
}

describe("PolicyGraph", () => {
  it("lone: only with `serve` a request moves a backup that never received a heartbeat", () => {
    const lonely = (lone: StateMachine.Lone) =>
      PolicyGraph.transitions(Policies.policies.hardened, lone).find(({ event, peer, state }) =>
        state === "BACKUP" && event === "ClientRequest" && peer === "unknown"
      )
    assert.deepInclude(lonely("wait"), { verdict: "Reject", next: "BACKUP" })
    assert.deepInclude(lonely("serve"), { verdict: "Reject", next: "REJOINING" })
  })

  it("fatal: only the policy classic has transitions that end a member", () => {
    const fatal = (policy: StateMachine.Policy) => [
      ...new Set(
        PolicyGraph.transitions(policy).filter(({ verdict }) => verdict === "Fatal").map(({ event, state }) =>
          `${state} ${event}`
        )
      )
    ]
    assert.deepStrictEqual(fatal(Policies.policies.classic), ["ACTIVE PeerActive", "PASSIVE PeerPassive"])
    assert.deepStrictEqual(fatal(Policies.policies.hardened), [])
  })
})
