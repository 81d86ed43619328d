/**
 * A policy as a graph. Every transition is a result of `StateMachine.step`, so the graph cannot differ from what runs.
 */
import * as StateMachine from "./StateMachine.ts"

/**
 * What a member knows of its peer when the event happens:
 *
 * - `alive`, `expired`: the peer deadline is still to come, or has passed.
 * - `unknown`: expired, and no heartbeat was ever received: by a backup since its process started, by a primary since it was
 *   last `PRIMARY`.
 * - `absent`: expired before this member stalled, and the peer's host refuses a connection soon enough after the stall; see
 *   `StateMachine.mayKeepTerm`.
 *
 * @category models
 */
export type Peer = "alive" | "expired" | "unknown" | "absent"

/**
 * One transition. `any` stands for every value of a column; a peer that is `known` is not `unknown`, one that is `possible` is
 * not `absent`.
 *
 * @category models
 */
export interface Transition {
  readonly role: StateMachine.Role | "any"
  readonly state: StateMachine.State
  readonly event: StateMachine.Event["_tag"]
  readonly peer: Peer | "known" | "possible" | "any"
  readonly verdict: StateMachine.Verdict["_tag"]
  readonly next: StateMachine.State
  /** The state that is published at once, not only with the next heartbeat. */
  readonly publish: StateMachine.PeerState | undefined
  /** The rule that the transition follows, where it is not the Guide's. */
  readonly rule: StateMachine.Rule | undefined
  readonly message: string | undefined
}

/**
 * An arrow of the graph: the events that lead from one state to another, in either role.
 *
 * @category models
 */
export interface Edge {
  readonly from: StateMachine.State
  readonly to: StateMachine.State
  readonly events: ReadonlyArray<StateMachine.Event["_tag"]>
}

const roles: ReadonlyArray<StateMachine.Role> = ["primary", "backup"]

const peerTimeoutMillis = 2000
const peerDeadline = peerTimeoutMillis

/** The member before each event. Its last heartbeat from the peer was at 0, and its connection is established. */
const probed = {
  peerDeadline,
  connectionDeadline: Number.NEGATIVE_INFINITY,
  silentSince: 0,
  link: "Connected",
  awaited: "Down"
} as const

const eventOf = (tag: StateMachine.Event["_tag"], now: number, peer: Peer): StateMachine.Event => {
  switch (tag) {
    case "Stalled":
      return { _tag: tag, now, isAlone: peer === "absent" }
    case "PeerDown":
      return { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "its endpoint", asOf: now } }
    default:
      return { _tag: tag, now }
  }
}

const transitionOf = (
  rules: StateMachine.Rules,
  state: StateMachine.State,
  event: StateMachine.Event["_tag"],
  peer: Peer
): Transition => {
  const { policy, role } = rules
  const now = peer === "alive" ? peerDeadline : peerDeadline + 1
  const before: StateMachine.ProtocolState = { ...probed, state, hasReceived: peer !== "unknown" }
  const { message, next, publish, verdict } = StateMachine.step(rules, before, eventOf(event, now, peer))
  const rule = policy[role][state]?.[event]?.rule
  return { role, state, event, peer, verdict: verdict._tag, next: next.state, publish, rule, message }
}

/** Events that a policy may not know. */
const optionalTags = [...StateMachine.heartbeatEventTags, ...StateMachine.rightEventTags]

const allTags = [...StateMachine.eventTags, ...optionalTags]

/** The events that a policy knows in a state. */
const eventsOf = (
  { policy, role }: StateMachine.Rules,
  state: StateMachine.State
): ReadonlyArray<StateMachine.Event["_tag"]> => [
  ...StateMachine.eventTags,
  ...optionalTags.filter((event) => policy[role][state]?.[event] !== undefined)
]

/** The states that a member can reach, in the order of `StateMachine.states`. */
const reachable = (rules: StateMachine.Rules): ReadonlyArray<StateMachine.State> => {
  const found = new Set([StateMachine.start(rules, 0).next.state])
  for (const state of found) {
    for (const event of eventsOf(rules, state)) {
      found.add(transitionOf(rules, state, event, "expired").next)
    }
  }
  return StateMachine.states.filter((state) => found.has(state))
}

/**
 * Every transition of both roles, each with a peer that is alive and one that has expired. `unknown` and `absent` are listed
 * where they differ from `expired`. `lone` is what a backup does that never received a heartbeat. Defaults to `wait`.
 *
 * @category combinators
 */
export const transitions = (
  policy: StateMachine.Policy,
  lone: StateMachine.Lone = "wait"
): ReadonlyArray<Transition> =>
  roles.flatMap((role) => {
    const rules = { role, policy, peerTimeoutMillis, handshakeMillis: 4 * peerTimeoutMillis, lone }
    return reachable(rules).flatMap((state) =>
      eventsOf(rules, state).flatMap((event) => {
        const of = (peer: Peer) => transitionOf(rules, state, event, peer)
        const expired = of("expired")
        const special = [of("unknown"), of("absent")].filter((other) => keyOf(other, "peer") !== keyOf(expired, "peer"))
        return [of("alive"), expired, ...special]
      })
    )
  })

const complementOf = { unknown: "known", absent: "possible" } as const

const isSpecial = (peer: Transition["peer"]): peer is keyof typeof complementOf => peer in complementOf

/**
 * The same transitions in fewer rows: those that do not depend on the peer, or on the role, have `any` there.
 *
 * @category combinators
 */
export const condense = (all: ReadonlyArray<Transition>): ReadonlyArray<Transition> =>
  StateMachine.states.flatMap((state) => {
    const ofState = all.filter((transition) => transition.state === state)
    const special = ofState.filter(({ peer }) => isSpecial(peer))
    const common = merge(ofState.filter(({ peer }) => !isSpecial(peer)), "peer", 2).map((row): Transition => {
      const exception = special.find(({ event, role }) => event === row.event && role === row.role)?.peer
      return row.peer === "any" && exception !== undefined && isSpecial(exception)
        ? { ...row, peer: complementOf[exception] }
        : row
    })
    return merge([...common, ...special], "role", new Set(ofState.map(({ role }) => role)).size)
  })

const keyOf = (row: Transition, column: "peer" | "role"): string => JSON.stringify({ ...row, [column]: "any" })

/** Merges rows that differ in one column only, where all `count` values of that column are present. */
const merge = (rows: ReadonlyArray<Transition>, column: "peer" | "role", count: number): ReadonlyArray<Transition> => {
  if (count === 1) {
    return rows
  }
  const groups = new Map<string, Array<Transition>>()
  for (const row of rows) {
    const key = keyOf(row, column)
    groups.set(key, [...groups.get(key) ?? [], row])
  }
  return [...groups.values()].flatMap((group) => group.length === count ? [{ ...group[0]!, [column]: "any" }] : group)
}

/**
 * The arrows of a policy's graph, for both roles and for both kinds of lone backup.
 *
 * @category combinators
 */
export const edges = (policy: StateMachine.Policy): ReadonlyArray<Edge> => {
  const moves = [...transitions(policy, "wait"), ...transitions(policy, "serve")].filter(({ next, state }) =>
    next !== state
  )
  return StateMachine.states.flatMap((from) =>
    StateMachine.states.flatMap((to) => {
      const causes = new Set(moves.filter(({ next, state }) => state === from && next === to).map(({ event }) => event))
      const events = allTags.filter((event) => causes.has(event))
      return events.length === 0 ? [] : [{ from, to, events }]
    })
  )
}
