/**
 * What the reducer would do with a member, asked once and for all: every state and silence is told everything it can be
 * told, and the answers are linked.
 *
 * @since 0.1.0
 */
import * as Fsm from "../Fsm.ts"

/**
 * What a member can be told. Evidence is news, or is older than the peer's last sign of life. A member that has slept may know
 * that it has no peer. A request is watched where a subscriber is connected to the member's own state port.
 *
 * @since 0.1.0
 * @category models
 */
export type Stimulus =
  | Exclude<Fsm.Event["_tag"], "PeerGone">
  | "FreshEvidence"
  | "StaleEvidence"
  | "WatchedRequest"
  | "SleptAlone"

/**
 * A member as far as the reducer can tell it from others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Member {
  readonly id: number
  readonly state: Fsm.State
  readonly link: Fsm.Link
  readonly hasReceived: boolean
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
   * Now is 0. The peer's last heartbeat was so many ticks ago; how many is all the same once it has expired. It may have more
   * time than that, as if the heartbeat were still to come.
   */
  const like = (member: Fsm.Member): Member => {
    let silent = Math.min(0, Math.ceil((rules.expiryMillis - member.peerExpiry) / tickMillis))
    while (silent * tickMillis < rules.expiryMillis - member.peerExpiry && silent <= rules.expiryMillis / tickMillis) {
      silent++
    }
    const left = Math.max(-1, Math.floor(member.connectionExpiry / tickMillis))
    const hasReceived = member.hasReceived || !isAskedFor(member.state)
    const key = [member.state, silent, left, member.link, member.awaited, hasReceived].join(" ")
    const same = { ...member, hasReceived }
    return known.get(key) ?? ask(key, after(same, silent, left), after(same, silent + 1, left - 1))
  }

  /** Whether it makes a difference in this state, or one that may follow, that the peer has been heard. */
  const isAskedFor = (state: Fsm.State): boolean =>
    state === "BACKUP" || state === "PRIMARY" || (state === "ACTIVE" && rules.role === "primary")

  const after = (member: Fsm.Member, silentTicks: number, ticksLeft: number): Fsm.Member => ({
    ...member,
    peerExpiry: rules.expiryMillis - silentTicks * tickMillis,
    connectionExpiry: ticksLeft < 0 ? Number.NEGATIVE_INFINITY : ticksLeft * tickMillis,
    quietSince: before
  })

  const ask = (key: string, member: Fsm.Member, later: Fsm.Member): Member => {
    const react = (event: Fsm.Event): Reaction => {
      const outcome = Fsm.step(rules, member, event)
      return {
        outcome,
        member: like(outcome.member),
        isEffective: outcome.member !== member,
        isRenewed: outcome.member.quietSince !== before
      }
    }
    const self: { -readonly [K in keyof Member]?: Member[K] } = {
      id: known.size,
      state: member.state,
      link: member.link,
      hasReceived: member.hasReceived,
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
      LinkConnecting: react({ _tag: "LinkConnecting", now: 0 }),
      LinkConnected: react({ _tag: "LinkConnected", now: 0 }),
      LinkLost: react({ _tag: "LinkLost", now: 0 }),
      ClientRequest: react({ _tag: "ClientRequest", now: 0 }),
      WatchedRequest: react({ _tag: "ClientRequest", now: 0, hasSubscriber: true }),
      Late: react({ _tag: "Late", now: 0 }),
      Slept: react({ _tag: "Slept", now: 0 }),
      SleptAlone: react({ _tag: "Slept", now: 0, isAlone: true }),
      Stopping: react({ _tag: "Stopping", now: 0 }),
      Yield: react({ _tag: "Yield", now: 0 }),
      Promote: react({ _tag: "Promote", now: 0 })
    }
    return self as Member
  }

  return like(Fsm.start(rules, 0).member)
}

/** Some time before now, for what has not been moved to now. */
const before = -1

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
