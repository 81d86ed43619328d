/**
 * The disturbances of a round: up to three at once. They depend only on the seed and the number of the round.
 */
import { Effect, Random } from "effect"
import { createHash } from "node:crypto"
import type { Wire } from "./wires.ts"

/**
 * kill, term, stop: a server. power: a host is cut off from all and its server is killed. peer, witnessed: the link between the
 * servers, that between a server and the witness. isolate: a server from its peer and the witness; clients reach it. island: a
 * server from all. delay: any of the links. witness-stop, witness-kill: the engine of the witness.
 */
export const kinds = [
  "kill",
  "term",
  "stop",
  "power",
  "peer",
  "witnessed",
  "isolate",
  "island",
  "delay",
  "witness-stop",
  "witness-kill"
] as const

export type Kind = typeof kinds[number]

const ofServers: ReadonlyArray<Kind> = ["kill", "term", "stop", "power"]

const ofLinks: ReadonlyArray<Kind> = ["peer", "witnessed", "isolate", "island", "delay"]

export const isOfLink = (kind: Kind): boolean => ofLinks.includes(kind)

export const targets = ["active", "passive"] as const

export type Target = typeof targets[number]

/** As seen from the target. */
export const directions = ["both", "out", "in"] as const

export type Direction = typeof directions[number]

export interface Strike {
  readonly kind: Kind
  /** The server that is struck, or whose link is. */
  readonly target: Target
  readonly direction: Direction
  readonly afterMillis: number
  /** How long it lasts, or how long after its end a process is restarted. */
  readonly lastsMillis: number
  /** The one-way delay; for links that are not cut. */
  readonly delayMillis: number
  /** The links of a delay. */
  readonly delayed: "peer" | "witnessed" | "isolate"
}

export interface Choices {
  readonly kinds: ReadonlyArray<Kind>
  readonly heartbeatMillis: number
  /** The most strikes in a round. */
  readonly most: number
}

const oneOf = <A>(all: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, all.length), (i) => all[i]!)

/** Short times are as frequent as long ones. */
const spread = (least: number, most: number): Effect.Effect<number> =>
  Effect.map(Random.nextRange(Math.log(least), Math.log(most)), Math.exp)

const drawStrike = ({ heartbeatMillis, kinds }: Choices): Effect.Effect<Strike> =>
  Effect.gen(function*() {
    const kind = yield* oneOf(kinds)
    const restartsAtOnce = yield* oneOf([true, false, false])
    const lasts = yield* spread(heartbeatMillis / 2, 15 * heartbeatMillis)
    const isRestart = kind === "kill" || kind === "term" || kind === "witness-kill"
    return {
      kind,
      target: yield* oneOf(["active", "active", "passive"] as const),
      direction: yield* oneOf(["both", "both", "out", "in"] as const),
      afterMillis: yield* Random.nextRange(0, 5 * heartbeatMillis),
      lastsMillis: isRestart && restartsAtOnce ? 0 : lasts,
      delayMillis: heartbeatMillis * (yield* Random.nextRange(0.05, 3)),
      delayed: yield* oneOf(["peer", "witnessed", "isolate"] as const)
    }
  })

/** What a strike has for itself: one process is struck once in a round. */
const claims = ({ kind, target }: Strike): string | undefined =>
  ofServers.includes(kind) ? target : isOfLink(kind) ? undefined : "witness"

/** Seeds that differ little would draw nearly the same. */
const digest = (text: string): number => createHash("sha256").update(text).digest().readUInt32LE()

export const disturbance = (seed: number, round: number, choices: Choices): ReadonlyArray<Strike> =>
  Effect.gen(function*() {
    const count = Math.min(choices.most, yield* oneOf([1, 1, 2, 2, 3]))
    const drawn = yield* Effect.replicateEffect(drawStrike(choices), count)
    return drawn.filter((strike, i) => {
      const claimed = claims(strike)
      return claimed === undefined || !drawn.slice(0, i).some((earlier) => claims(earlier) === claimed)
    })
  }).pipe(Effect.withRandom(Random.make(digest(`${seed}/${round}`))), Effect.runSync)

/** The directions of a strike at a server. */
export const wiresOf = (
  { delayed, direction, kind }: Strike,
  target: "primary" | "backup",
  peer: "primary" | "backup"
): ReadonlyArray<Wire> => {
  const what = kind === "delay" ? delayed : kind
  const others = what === "peer"
    ? [peer]
    : what === "witnessed"
    ? ["witness"] as const
    : what === "isolate"
    ? [peer, "witness"] as const
    : [peer, "witness", "clients"] as const
  return others.flatMap((other): ReadonlyArray<Wire> =>
    kind === "power" || kind === "island" || direction === "both"
      ? [[target, other], [other, target]]
      : direction === "out"
      ? [[target, other]]
      : [[other, target]]
  )
}
