/** The core of one member, whose peer and witness are the test. */
import type { Input, Output, Rules } from "../../src/member/Member.ts"
import * as Member from "../../src/member/Member.ts"
import type { Heartbeat } from "../../src/protocol/Heartbeat.ts"
import { stateOnly } from "../../src/protocol/Heartbeat.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import type { PeerState, Role } from "../../src/protocol/StateMachine.ts"
import { makeRules } from "./rules.ts"

export const witnessedRules = (role: Role, part: Partial<Rules> = {}): Rules =>
  makeRules({
    role,
    policy: Policies.witnessed,
    life: "mine",
    rights: { role, life: "mine", rightMillis: 1500, guardMillis: 2000 },
    witnessEndpoint: "memory",
    ...part
  })

/** One member, to which a test passes inputs. */
export class Alone {
  member: Member.Member
  #rules: Rules
  #now = 0
  #sequence = 0

  constructor(rules: Rules) {
    this.#rules = rules
    this.member = Member.start(this.#rules, 0).member
    this.step(0, { _tag: "HeartbeatSent", startedAt: 0, isPortOpen: true })
  }

  get state() {
    return this.member.protocol.state
  }

  step(now: number, ...inputs: ReadonlyArray<Input>): ReadonlyArray<Output> {
    const { member, outputs } = Member.step(this.#rules, this.member, inputs, now)
    this.#now = now
    this.member = member
    return outputs
  }

  /** A due heartbeat, and the end of its sending. */
  beat(now: number): ReadonlyArray<Output> {
    return [
      ...this.step(now, { _tag: "HeartbeatDue" }),
      ...this.step(now, { _tag: "HeartbeatSent", startedAt: now, isPortOpen: true })
    ]
  }

  /** The answer of the witness that there is no record. */
  answersNone(now: number): ReadonlyArray<Output> {
    return this.step(now, this.answers({ _tag: "Seen", seen: undefined }))
  }

  /** A due heartbeat, whose question the witness answers 10 ms later: there is no record. */
  looksInVain(now: number): void {
    this.beat(now)
    this.answersNone(now + 10)
  }

  /** A digit of a peer of another implementation that is active. */
  legacyIsActive(now: number): void {
    this.step(now, { _tag: "PeerHeartbeat", state: "ACTIVE", receivedAt: now, heartbeat: undefined, linkEpoch: 0 })
  }

  /** A heartbeat of the peer that echoes the last one of this member. */
  heartbeat(state: PeerState, part: Partial<Heartbeat> = {}): Input {
    const heartbeat: Heartbeat = {
      life: "peer",
      sequence: ++this.#sequence,
      state,
      ...stateOnly,
      received: { life: "mine", sequence: this.member.dialogue.sequence },
      ...part
    }
    return { _tag: "PeerHeartbeat", state, receivedAt: this.#now, heartbeat, linkEpoch: 0 }
  }

  answers(answer: Extract<Input, { _tag: "WitnessAnswered" }>["answer"], fingerprint?: string): Input {
    return { _tag: "WitnessAnswered", id: this.member.rights!.request!.id, answer, fingerprint }
  }
}

export const tagged = <T extends Output["_tag"]>(outputs: ReadonlyArray<Output>, tag: T) =>
  outputs.filter((output): output is Extract<Output, { _tag: T }> => output._tag === tag)

export const logs = (outputs: ReadonlyArray<Output>) => tagged(outputs, "Log").map(({ message }) => message)
