/**
 * Client of a pair: sends each request to the active server, and fails over within milliseconds.
 *
 * It is connected to both servers all the time, and notices a lost connection at once. Servers of other implementations
 * drop a request without a reply while they are passive. So an unanswered request is offered to the other server as a vote,
 * until one of them answers; all other pending requests follow.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as EffectVersion from "../internal/EffectVersion.ts"
import type { ClientLink } from "../ports/ClientLink.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { client } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Frames from "../wire/Frames.ts"
import type { RequestError } from "./RequestError.ts"
import * as Session from "./session.ts"

/**
 * Options of a client.
 *
 * @category models
 */
export interface Options {
  /** Frontends of the servers; the first one receives the first request. Defaults to the Guide's pair on this machine. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** Time in which a request ends, with a reply or an error. Defaults to `10 seconds`. */
  readonly timeout?: DurationInput | undefined
  /**
   * Time after which the active server receives an unanswered request again. Should exceed the duration of the slowest
   * handler. Defaults to `1 second`.
   */
  readonly retryAfter?: DurationInput | undefined
  /**
   * Intervals at which an unanswered request is sent to a server that is not known to be active, as a vote. Starts anew
   * with each outage, and when it ends. Defaults to intervals that grow from 5 to 50 milliseconds.
   */
  readonly votes?: Schedule.Schedule<unknown> | undefined
}

/**
 * The Guide's servers, and timings for a network of one site.
 *
 * @category constants
 */
export const defaults = {
  servers: client.servers.default,
  timeout: client.timeout.default,
  retryAfter: client.retryAfter.default,
  votes: Schedule.union(Schedule.exponential("5 millis", 1.5), Schedule.spaced("50 millis"))
} as const satisfies Options

/**
 * Options of one request.
 *
 * @category models
 */
export interface RequestOptions {
  /**
   * Whether the request may be sent more than once, so that it may be executed more than once (at least once).
   *
   * With `false` it is sent again only after a server has reported that it dropped the request (at most once). It fails with
   * `Unanswered` when the connection to its server is lost, when the other server is active and its own has not replied
   * within 0.2 seconds, or when its time is over. Passive servers of other implementations drop requests without a report.
   *
   * Defaults to `true`.
   */
  readonly resend?: boolean | undefined
  /** Whether the current span is sent with the request, as the parent of the server's span. Defaults to `true`. */
  readonly trace?: boolean | undefined
}

/**
 * Client of a pair. It finds the active server by itself.
 *
 * @category tags
 */
export class BinaryStarClient extends Context.Tag("effect-binary-star/BinaryStarClient")<BinaryStarClient, {
  /**
   * Sends a request and waits for its reply. Requests may run concurrently. The current span is the parent of the server's.
   *
   * Fails with `NoReply` when no server answers in time, with `Unanswered` when the reply to a request that must not be
   * resent is lost, and with `Failed`, `TimedOut` or `Busy` when a server of this library reports so.
   */
  readonly request: (
    request: Frames.Input,
    options?: RequestOptions
  ) => Effect.Effect<Frames.Frames, RequestError>
}>() {}

const Settings = Schema.Struct({
  servers: Schema.NonEmptyArray(Endpoint.Connectable),
  timeout: fieldOf(client.timeout),
  retryAfter: fieldOf(client.retryAfter)
})

/**
 * Opens a client in the current scope, and connects to all servers at once. Requests that are pending when the scope closes
 * fail, and so do later ones.
 *
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<BinaryStarClient["Type"], InvalidConfig, ClientLink | Scope.Scope> =>
  Effect.gen(function*() {
    yield* EffectVersion.check
    const settings = yield* validate(Settings, {
      servers: options.servers ?? defaults.servers,
      timeout: options.timeout ?? defaults.timeout,
      retryAfter: options.retryAfter ?? defaults.retryAfter
    })
    const request = yield* Session.make({ ...settings, votes: options.votes ?? defaults.votes })
    return BinaryStarClient.of({
      request: (input, { resend = true, trace = true } = {}) => request(Frames.make(input), resend, trace)
    })
  })

/**
 * A client with the lifetime of the layer. The `ClientLink` is `ZmqClientLink.layer`, or one in memory.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { BinaryStarClient, Frames, ZmqClientLink } from "effect-binary-star"
 *
 * const Client = BinaryStarClient.layer({
 *   servers: ["tcp://10.0.0.1:5001", "tcp://10.0.0.2:5001"],
 *   timeout: "5 seconds"
 * }).pipe(Layer.provide(ZmqClientLink.layer))
 *
 * // Fails with a RequestError if neither server has replied after 5 seconds.
 * export const program = BinaryStarClient.BinaryStarClient.pipe(
 *   Effect.flatMap((client) => client.request("world")),
 *   Effect.map((reply) => Frames.toString(reply)),
 *   Effect.provide(Client)
 * )
 * ```
 *
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<BinaryStarClient, InvalidConfig, ClientLink> =>
  Layer.scoped(BinaryStarClient, make(options))
