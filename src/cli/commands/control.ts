/**
 * `bstar switchover`, `pause`, `resume`, `promote`: the commands of an operator.
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
import { current, distinct, namesOf, type Observation, type Reached, whyInactive } from "../../status/Observation.ts"
import * as Warnings from "../../status/Warnings.ts"
import { complain, Declined, EndedWith, layerHttp, report, serversOf } from "../operator.ts"

type Failure = ConfigError.ConfigError | Declined | EndedWith | InvalidConfig | OperatorError

/** The name of a server, with its address. */
const nameWithAddress = (observations: ReadonlyArray<Observation>) => {
  const names = namesOf(observations)
  return (observation: Observation): string => {
    const name = names[observations.indexOf(observation)]!
    return name.includes(observation.address) ? name : `${name} (${observation.address})`
  }
}

const errorsOf = (observations: ReadonlyArray<Observation>): ReadonlyArray<string> =>
  observations.flatMap((one) => one._tag === "Unreached" ? [`${one.address}: ${one.error}`] : [])

/** The one server that answers clients. */
const activeOf = (observations: ReadonlyArray<Observation>): Effect.Effect<Reached, Declined> => {
  const nameOf = nameWithAddress(observations)
  const reached = current(observations)
  const [active, another] = reached.filter(({ status }) => status.answers)
  const others = [
    ...reached.filter((one) => one !== active).map((one) => whyInactive({ name: nameOf(one), ...one })),
    ...errorsOf(observations),
    ...(observations.length === 1 ? ["its peer is not known here, give --http twice"] : [])
  ].join("; ")
  if (another !== undefined) {
    return new Declined({ message: "both servers are active, so there is nothing to hand over: see bstar doctor" })
  }
  return active === undefined
    ? new Declined({ message: `there is no active server that could hand over: ${others}` })
    : Effect.succeed(active)
}

/** Enough for the peer to become passive, the drain, the wait for the peer to be active, and a minute for hooks and a command. */
const timeoutOf = ({ config: { drainMillis, heartbeatMillis } }: Reached["status"]): Duration.Duration =>
  Duration.millis(drainMillis + Math.max(10_000, 11 * heartbeatMillis) + 60_000)

export const switchover = (
  { reason, ...parsed }: Values<"switchover">
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const before = yield* observe
    const active = yield* activeOf(before)
    yield* report(`${nameWithAddress(before)(active)} hands over`)
    const client = yield* clientOf(active.address)
    const { message } = yield* client.switchover(reason, timeoutOf(active.status))
    yield* report(message)
    yield* Effect.flatMap(observe, (after) => successorOf(after, active)).pipe(
      // The other server may be known only by the copy of its status that the first one requests once a second.
      Effect.retry({ times: 10, schedule: Schedule.spaced("200 millis") }),
      Effect.flatMap(report)
    )
  }).pipe(Effect.provide(layerHttp))

/** The sentence about the server that is active now. */
const successorOf = (
  observations: ReadonlyArray<Observation>,
  { status }: Reached
): Effect.Effect<string, Declined> => {
  const successor = distinct(observations).find((one) => one.status.role !== status.role)
  if (successor === undefined) {
    return Effect.succeed("its peer is active now; its status cannot be requested from here")
  }
  const name = nameWithAddress(observations)(successor)
  return successor.status.answers
    ? Effect.succeed(`${name} is active now`)
    : new Declined({ message: `but now ${whyInactive({ name, ...successor })}` })
}

/** Sends a command to both servers and reports both outcomes. */
const both = (
  parsed: Values<"resume">,
  send: (client: OperatorClient) => Effect.Effect<{ readonly message: string }, OperatorError>
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { clientOf, observe } = yield* serversOf(parsed)
    const observations = yield* observe
    const nameOf = nameWithAddress(observations)
    const done: ReadonlyArray<boolean> = yield* Effect.forEach(
      observations,
      (observation): Effect.Effect<boolean, never, HttpClient.HttpClient> =>
        Effect.flatMap(clientOf(observation.address), send).pipe(
          Effect.flatMap(({ message }) => report(`${nameOf(observation)}: ${message}`)),
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
  { reason, withoutWitness, ...parsed }: Values<"promote">
): Effect.Effect<void, Failure, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { addresses: [address, another], clientOf } = yield* serversOf(parsed)
    if (address === undefined || another !== undefined) {
      return yield* new InvalidConfig({
        issues: [{ field: "http", message: "choose the server to promote: --http HOST:PORT, once" }]
      })
    }
    const client = yield* clientOf(address)
    if (withoutWitness) {
      yield* report(`${client.address}: ${Warnings.withoutWitness}`)
    }
    const { message } = yield* client.promote(reason, { withoutWitness })
    yield* report(`${client.address}: ${message}`)
  }).pipe(Effect.provide(layerHttp))
