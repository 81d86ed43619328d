/**
 * The disturbance of a round. It depends only on the seed and the number of the round.
 */
import { Effect, Random } from "effect"

/** Disturbances of processes, and of the network. */
export const kinds = ["kill", "term", "stop", "early", "cut", "delay"] as const

export type Kind = typeof kinds[number]

export const isOfNetwork = (kind: Kind): boolean => kind === "cut" || kind === "delay"

export const targets = ["active", "passive", "both"] as const

export type Target = typeof targets[number]

/** A strike at one server: its start, and how long it is stopped or cut off, or how long after its end it is restarted. */
export interface Strike {
  readonly target: "active" | "passive"
  readonly afterMillis: number
  readonly lastsMillis: number
}

export interface Disturbance {
  readonly kind: Kind
  readonly target: Target
  readonly strikes: ReadonlyArray<Strike>
  /** SIGKILL to the active server, this long after the pair has an active server again. Only with `early`. */
  readonly then: Omit<Strike, "target"> | undefined
  /** The one-way delay of the link in this round. */
  readonly delayMillis: number
}

export interface Choices {
  readonly kinds: ReadonlyArray<Kind>
  /** Defaults to any. */
  readonly target: Target | undefined
  readonly heartbeatMillis: number
  /** The least and the most one-way delay of the link, in heartbeats. */
  readonly delays: readonly [number, number] | undefined
}

const targetsOf: { readonly [K in Kind]: ReadonlyArray<Target> } = {
  kill: ["active", "active", "passive", "both"],
  term: ["active", "passive"],
  stop: ["active", "active", "passive", "both"],
  early: ["passive", "both"],
  // Both: from each other.
  cut: ["active", "passive", "both"],
  delay: ["active", "passive", "both"]
}

const oneOf = <A>(all: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, all.length), (i) => all[i]!)

/** Short stops are as frequent as long ones: those around two heartbeats matter most. */
const stopMillis = (most: number) =>
  Effect.map(Random.nextRange(Math.log(100), Math.log(most)), (logarithm) => Math.exp(logarithm))

const longestStopMillis = 5000

/** The shortest heartbeat with which a delayed heartbeat can be in time. */
export const leastDelayHeartbeatMillis = 500

/**
 * TCP retransmits after 200 ms and then after twice as long each time, so that a heartbeat is late by at most twice the cut and
 * 200 ms. With the period before it, that has to be less than two heartbeats.
 */
const longestDelayMillis = (heartbeatMillis: number) => (heartbeatMillis - 250) / 2

/** Immediately, as a supervisor would, or up to a second later. */
const restartMillis = Effect.gen(function*() {
  const delay = yield* Random.nextRange(0, 1000)
  return (yield* oneOf([true, false, false, false])) ? 0 : delay
})

const lasts = (kind: Kind, heartbeatMillis: number): Effect.Effect<number> => {
  switch (kind) {
    case "kill":
    case "term":
      return restartMillis
    case "early":
      return Random.nextRange(0, heartbeatMillis / 2)
    case "stop":
    case "cut":
      return stopMillis(longestStopMillis)
    case "delay":
      return Random.nextRange(10, longestDelayMillis(heartbeatMillis))
  }
}

/** The time between two strikes. Stops overlap, and end before the request of a user times out. */
const gapMillis = (kind: Kind, lastsMillis: number, heartbeatMillis: number): Effect.Effect<number> => {
  switch (kind) {
    case "stop":
      return Random.nextRange(0, Math.min(lastsMillis, longestStopMillis - 200))
    case "early":
      return Random.nextRange(0, heartbeatMillis / 4)
    default:
      return Random.nextRange(0, 4 * heartbeatMillis)
  }
}

export const disturbance = (seed: number, round: number, choices: Choices): Disturbance =>
  Effect.runSync(Effect.withRandom(draw(choices), Random.make(`${seed}/${round}`)))

/** A server that is killed sooner may not have published its state. */
const leastEarlyMillis = 10

/** So long that the other server has to take over first. */
const earlyRestartHeartbeats = 6

const draw = (choices: Choices): Effect.Effect<Disturbance> =>
  Effect.gen(function*() {
    const { heartbeatMillis } = choices
    const struck = yield* drawStrikes(choices)
    const then = struck.kind === "early"
      ? {
        afterMillis: yield* Random.nextRange(leastEarlyMillis, 2 * heartbeatMillis),
        lastsMillis: earlyRestartHeartbeats * heartbeatMillis
      }
      : undefined
    const delayMillis = choices.delays === undefined
      ? 0
      : heartbeatMillis * (yield* Random.nextRange(...choices.delays))
    return { ...struck, then, delayMillis }
  })

const drawStrikes = (
  choices: Choices
): Effect.Effect<Omit<Disturbance, "then" | "delayMillis">> =>
  Effect.gen(function*() {
    const kind = yield* oneOf(choices.kinds)
    const target = choices.target ?? (yield* oneOf(targetsOf[kind]))
    const afterMillis = yield* Random.nextRange(0, choices.heartbeatMillis)
    const lastsMillis = yield* lasts(kind, choices.heartbeatMillis)
    if (target !== "both") {
      return { kind, target, strikes: [{ target, afterMillis, lastsMillis }] }
    }
    if (isOfNetwork(kind)) {
      return { kind, target, strikes: [{ target: "active", afterMillis, lastsMillis }] }
    }
    const [first, second] = (yield* oneOf([true, false]))
      ? ["active", "passive"] as const
      : ["passive", "active"] as const
    const gap = yield* gapMillis(kind, lastsMillis, choices.heartbeatMillis)
    return {
      kind,
      target,
      strikes: [
        { target: first, afterMillis, lastsMillis },
        {
          target: second,
          afterMillis: afterMillis + gap,
          lastsMillis: yield* kind === "stop"
            ? stopMillis(longestStopMillis - gap)
            : lasts(kind, choices.heartbeatMillis)
        }
      ]
    }
  })
