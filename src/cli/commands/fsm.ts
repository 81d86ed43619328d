/**
 * `bstar fsm`: the graph of a policy as text.
 */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as Policies from "../../protocol/Policies.ts"
import * as PolicyGraph from "../../protocol/PolicyGraph.ts"
import * as Rights from "../../protocol/Rights.ts"
import type { Values } from "../../settings/Settings.ts"
import { columns } from "../text.ts"

type Format = Values<"fsm">["format"]

export const run = ({ format, policy }: Values<"fsm">): Effect.Effect<void> =>
  Console.log(writers[format](PolicyGraph.transitions(Policies.policies[policy]), policy))

const headings = ["state", "event", "role", "peer", "verdict", "next state", "publishes", "rule", "message"]

const readsFirst =
  "H6: heartbeats that were received before a request are applied before it. This holds for every policy, outside of this table."

const notes = [
  readsFirst,
  "The peer is unknown if no heartbeat of it was received: by a backup since it started, by a primary since it was last PRIMARY.",
  "The peer is absent if it had expired before a stall, and its host refuses a connection within two heartbeats of this member's last heartbeat."
]

const notesOnRights = [
  readsFirst,
  "A member serves only while it holds a right that the witness (a swap), its peer (a promise) or its peer's host (a refused " +
  "connection) has given it, for one and a half heartbeats. RightGained, RightLapsed and Superseded follow from these rules:",
  ...Object.entries(Rights.ruleTexts).map(([rule, text]) => `${rule} ${text}`)
]

const table = (transitions: ReadonlyArray<PolicyGraph.Transition>, policy: Policies.PolicyName): string =>
  [
    ...columns([
      headings,
      ...PolicyGraph.condense(transitions).map(
        ({ event, message = "", next, peer, publish = "", role, rule = "", state, verdict }) => [
          state,
          event,
          role,
          peer,
          verdict.toLowerCase(),
          next,
          publish,
          rule,
          message
        ]
      )
    ]),
    "",
    ...(policy === "witnessed" ? notesOnRights : notes)
  ].join("\n")

/** The transitions that change the state or end the member. */
const mermaid = (transitions: ReadonlyArray<PolicyGraph.Transition>): string => {
  const moves = PolicyGraph.condense(transitions).filter(({ next, state, verdict }) =>
    next !== state || verdict === "Fatal"
  )
  const arrows = moves.map(({ event, next, peer, role, state, verdict }) => {
    // Only one role has each of these states.
    const isRoleKnown = role === "any" || state === "PRIMARY" || state === "BACKUP"
    const conditions = [...(isRoleKnown ? [] : [role]), ...(peer === "any" ? [] : [`peer ${peer}`])]
    const when = conditions.length === 0 ? "" : ` (${conditions.join(", ")})`
    return `    ${state} --> ${verdict === "Fatal" ? "[*]" : next}: ${event}${when}`
  })
  return ["stateDiagram-v2", "    [*] --> PRIMARY: -p", "    [*] --> BACKUP: -b", ...arrows].join("\n")
}

const writers: {
  readonly [F in Format]: (transitions: ReadonlyArray<PolicyGraph.Transition>, policy: Policies.PolicyName) => string
} = {
  json: (transitions) => JSON.stringify(transitions, undefined, 2),
  mermaid,
  table
}
