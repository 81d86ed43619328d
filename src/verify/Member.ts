/**
 * What the reducer would do with a member, asked once and for all: every state and silence is told everything it can be
 * told, and the answers are linked.
 *
 * @since 0.1.0
 */
import * as Fsm from "../Fsm.ts"

/**
 * What a member can be told. Evidence is news, or is older than the peer's last word.
 *
 * @since 0.1.0
 * @category models
 */
export type Stimulus = Exclude<Fsm.Event["_tag"], "PeerGone"> | "FreshEvidence" | "StaleEvidence"

/**
 * A member as far as the reducer can tell it from others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Member {
  readonly id: number
  readonly state: Fsm.State
  readonly isPeerExpired: boolean
  /** What follows when it is told something. */
  readonly on: { readonly [S in Stimulus]: Reaction }
  /** The same member a tick later. */
  readonly later: Member
}

/**
 * An answer of `Fsm.step`, and the member that follows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reaction {
  readonly outcome: Fsm.Outcome
  readonly member: Member
  /** Whether the reducer gave back another member, be it an equal one. */
  readonly isEffective: boolean
  /** Whether evidence from before proves nothing any more. */
  readonly isRenewed: boolean
}

/**
 * How a process begins, with all that may become of it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (rules: Fsm.Rules, tickMillis: number): Member => {
  const known = new Map<string, Member>()

  /**
   * Now is 0. The peer's last word was so many ticks ago; how many is all the same once it has expired. It may have more
   * patience than that, as if the word were still to come.
   */
  const like = ({ peerExpiry, state }: Fsm.Member): Member => {
    let silent = Math.min(0, Math.ceil((rules.expiryMillis - peerExpiry) / tickMillis))
    while (silent * tickMillis < rules.expiryMillis - peerExpiry && !Fsm.isPeerExpired(lastHeard(state, silent), 0)) {
      silent++
    }
    const key = `${state} ${silent}`
    return known.get(key) ?? ask(key, lastHeard(state, silent), lastHeard(state, silent + 1))
  }

  const lastHeard = (state: Fsm.State, ticksAgo: number): Fsm.Member => ({
    state,
    peerExpiry: rules.expiryMillis - ticksAgo * tickMillis
  })

  const ask = (key: string, member: Fsm.Member, later: Fsm.Member): Member => {
    const react = (event: Fsm.Event): Reaction => {
      const outcome = Fsm.step(rules, member, event)
      // What does not depend on the expiry there was is a new one.
      const other = Fsm.step(rules, { ...member, peerExpiry: member.peerExpiry + 1 }, event)
      return {
        outcome,
        member: like(outcome.member),
        isEffective: outcome.member !== member,
        isRenewed: other.member.peerExpiry === rules.expiryMillis
      }
    }
    const self: { -readonly [K in keyof Member]?: Member[K] } = {
      id: known.size,
      state: member.state,
      isPeerExpired: Fsm.isPeerExpired(member, 0)
    }
    known.set(key, self as Member)
    self.later = like(later)
    self.on = {
      PeerPrimary: react({ _tag: "PeerPrimary", now: 0 }),
      PeerBackup: react({ _tag: "PeerBackup", now: 0 }),
      PeerActive: react({ _tag: "PeerActive", now: 0 }),
      PeerPassive: react({ _tag: "PeerPassive", now: 0 }),
      FreshEvidence: react(gone(0)),
      StaleEvidence: react(gone(Number.NEGATIVE_INFINITY)),
      ClientRequest: react({ _tag: "ClientRequest", now: 0 }),
      Slept: react({ _tag: "Slept", now: 0 }),
      Stopping: react({ _tag: "Stopping", now: 0 }),
      Yield: react({ _tag: "Yield", now: 0 }),
      Promote: react({ _tag: "Promote", now: 0 })
    }
    return self as Member
  }

  return like(Fsm.start(rules, 0).member)
}

const gone = (asOf: number): Fsm.Event => ({
  _tag: "PeerGone",
  now: 0,
  evidence: { _tag: "ConnectionRefused", endpoint: "the peer's endpoint", asOf }
})

/**
 * Whether a member would answer a request now.
 *
 * @since 0.1.0
 * @category guards
 */
export const answers = ({ on }: Member): boolean => on.ClientRequest.outcome.verdict._tag === "Accept"
