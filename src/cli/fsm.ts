/**
 * `bstar fsm`: the state machine as text, derived from the reducer itself: every cell is what `Fsm.step` did when asked.
 */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import * as Fsm from "../Fsm.ts"
import type { fsm, Parsed } from "./options.ts"

export const run = ({ format, policy }: Parsed<typeof fsm>): Effect.Effect<void> =>
  Console.log(render(format, Fsm.policies[policy]))

/** One question to the reducer and its answer. */
export interface Transition {
  readonly state: Fsm.State
  readonly event: Fsm.Event["_tag"]
  readonly peer: "alive" | "expired"
  readonly verdict: Fsm.Verdict["_tag"]
  readonly next: Fsm.State
  readonly say: string | undefined
}

const expiryMillis = 2000

/** Everything that the reducer can be asked, with a peer that is alive and one that has expired. */
export const transitions = (policy: Fsm.Policy): ReadonlyArray<Transition> =>
  Fsm.states.flatMap((state) =>
    Fsm.eventTags.flatMap((event) =>
      (["alive", "expired"] as const).map((peer) => {
        const { member, say, verdict } = Fsm.step(
          { role: "primary", policy, expiryMillis },
          { state, peerExpiry: expiryMillis },
          { _tag: event, now: peer === "alive" ? expiryMillis : expiryMillis + 1 }
        )
        return { state, event, peer, verdict: verdict._tag, next: member.state, say }
      })
    )
  )

export const render = (format: Parsed<typeof fsm>["format"], policy: Fsm.Policy): string => {
  switch (format) {
    case "json":
      return JSON.stringify(transitions(policy), undefined, 2)
    case "table":
      return table(transitions(policy))
    case "mermaid":
      return mermaid(transitions(policy))
  }
}

const table = (all: ReadonlyArray<Transition>): string => {
  const rows = [
    ["state", "event", "peer", "verdict", "next state", "says"],
    ...all.map((t) => [t.state, t.event, t.peer, t.verdict.toLowerCase(), t.next, t.say ?? ""])
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n")
}

/** Transitions that change the state or end the server. What holds for a peer alive and expired alike is told once. */
const mermaid = (all: ReadonlyArray<Transition>): string => {
  const arrows = all.flatMap((t) => {
    if (t.next === t.state && t.verdict !== "Fatal") {
      return []
    }
    const twin = all.find((other) => other.state === t.state && other.event === t.event && other.peer !== t.peer)
    const same = twin?.next === t.next && twin.verdict === t.verdict
    if (same && t.peer === "expired") {
      return []
    }
    const to = t.verdict === "Fatal" ? "[*]" : t.next
    return [`    ${t.state} --> ${to}: ${t.event}${same ? "" : ` (peer ${t.peer})`}`]
  })
  return ["stateDiagram-v2", "    [*] --> PRIMARY: -p", "    [*] --> BACKUP: -b", ...arrows].join("\n")
}
