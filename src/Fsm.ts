/**
 * The Binary Star state machine: one pure, total function from a state and an event to what follows.
 *
 * Nothing in here knows a clock, a socket or Effect. Time enters as a field of the event, so what runs in production is
 * exactly what the tests go through cell by cell.
 *
 * @since 0.1.0
 */

/**
 * Which server of the pair this is. Fixed by configuration; a role never changes.
 *
 * @since 0.1.0
 * @category models
 */
export type Role = "primary" | "backup"

/**
 * What a server is doing now. `PRIMARY` and `BACKUP` wait for the first word from the peer; `ACTIVE` answers clients;
 * `PASSIVE` stands by.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "PRIMARY" | "BACKUP" | "ACTIVE" | "PASSIVE"

/**
 * The states in the order of their numbers on the wire.
 *
 * @since 0.1.0
 * @category constants
 */
export const states: ReadonlyArray<State> = ["PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"]

/**
 * Everything that can happen to a server: its peer says in which state it is, or a client asks (a vote). `now` is
 * monotonic time in milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export type Event =
  | { readonly _tag: "PeerPrimary"; readonly now: number }
  | { readonly _tag: "PeerBackup"; readonly now: number }
  | { readonly _tag: "PeerActive"; readonly now: number }
  | { readonly _tag: "PeerPassive"; readonly now: number }
  | { readonly _tag: "ClientRequest"; readonly now: number }

/**
 * The kinds of events, in the order of the table in the documentation.
 *
 * @since 0.1.0
 * @category constants
 */
export const eventTags: ReadonlyArray<Event["_tag"]> = [
  "PeerPrimary",
  "PeerBackup",
  "PeerActive",
  "PeerPassive",
  "ClientRequest"
]

/**
 * Why a server gives up: both servers of the pair said that they were active, or both that they were passive.
 *
 * @since 0.1.0
 * @category models
 */
export type FatalReason = "DualActive" | "DualPassive"

/**
 * What is to be done about the event. For a client request `Accept` means answer it and `Reject` means drop it without
 * an answer. For a word from the peer `Accept` means that it counts as a sign of life.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict =
  | { readonly _tag: "Accept" }
  | { readonly _tag: "Reject" }
  | { readonly _tag: "Fatal"; readonly reason: FatalReason }

/**
 * All that a server has to remember. `peerExpiry` is the monotonic time in milliseconds after which a silent peer
 * counts as dead.
 *
 * @since 0.1.0
 * @category models
 */
export interface Member {
  readonly state: State
  readonly peerExpiry: number
}

/**
 * The result of one step: the member as it is from now on, the verdict, and what to tell the operator, if anything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome {
  readonly member: Member
  readonly verdict: Verdict
  readonly say: string | undefined
}

/**
 * One entry of a policy's table: what an event does in a state.
 *
 * - `Stay`: the state stays; a request is answered.
 * - `Refuse`: the state stays; a request is dropped.
 * - `Become`: the state changes.
 * - `TakeOver`: when the peer has expired, become `ACTIVE` and answer; refuse otherwise.
 * - `Abort`: the server ends.
 *
 * @since 0.1.0
 * @category models
 */
export type Cell =
  | { readonly _tag: "Stay" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "Become"; readonly state: State; readonly say: string }
  | { readonly _tag: "TakeOver"; readonly say: string }
  | { readonly _tag: "Abort"; readonly reason: FatalReason; readonly say: string }

/**
 * A policy is data: one cell for every state and event.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = { readonly [S in State]: { readonly [E in Event["_tag"]]: Cell } }

/**
 * What a member's steps depend on besides its state: its role, its policy, and how long in milliseconds a peer may be
 * silent before it counts as dead.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rules {
  readonly role: Role
  readonly policy: Policy
  readonly expiryMillis: number
}

const stay: Cell = { _tag: "Stay" }
const refuse: Cell = { _tag: "Refuse" }
const become = (state: State, say: string): Cell => ({ _tag: "Become", state, say })

/**
 * The rules of the ZeroMQ Guide's proof of concept, texts included.
 *
 * @since 0.1.0
 * @category constants
 */
