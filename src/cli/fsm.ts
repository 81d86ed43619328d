/**
 * `bstar fsm`: the state machine as text, derived from the reducer itself: every row is what `Fsm.step` did when asked.
 */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as Fsm from "../Fsm.ts"
import type { fsm, Parsed } from "./options.ts"

export const run = ({ format, policy }: Parsed<typeof fsm>): Effect.Effect<void> =>
  Console.log(render(format, Fsm.policies[policy]))

/** One question to the reducer and its answer. */
export interface Transition {
  readonly role: Fsm.Role | "any"
  readonly state: Fsm.State
  readonly event: Fsm.Event["_tag"]
  readonly peer: "alive" | "expired" | "any"
  readonly verdict: Fsm.Verdict["_tag"]
  readonly next: Fsm.State
  /** The word that is published at once, if any. */
  readonly publish: Fsm.Word | undefined
  /** The rule behind it, where it is not the Guide's. */
  readonly rule: Fsm.Rule | undefined
  readonly say: string | undefined
}

const expiryMillis = 2000

/** The peer's expiry in every question; it was last heard at 0. */
const peerExpiry = expiryMillis

/** A member that has heard its peer over a connection that is there. */
const questioned = { connectionExpiry: Number.NEGATIVE_INFINITY, quietSince: 0, link: "Connected", awaited: "Down", hasReceived: true } as const

const eventOf = (tag: Fsm.Event["_tag"], now: number): Fsm.Event =>
  tag === "PeerGone"
    ? { _tag: tag, now, evidence: { _tag: "ConnectionRefused", endpoint: "its endpoint", asOf: now } }
    : { _tag: tag, now }

const ask = (rules: Fsm.Rules, state: Fsm.State, event: Fsm.Event["_tag"], peer: "alive" | "expired"): Transition => {
  const now = peer === "alive" ? peerExpiry : peerExpiry + 1
  const { member, publish, say, verdict } = Fsm.step(rules, { ...questioned, state, peerExpiry }, eventOf(event, now))
  const rule = rules.policy[rules.role][state]?.[event].rule
  return { role: rules.role, state, event, peer, verdict: verdict._tag, next: member.state, publish, rule, say }
}

/** The states that a server can come to. */
const reachable = (rules: Fsm.Rules): ReadonlyArray<Fsm.State> => {
  const seen = new Set([Fsm.start(rules, 0).member.state])
  for (const state of seen) {
    for (const event of Fsm.eventTags) {
      seen.add(ask(rules, state, event, "expired").next)
    }
  }
  return Fsm.states.filter((state) => seen.has(state))
}

/** Everything that the reducer can be asked: each role, with a peer that is alive and one that has expired. */
export const transitions = (policy: Fsm.Policy): ReadonlyArray<Transition> =>
  (["primary", "backup"] as const).flatMap((role) => {
    const rules: Fsm.Rules = { role, policy, expiryMillis, handshakeMillis: 4 * expiryMillis, lone: "wait" }
    return reachable(rules).flatMap((state) =>
      Fsm.eventTags.flatMap((event) => (["alive", "expired"] as const).map((peer) => ask(rules, state, event, peer)))
    )
  })

/** The same with what does not depend on the peer, or on the role, told once. */
export const condensed = (all: ReadonlyArray<Transition>): ReadonlyArray<Transition> =>
  Fsm.states.flatMap((state) => {
    const ofState = all.filter((t) => t.state === state)
    return merge(merge(ofState, "peer", 2), "role", new Set(ofState.map(({ role }) => role)).size)
  })

/** Merges rows that differ in nothing but one column, where all of its `count` values are there. */
const merge = (rows: ReadonlyArray<Transition>, column: "peer" | "role", count: number): ReadonlyArray<Transition> => {
  const keyOf = (row: Transition) => JSON.stringify({ ...row, [column]: "any" })
  const groups = new Map<string, Array<Transition>>()
  for (const row of rows) {
    groups.set(keyOf(row), [...groups.get(keyOf(row)) ?? [], row])
  }
  return count === 1
    ? rows
    : [...groups.values()].flatMap((group) => group.length === count ? [{ ...group[0]!, [column]: "any" }] : group)
}

export const render = (format: Parsed<typeof fsm>["format"], policy: Fsm.Policy): string => {
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
    "H6: what the peer has said is applied before a request that waits (in every policy, by whoever feeds the reducer)."
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
