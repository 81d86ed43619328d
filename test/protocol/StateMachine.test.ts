import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { eventOf, memberIn, role, rules } from "./support.ts"

const anyLink = FastCheck.constantFrom<StateMachine.Link>("Down", "Connecting", "Connected")
const anyDeadline = FastCheck.oneof(
  FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
  FastCheck.constant(Number.NEGATIVE_INFINITY)
)
const anyMember = FastCheck.record<StateMachine.ProtocolState>({
  state: FastCheck.constantFrom(...StateMachine.states),
  peerDeadline: anyDeadline,
  connectionDeadline: anyDeadline,
  silentSince: FastCheck.double({ min: 0, max: 1e13, noNaN: true }),
  link: anyLink,
  awaited: anyLink,
  hasReceived: FastCheck.boolean()
})

describe("StateMachine", () => {
  it("start publishes the state of the role, with one timeout to receive the peer", () => {
    const waiting = memberIn("PRIMARY", 2010, { hasReceived: false })
    assert.deepStrictEqual(StateMachine.start(rules("primary"), 10), {
      next: waiting,
      verdict: { _tag: "Accept" },
      publish: "PRIMARY",
      message: "Primary active, waiting for backup (passive)"
    })
    assert.deepStrictEqual(StateMachine.start(rules("backup"), 10), {
      next: { ...waiting, state: "BACKUP" },
      verdict: { _tag: "Accept" },
      publish: "BACKUP",
      message: "Backup passive, waiting for primary (active)"
    })
  })

  it.prop("step is deterministic, does not mutate its input, and publishes every change", {
    member: anyMember,
    role,
    policy: FastCheck.constantFrom(...Object.values(Policies.policies)),
    lone: FastCheck.constantFrom<StateMachine.Lone>("wait", "serve"),
    tag: FastCheck.constantFrom(...StateMachine.eventTags),
    now: FastCheck.double({ min: 0, max: 1e13, noNaN: true })
  }, ({ lone, member, now, policy, role, tag }) => {
    const frozen = Object.freeze(member)
    const event = Object.freeze(eventOf(tag, now))
    const outcome = StateMachine.step(rules(role, policy, lone), frozen, event)
    assert.deepStrictEqual(outcome, StateMachine.step(rules(role, policy, lone), frozen, event))
    assert.include(StateMachine.states, outcome.next.state)
    assert.isFalse(Number.isNaN(outcome.next.peerDeadline))
    if (outcome.next.state !== member.state) {
      assert.isDefined(outcome.publish)
    }
  }, { fastCheck: { numRuns: 2000 } })
})
