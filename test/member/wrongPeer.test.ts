import { assert, describe, it } from "@effect/vitest"
import * as Member from "../../src/member/Member.ts"
import { stateOnly } from "../../src/protocol/Heartbeat.ts"
import type { PeerState, Role } from "../../src/protocol/StateMachine.ts"
import { makeRules } from "./rules.ts"

/** The warnings and errors of a member that receives inputs, one each second. */
const logged = (role: Role, ...inputs: ReadonlyArray<Member.Input>): ReadonlyArray<string> => {
  const rules = makeRules({ role })
  let { member } = Member.start(rules, 0)
  return inputs.flatMap((input, i) => {
    const at = 1000 * i + 500
    // It does not stall meanwhile.
    member =
      Member.step(rules, member, [{ _tag: "HeartbeatSent", startedAt: at - 100, isPortOpen: true }], at - 100).member
    const next = Member.step(rules, member, [input], at)
    member = next.member
    return next.outputs.flatMap((output) =>
      output._tag === "Log" && output.level !== "Info" ? [`${output.level} ${output.once}: ${output.message}`] : []
    )
  })
}

const reports = (state: PeerState, life?: string): Member.Input => ({
  _tag: "PeerHeartbeat",
  state,
  heartbeat: life === undefined ? undefined : { life, sequence: 1, state, ...stateOnly },
  receivedAt: 500,
  linkEpoch: 0
})

describe("a peer that cannot be one", () => {
  it("this server itself", () => {
    assert.deepStrictEqual(logged("primary", reports("PRIMARY", "a life")), [
      "Warning SameRole: the peer at tcp://peer:5003 is this server itself, which publishes at tcp://*:5004: " +
      "give --peer the --state of the other server"
    ])
  })

  it("another server of the same role", () => {
    assert.deepStrictEqual(logged("backup", reports("BACKUP", "another life")), [
      "Warning SameRole: the peer at tcp://peer:5003 is a backup, too: start one of the two as the primary (-p)"
    ])
  })

  it("a state without an identity, which may follow it, has to repeat", () => {
    assert.deepStrictEqual(logged("primary", reports("PRIMARY"), reports("BACKUP", "another life")), [])
    assert.deepStrictEqual(logged("backup", reports("BACKUP"), reports("BACKUP"), reports("BACKUP")), [
      "Warning SameState: the peer at tcp://peer:5003 is a backup, too: start one of the two as the primary (-p); " +
      "if it is the primary already, its states are numbered from 0, where 2 is ACTIVE: use one that sends 1 to 4"
    ])
  })

  it("no warning of the peer of a pair", () => {
    for (const state of ["BACKUP", "ACTIVE", "PASSIVE"] as const) {
      assert.deepStrictEqual(
        logged("primary", reports(state), reports(state), reports(state)).filter((line) => /Same/.test(line)),
        []
      )
    }
  })

  it("malformed messages are an error only if there were no others", () => {
    const malformed: Member.Input = { _tag: "PeerMalformed", problem: "a problem" }
    assert.match(
      logged("primary", malformed)[0]!,
      /^Error OnlyMalformed: .*nothing but malformed state messages.*a problem/
    )
    assert.deepStrictEqual(logged("primary", reports("BACKUP"), malformed), [
      "Warning Malformed: malformed state message from the peer at tcp://peer:5003 ignored: a problem"
    ])
  })
})
