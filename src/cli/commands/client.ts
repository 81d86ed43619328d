/**
 * `bstar client`: sends a pair the numbers 1, 2, 3 ..., as the Guide's client does; with `--legacy` also with its timing.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as BinaryStarClient from "../../client/BinaryStarClient.ts"
import * as LazyPirate from "../../client/LazyPirate.ts"
import type { RequestError } from "../../client/RequestError.ts"
import type { ClientLink } from "../../ports/ClientLink.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import * as Frames from "../../wire/Frames.ts"
import * as ZmqClientLink from "../../zeromq/ZmqClientLink.ts"
import * as logging from "../logging.ts"
import { Output } from "../output.ts"
import { type Contact, warnOfRefusal, watched } from "../refusal.ts"

type ClientValues = Values<"client"> | Values<"legacy">

/** How often the Guide's Lazy Pirate resends a request before it gives up. */
const retries = 3

const layerOf = (values: ClientValues) =>
  "reconnectDelay" in values
    ? LazyPirate.layer({ ...values, retry: values.count === undefined ? Schedule.forever : Schedule.recurs(retries) })
    : BinaryStarClient.layer(values)

/** What the client does while no server listens. */
const reactionOf = ({ count, legacy, timeout }: ClientValues): string => {
  if (count === undefined) {
    return "waiting for one"
  }
  return legacy ? `trying ${retries + 1} times` : `trying for ${Duration.format(timeout)}`
}

export const run = (values: ClientValues): Effect.Effect<void, InvalidConfig | RequestError, Output> =>
  Effect.gen(function*() {
    const { count, interval, keys, servers } = values
    const link: Layer.Layer<ClientLink, InvalidConfig> = keys === undefined
      ? ZmqClientLink.layer
      : ZmqClientLink.layerCurve((yield* Effect.promise(() => import("../../security/Curve.ts"))).client(keys))
    const { failed } = yield* Output
    const contact: Contact = { isMade: false }
    yield* Effect.fork(warnOfRefusal(servers, contact, reactionOf(values)))
    yield* request(interval, count, contact).pipe(
      Effect.provide(Layer.provide(layerOf(values), watched(link, contact))),
      Effect.raceFirst(failed)
    )
  }).pipe(Effect.provide(logging.layer(values.logFormat)))

/** Sends requests one after another. With a count, one without a reply is the end; without, it is sent until it has one. */
const request = (interval: Duration.Duration, count: number | undefined, contact: Contact) =>
  Effect.gen(function*() {
    const client = yield* BinaryStarClient.BinaryStarClient
    const { written } = yield* Output
    const last = count ?? Number.POSITIVE_INFINITY
    for (let sequence = 1; sequence <= last; sequence++) {
      const reply = Frames.toString(
        yield* client.request(String(sequence)).pipe(
          (reply) =>
            count !== undefined
              ? reply
              : Effect.retry(
                Effect.tapError(reply, (error) => Effect.logWarning(error.message)),
                Schedule.forever
              )
        )
      )
      contact.isMade = true
      yield* reply === String(sequence)
        ? Effect.logInfo(`server replied OK (${reply})`)
        : Effect.logError(`bad reply from server: ${reply}`)
      yield* written
      if (sequence < last) {
        yield* Effect.sleep(interval)
      }
    }
  })
