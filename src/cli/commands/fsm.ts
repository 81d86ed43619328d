/**
 * `bstar fsm`: the state machine as text, derived from the reducer itself: every row is what `StateMachine.step` did when asked.
 */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as Policies from "../../protocol/Policies.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import type { Values } from "../../settings/Settings.ts"

export const run = ({ format, policy }: Values<"fsm">): Effect.Effect<void> =>
  Console.log(render(format, Policies.policies[policy]))

/** What a question says of the peer. */
type Asked = "alive" | "expired" | "unheard" | "none"

/** One question to the reducer and its answer. */
export interface Transition {
  readonly role: StateMachine.Role | "any"
  readonly state: StateMachine.State
  readonly event: StateMachine.Event["_tag"]
  /**
   * `unheard`: expired, too, and never heard, where that makes a difference; `heard` is alive or expired then. `none`: a stall
   * is over and no peer was active meanwhile, where that makes a difference; it is `possible` otherwise.
   */
  readonly peer: Asked | "heard" | "possible" | "any"
  readonly verdict: StateMachine.Verdict["_tag"]
  readonly next: StateMachine.State
  /** The word that is published at once, if any. */
  readonly publish: StateMachine.PeerState | undefined
  /** The rule behind it, where it is not the Guide's. */
  readonly rule: StateMachine.Rule | undefined
  readonly say: string | undefined
}

const peerTimeoutMillis = 2000

/** The peer's expiry in every question; it was last heard at 0. */
const peerDeadline = peerTimeoutMillis

/** A member whose connection to its peer is there. */
const questioned = {
  connectionDeadline: Number.NEGATIVE_INFINITY,
  silentSince: 0,
  link: "Connected",
  awaited: "Down"
} as const

const eventOf = (tag: StateMachine.Event["_tag"], now: number, isAlone: boolean): StateMachine.Event =>
  tag === "Stalled"
    ? { _tag: tag, now, isAlone }
    : tag === "PeerDown"
    ? { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "its endpoint", asOf: now } }
    : { _tag: tag, now }

const ask = (
  rules: StateMachine.Rules,
  state: StateMachine.State,
  event: StateMachine.Event["_tag"],
  peer: Asked
): Transition => {
  const now = peer === "alive" ? peerDeadline : peerDeadline + 1
  const asked: StateMachine.ProtocolState = { ...questioned, state, peerDeadline, hasReceived: peer !== "unheard" }
  const { next, publish, message, verdict } = StateMachine.step(rules, asked, eventOf(event, now, peer === "none"))
  const rule = rules.policy[rules.role][state]?.[event].rule
  return { role: rules.role, state, event, peer, verdict: verdict._tag, next: next.state, publish, rule, say: message }
}

/** The states that a server can come to. */
const reachable = (rules: StateMachine.Rules): ReadonlyArray<StateMachine.State> => {
  const seen = new Set([StateMachine.start(rules, 0).next.state])
  for (const state of seen) {
    for (const event of StateMachine.eventTags) {
      seen.add(ask(rules, state, event, "expired").next)
    }
  }
  return StateMachine.states.filter((state) => seen.has(state))
}

/** Everything that the reducer can be asked: each role, with a peer that is alive, has expired, was never heard, or is none. */
export const transitions = (policy: StateMachine.Policy): ReadonlyArray<Transition> =>
  (["primary", "backup"] as const).flatMap((role) => {
    const rules: StateMachine.Rules = {
      role,
      policy,
      peerTimeoutMillis,
      handshakeMillis: 4 * peerTimeoutMillis,
      lone: "wait"
    }
    return reachable(rules).flatMap((state) =>
      StateMachine.eventTags.flatMap((event) => {
        const [alive, expired] = [ask(rules, state, event, "alive"), ask(rules, state, event, "expired")]
        const others = (["unheard", "none"] as const).map((peer) => ask(rules, state, event, peer))
        return [alive, expired, ...others.filter((other) => keyOf(other, "peer") !== keyOf(expired, "peer"))]
      })
    )
  })

/** What every other peer is, where one of these makes a difference. */
const contraryOf = { unheard: "heard", none: "possible" } as const

/** The same with what does not depend on the peer, or on the role, told once. */
export const condensed = (all: ReadonlyArray<Transition>): ReadonlyArray<Transition> =>
  StateMachine.states.flatMap((state) => {
    const ofState = all.filter((t) => t.state === state)
    const special = ofState.filter(({ peer }) => peer in contraryOf)
    const others = merge(ofState.filter(({ peer }) => !(peer in contraryOf)), "peer", 2).map((row): Transition => {
      const { peer = undefined } = special.find(({ event, role }) => event === row.event && role === row.role) ?? {}
      return row.peer === "any" && (peer === "unheard" || peer === "none") ? { ...row, peer: contraryOf[peer] } : row
    })
    return merge([...others, ...special], "role", new Set(ofState.map(({ role }) => role)).size)
  })

const keyOf = (row: Transition, column: "peer" | "role"): string => JSON.stringify({ ...row, [column]: "any" })

/** Merges rows that differ in nothing but one column, where all of its `count` values are there. */
const merge = (rows: ReadonlyArray<Transition>, column: "peer" | "role", count: number): ReadonlyArray<Transition> => {
  const groups = new Map<string, Array<Transition>>()
  for (const row of rows) {
    const key = keyOf(row, column)
    groups.set(key, [...groups.get(key) ?? [], row])
  }
  return count === 1
    ? rows
    : [...groups.values()].flatMap((group) => group.length === count ? [{ ...group[0]!, [column]: "any" }] : group)
}

export const render = (format: Values<"fsm">["format"], policy: StateMachine.Policy): string => {
  switch (format) {
    case "json":
      return JSON.stringify(transitions(policy), undefined, 2)
    case "table":
      return table(condensed(transitions(policy)))
    case "mermaid":
      return mermaid(condensed(transitions(policy)))
  }
}

const table = (all: ReadonlyArray<Transition>): string => {
  const rows = [
    ["state", "event", "role", "peer", "verdict", "next state", "publishes", "rule", "says"],
    ...all.map((t) => [
      t.state,
      t.event,
      t.role,
      t.peer,
      t.verdict.toLowerCase(),
      t.next,
      t.publish ?? "",
      t.rule ?? "",
      t.say ?? ""
    ])
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return [
    ...rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()),
    "",
    "H6: what the peer has said is applied before a request that waits (in every policy, by whoever feeds the reducer).",
    "A peer is unheard that a backup has not heard since it was started, and a primary since it last was PRIMARY.",
    "There is none if it had expired before a stall and refuses a connection within two heartbeats of this server's last one."
  ].join("\n")
}

/** Transitions that change the state or end the server. */
const mermaid = (all: ReadonlyArray<Transition>): string => {
  const arrows = all.flatMap((t) => {
    if (t.next === t.state && t.verdict !== "Fatal") {
      return []
    }
    const conditions = [
      ...(t.role === "any" || t.state === "PRIMARY" || t.state === "BACKUP" ? [] : [t.role]),
      ...(t.peer === "any" ? [] : [`peer ${t.peer}`])
    ]
    const when = conditions.length === 0 ? "" : ` (${conditions.join(", ")})`
    return [`    ${t.state} --> ${t.verdict === "Fatal" ? "[*]" : t.next}: ${t.event}${when}`]
  })
  return ["stateDiagram-v2", "    [*] --> PRIMARY: -p", "    [*] --> BACKUP: -b", ...arrows].join("\n")
}
