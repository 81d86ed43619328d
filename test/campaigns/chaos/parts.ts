import { Effect } from "effect"
import type { Scope } from "effect"
import type { Links } from "../../support/links.ts"
import { makeReflected, makeRelayed } from "../../support/links.ts"
import type { Choices } from "./disturbances.ts"

/** Whether servers and clients have keys: never, always, or in the second half of the rounds. */
export const keysOf = ["off", "on", "half"] as const

export type Keys = typeof keysOf[number]

interface Rounds {
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly keys: Keys
}

/** The same rounds in parts, each with keys in all its rounds or in none. */
export const parts = <Options extends Rounds>(options: Options): ReadonlyArray<Options> => {
  const { from, keys, rounds } = options
  const first = Math.ceil(rounds / 2)
  const halves: ReadonlyArray<Options> = [
    { ...options, rounds: first, keys: "off" },
    { ...options, from: from + first, rounds: rounds - first, keys: "on" }
  ]
  return keys === "half" ? halves.filter(({ rounds }) => rounds > 0) : [options]
}

/** The cause of the delay of a link: a TCP relay, or the network of this process. */
export const linkKinds = ["relay", "network"] as const

export type LinkKind = typeof linkKinds[number]

/** Links without a delay yet, or none. */
export const linksOf = (
  { delays, link }: { readonly delays: Choices["delays"]; readonly link: LinkKind }
): Effect.Effect<Links | undefined, never, Scope.Scope> =>
  delays === undefined ? Effect.succeed(undefined) : (link === "relay" ? makeRelayed : makeReflected)(0)
