/** What a member notices for people: a machine that was suspended, and crash evidence that was wrong. No decision depends on it. */
import * as Effect from "effect/Effect"
import { BootClock, makeSuspension } from "../internal/BootClock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import type { Heartbeat } from "../protocol/Heartbeat.ts"
import type * as Counters from "./Counters.ts"
import * as Dialogue from "./Dialogue.ts"
import type * as Member from "./Member.ts"

/** The latest suspension of the machine. `at` is a monotonic instant after it. */
export interface Suspension {
  readonly at: number
  readonly millis: number
}

export interface Notices {
  /** Compares the clocks. Called with each heartbeat. */
  readonly checkClocks: Effect.Effect<void>
  /** Compares crash evidence with what was received of the peer. `member` has processed the inputs. */
  readonly checkEvidence: (inputs: ReadonlyArray<Member.Input>, member: Member.Member) => Effect.Effect<void>
  readonly suspension: () => Suspension | undefined
}

type Rules = Pick<Member.Rules, "life" | "peerEndpoint" | "peerTimeoutMillis">

const makeClockCheck = (now: () => number, counters: Counters.Counters) =>
  Effect.map(BootClock, (clocks) => {
    const suspension = makeSuspension(clocks)
    let latest: Suspension | undefined
    suspension()
    const check = Effect.suspend(() => {
      const millis = suspension()
      if (millis === 0) {
        return Effect.void
      }
      counters.suspended++
      latest = { at: now(), millis }
      return Effect.logWarning(
        `this machine was suspended for ${
          Math.round(millis)
        } ms: the clock by which servers decide stood still, so the peer may ` +
          "have taken over meanwhile; do not suspend or pause the machine of a server"
      )
    })
    return { check, latest: () => latest }
  })

/**
 * Finds crash evidence that a heartbeat refutes: it is of the same process, and echoes a heartbeat that was sent after the attempt
 * that was refused. A peer that hands over closes its port and lives on, so there the refusal is no evidence of a crash.
 */
const makeRefutation = ({ life, peerTimeoutMillis }: Rules) => {
  let last: Heartbeat | undefined
  let refused: { readonly at: number; readonly life: string } | undefined
  const isRefuted = (
    { received: echo, ...heartbeat }: Heartbeat,
    receivedAt: number,
    member: Member.Member
  ): boolean => {
    const sent = Dialogue.echoed(member.dialogue, life, echo)
    return refused !== undefined && sent !== undefined && heartbeat.life === refused.life && sent.at > refused.at &&
      receivedAt - refused.at <= peerTimeoutMillis
  }
  return (input: Member.Input, member: Member.Member): boolean => {
    if (input._tag === "PeerDown" && last !== undefined && !last.handsOver) {
      refused = { at: input.evidence.asOf, life: last.life }
    }
    if (input._tag !== "PeerHeartbeat" || input.heartbeat === undefined) {
      return false
    }
    last = input.heartbeat
    const refuted = isRefuted(input.heartbeat, input.receivedAt, member)
    refused = refuted ? undefined : refused
    return refuted
  }
}

export const make = (rules: Rules, now: () => number, counters: Counters.Counters): Effect.Effect<Notices> =>
  Effect.map(makeClockCheck(now, counters), ({ check, latest }) => {
    const isRefuted = makeRefutation(rules)
    const isFirst = LogOnce.make(Math.max(rules.peerTimeoutMillis, 10_000))
    return {
      checkClocks: check,
      suspension: latest,
      checkEvidence: (inputs, member) => {
        const count = inputs.filter((input) => isRefuted(input, member)).length
        counters.refuted += count
        return count === 0 || !isFirst(now()) ? Effect.void : Effect.logWarning(
          `the host of the peer at ${rules.peerEndpoint} refused a connection although the peer runs: that looks like a crash; is ` +
            "there a firewall that rejects, or a service address, a proxy or NAT in between?"
        )
      }
    }
  })