export const classic: Policy = {
  PRIMARY: {
    PeerPrimary: stay,
    PeerBackup: become("ACTIVE", "connected to backup (passive), ready as active"),
    PeerActive: become("PASSIVE", "connected to backup (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: stay
  },
  BACKUP: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: become("PASSIVE", "connected to primary (active), ready as passive"),
    PeerPassive: stay,
    ClientRequest: refuse
  },
  ACTIVE: {
    PeerPrimary: stay,
    PeerBackup: stay,
    PeerActive: { _tag: "Abort", reason: "DualActive", say: "fatal error - dual actives, aborting" },
    PeerPassive: stay,
    ClientRequest: stay
  },
  PASSIVE: {
    PeerPrimary: become("ACTIVE", "primary (passive) is restarting, ready as active"),
    PeerBackup: become("ACTIVE", "backup (passive) is restarting, ready as active"),
    PeerActive: stay,
    PeerPassive: { _tag: "Abort", reason: "DualPassive", say: "fatal error - dual passives, aborting" },
    ClientRequest: { _tag: "TakeOver", say: "failover successful, ready as active" }
  }
}

/**
 * Every policy by its name.
 *
 * @since 0.1.0
 * @category constants
 */
export const policies = { classic } as const satisfies { readonly [name: string]: Policy }

/**
 * The name of a policy, as it stands in a configuration.
 *
 * @since 0.1.0
 * @category models
 */
export type PolicyName = keyof typeof policies

/**
 * The names of all policies.
 *
 * @since 0.1.0
 * @category constants
 */
export const policyNames = Object.keys(policies) as [PolicyName, ...Array<PolicyName>]

const accept: Verdict = { _tag: "Accept" }
const reject: Verdict = { _tag: "Reject" }

/**
 * How a member begins: in the state of its role, giving its peer one expiry from `now` to be heard.
 *
 * @since 0.1.0
 * @category transitions
 */
export const start = (rules: Rules, now: number): Outcome => ({
  member: { state: rules.role === "primary" ? "PRIMARY" : "BACKUP", peerExpiry: now + rules.expiryMillis },
  verdict: accept,
  say: rules.role === "primary"
    ? "Primary active, waiting for backup (passive)"
    : "Backup passive, waiting for primary (active)"
})

/**
 * Whether the peer counts as dead at `now`: strictly after its expiry.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPeerExpired = (member: Member, now: number): boolean => now > member.peerExpiry

/**
 * What follows when `event` happens to `member`. Total: every state and event has a cell in the policy. Every word from
 * the peer that does not end the member puts off the peer's expiry.
 *
 * @since 0.1.0
 * @category transitions
 */
export const step = (rules: Rules, member: Member, event: Event): Outcome => {
  const cell = rules.policy[member.state][event._tag]
  const peerExpiry = event._tag === "ClientRequest" ? member.peerExpiry : event.now + rules.expiryMillis
  switch (cell._tag) {
    case "Stay":
      return { member: moved(member, member.state, peerExpiry), verdict: accept, say: undefined }
    case "Refuse":
      return { member: moved(member, member.state, peerExpiry), verdict: reject, say: undefined }
    case "Become":
      return { member: moved(member, cell.state, peerExpiry), verdict: accept, say: cell.say }
    case "TakeOver":
      return isPeerExpired(member, event.now)
        ? { member: moved(member, "ACTIVE", peerExpiry), verdict: accept, say: cell.say }
        : { member, verdict: reject, say: undefined }
    case "Abort":
      return { member, verdict: { _tag: "Fatal", reason: cell.reason }, say: cell.say }
  }
}

const moved = (member: Member, state: State, peerExpiry: number): Member =>
  member.state === state && member.peerExpiry === peerExpiry ? member : { state, peerExpiry }
