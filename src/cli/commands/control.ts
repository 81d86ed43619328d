/**
 * `bstar switchover`, `pause`, `resume`, `promote`: what an operator orders.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { OperatorClient, OperatorError } from "../../http/OperatorClient.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import { namesOf, type Observation, type Seen, seenOf, whyNot } from "../../status/Doctor.ts"
import { complain, Declined, EndedWith, layerHttp, report, serversOf } from "../operator.ts"

type Failure = ConfigError.ConfigError | Declined | EndedWith | InvalidConfig | OperatorError

/** What to call each server of which something is told. */
const tellerOf = (observations: ReadonlyArray<Observation>) => {
  const names = namesOf(observations)
  return (observation: Observation): string => {
    const name = names[observations.indexOf(observation)]!
    return name.includes(observation.address) ? name : `${name} (${observation.address})`
  }
}

/** Why a server that was asked for is not to be had. */
const whyUnseen = (observations: ReadonlyArray<Observation>): ReadonlyArray<string> =>
  observations.flatMap((one) => one._tag === "Unseen" ? [`${one.address}: ${one.error}`] : [])

/** The one server that answers clients. */
const activeOf = (observations: ReadonlyArray<Observation>): Effect.Effect<Seen, Declined> => {
  const nameOf = tellerOf(observations)
  const seen = seenOf(observations)
  const [active, another] = seen.filter(({ status }) => status.answers)
  const others = [
    ...seen.filter((one) => one !== active).map((one) => whyNot({ name: nameOf(one), ...one })),
    ...whyUnseen(observations),
    ...(observations.length === 1 ? ["its peer is not known here, give --http twice"] : [])
  ].join("; ")
  return another !== undefined
    ? new Declined({ message: "both servers are active, so there is nothing to hand over: see bstar doctor" })
    : active === undefined
    ? new Declined({ message: `there is no active server that could hand over: ${others}` })
    : Effect.succeed(active)
}

/**
 * How long a switchover may take: until its peer stands by, its drain, what hooks and a command take to end, as long as the
 * server waits for its peer, and a while.
 */
const patienceOf = ({ config: { drainMillis, heartbeatMillis } }: Seen["status"]): Duration.Duration =>
  Duration.millis(drainMillis + Math.max(10_000, 11 * heartbeatMillis) + 60_000)

export const switchover = (
  { reason, ...parsed }: Values<"pause">
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const before = yield* observe
    const active = yield* activeOf(before)
    yield* report(`${tellerOf(before)(active)} hands over`)
    const client = yield* clientOf(active.address)
    const { say } = yield* client.switchover(reason, patienceOf(active.status))
    yield* report(say)
    yield* Effect.flatMap(observe, (after) => successorOf(after, active)).pipe(
      // The other server may be known only through the first one, which asks it no more than once a second.
      Effect.retry({ times: 10, schedule: Schedule.spaced("200 millis") }),
      Effect.flatMap(report)
    )
  }).pipe(Effect.provide(layerHttp))

/** Who is active instead, as far as it can be asked. */
const successorOf = (
  observations: ReadonlyArray<Observation>,
  { status }: Seen
): Effect.Effect<string, Declined> => {
  const successor = seenOf(observations).find((one) => one.status.role !== status.role)
  if (successor === undefined) {
    return Effect.succeed("its peer is active now, which cannot be asked from here")
  }
  const name = tellerOf(observations)(successor)
  return successor.status.answers
    ? Effect.succeed(`${name} is active now`)
    : new Declined({ message: `but now ${whyNot({ name, ...successor })}` })
}

/** Orders both servers the same and tells what each one said. */
const both = (
  parsed: Values<"resume">,
  order: (client: OperatorClient) => Effect.Effect<{ readonly say: string }, OperatorError>
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const observations = yield* observe
    const nameOf = tellerOf(observations)
    const done: ReadonlyArray<boolean> = yield* Effect.forEach(
      observations,
      (observation): Effect.Effect<boolean, never, HttpClient.HttpClient> =>
        Effect.flatMap(clientOf(observation.address), order).pipe(
          Effect.flatMap(({ say }) => report(`${nameOf(observation)}: ${say}`)),
          Effect.as(true),
          Effect.catchAll(({ detail }) => Effect.as(complain(`${nameOf(observation)}: ${detail}`), false))
        )
    )
    if (observations.length < 2) {
      return yield* new Declined({
        message: "only one server is known here: give --http twice, or start the servers with --peer-http"
      })
    }
    if (done.includes(false)) {
      return yield* new EndedWith({ code: 1 })
    }
  }).pipe(Effect.provide(layerHttp))

export const pause = ({ reason, ...parsed }: Values<"pause">) => both(parsed, ({ pause }) => pause(reason))

export const resume = (parsed: Values<"resume">) => both(parsed, ({ resume }) => resume)

export const promote = (
  { reason, ...parsed }: Values<"pause">
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { addresses: [address, another], clientOf } = yield* serversOf(parsed)
    if (address === undefined || another !== undefined) {
      return yield* new InvalidConfig({
        issues: [{ field: "http", message: "say which server is to be promoted: --http HOST:PORT, once" }]
      })
    }
    const client = yield* clientOf(address)
    const { say } = yield* client.promote(reason)
    yield* report(`${client.address}: ${say}`)
  }).pipe(Effect.provide(layerHttp))
