/**
 * The links between the hosts, on which several disturbances may hold at once, and the record of what was up when.
 */
import { Effect } from "effect"
import type { Condition, Network } from "../../support/network.ts"
import type { Change, Fact } from "./availability.ts"

export const hosts = ["clients", "primary", "backup", "witness"] as const

export type Host = typeof hosts[number]

/** One direction of a link. */
export type Wire = readonly [from: Host, to: Host]

export interface Wires {
  /** Lets a condition hold on some directions while an effect runs. */
  readonly during: (
    wires: ReadonlyArray<Wire>,
    condition: Condition
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** The worst of all conditions. */
const worst = (conditions: Iterable<Condition>): Condition => {
  const all = [...conditions]
  return all.includes("cut") ? "cut" : Math.max(0, ...all as Array<number>)
}

/** `record` receives changes: no later than the end of a link that works, no earlier than its beginning. */
export const makeWires = (
  network: Network<Host>,
  /** A link with a longer one-way delay is not up. */
  longestDelayMillis: number,
  record: (change: Change) => void
): Wires => {
  const holding = new Map<string, Set<readonly [Condition]>>()
  const isUp = (condition: Condition) => condition !== "cut" && condition <= longestDelayMillis
  const change = ([from, to]: Wire, update: (conditions: Set<readonly [Condition]>) => void) =>
    Effect.suspend(() => {
      const fact: Fact = `${from}>${to}`
      const conditions = holding.get(fact) ?? new Set()
      holding.set(fact, conditions)
      const before = worst([...conditions].map(([condition]) => condition))
      update(conditions)
      const after = worst([...conditions].map(([condition]) => condition))
      if (before === after) {
        return Effect.void
      }
      if (isUp(before) && !isUp(after)) {
        record({ at: performance.now(), fact, isUp: false })
      }
      return Effect.tap(network.set(from, to, after), () => {
        if (!isUp(before) && isUp(after)) {
          record({ at: performance.now(), fact, isUp: true })
        }
      })
    })
  return {
    during: (wires, condition) => (effect) => {
      const entry = [condition] as const
      return Effect.acquireUseRelease(
        Effect.forEach(wires, (wire) => change(wire, (conditions) => conditions.add(entry))),
        () => effect,
        () => Effect.forEach(wires, (wire) => change(wire, (conditions) => conditions.delete(entry)))
      )
    }
  }
}
