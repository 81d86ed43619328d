/**
 * `bstar client`: asks a pair for the numbers 1, 2, 3 ..., as the Guide's client does; with --legacy also in its way.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as BinaryStarClient from "../../client/BinaryStarClient.ts"
import * as LazyPirate from "../../client/LazyPirate.ts"
import type { RequestError } from "../../client/RequestError.ts"
import type { ClientLink } from "../../ports/ClientLink.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Frames from "../../wire/Frames.ts"
import * as ZmqClientLink from "../../zeromq/ZmqClientLink.ts"
import * as logging from "../logging.ts"
import type { client, Parsed } from "../options.ts"
import { Output } from "../output.ts"

const serversFromEnvironment = Config.option(Config.array(Config.string(), "BSTAR_SERVERS"))

export const run = (
  parsed: Parsed<typeof client>
): Effect.Effect<void, ConfigError.ConfigError | InvalidConfig | RequestError, Output> =>
  Effect.gen(function*() {
    const interval = yield* Option.match(Option.map(parsed.interval, Duration.decodeUnknown), {
      onNone: () => Effect.succeed(Duration.seconds(1)),
      onSome: Option.match({
        onNone: () =>
          new InvalidConfig({ issues: [{ field: "interval", message: `expected a duration such as "250 millis"` }] }),
        onSome: Effect.succeed
      })
    })
    const servers = parsed.server.length > 0
      ? parsed.server
      : Option.getOrUndefined(yield* serversFromEnvironment)
    const [unused, foreign] = parsed.legacy
      ? [parsed.retryAfter, { field: "retryAfter", message: "not an option of --legacy" }] as const
      : [parsed.reconnectDelay, { field: "reconnectDelay", message: "only an option of --legacy" }] as const
    if (Option.isSome(unused)) {
      return yield* new InvalidConfig({ issues: [foreign] })
    }
    const timeout = Option.getOrUndefined(parsed.timeout) as Duration.DurationInput | undefined
    const client = parsed.legacy
      ? LazyPirate.layer({
        servers,
        timeout,
        reconnectDelay: Option.getOrUndefined(parsed.reconnectDelay) as Duration.DurationInput | undefined,
        retry: Schedule.forever
      })
      : BinaryStarClient.layer({
        servers,
        timeout,
        retryAfter: Option.getOrUndefined(parsed.retryAfter) as Duration.DurationInput | undefined
      })
    const link: Layer.Layer<ClientLink, InvalidConfig> = Option.isNone(parsed.keys)
      ? ZmqClientLink.layer
      : ZmqClientLink.layerCurve(
        (yield* Effect.promise(() => import("../../security/Curve.ts"))).client(parsed.keys.value)
      )
    const { failed } = yield* Output
    yield* ask(interval, parsed.count).pipe(Effect.provide(Layer.provide(client, link)), Effect.raceFirst(failed))
  }).pipe(Effect.provide(logging.layer(parsed.logFormat)))

const ask = (interval: Duration.Duration, count: number) =>
  Effect.gen(function*() {
    const client = yield* BinaryStarClient.BinaryStarClient
    const { written } = yield* Output
    for (let sequence = 1; sequence <= count; sequence++) {
      const reply = Frames.toString(
        yield* client.request(String(sequence)).pipe(
          Effect.tapError((error) => Effect.logWarning(error.message)),
          Effect.retry(Schedule.forever)
        )
      )
      yield* reply === String(sequence)
        ? Effect.logInfo(`server replied OK (${reply})`)
        : Effect.logError(`bad reply from server: ${reply}`)
      yield* written
      if (sequence < count) {
        yield* Effect.sleep(interval)
      }
    }
  })
