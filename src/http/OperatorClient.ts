/**
 * The operator's side of a status server: requests for the status of a server of a pair, and commands.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "../internal/Clock.ts"
import { statusUrl } from "../settings/Address.ts"
import * as History from "../status/History.ts"
import { type Observation, type Reached, withPeer } from "../status/Observation.ts"
import * as Status from "../status/Status.ts"
import * as Client from "./client.ts"

export { OperatorError, type OperatorReason } from "./client.ts"

/**
 * The URL of a status server: of `http://10.0.0.1:5011`, `10.0.0.1:5011`, or on this machine `:5011`. `undefined` if the
 * address is malformed.
 *
 * @category combinators
 */
export const urlOf: (address: string) => string | undefined = statusUrl

/**
 * An address that {@link urlOf} understands.
 *
 * @category schemas
 */
export const Address = Schema.String.pipe(
  Schema.filter((address) => urlOf(address) !== undefined, {
    identifier: "Address",
    message: ({ actual }) =>
      `expected the address of a status server such as "10.0.0.1:5011" or "http://10.0.0.1:5011", got ${
        JSON.stringify(actual)
      }`
  })
)

/**
 * The client of one server of a pair.
 *
 * @category models
 */
export interface OperatorClient {
  /** The URL of the server. */
  readonly address: string
  /** The status of the server, and its copy of its peer's. Times out after 3 seconds. */
  readonly pair: Effect.Effect<Status.PairStatus, Client.OperatorError>
  /** The latest transitions, the newest first, at most as many as the server keeps. */
  readonly history: (limit: number) => Effect.Effect<ReadonlyArray<Status.HistoryEntry>, Client.OperatorError>
  /** Whether the server accepts commands with this token. No command is sent. */
  readonly commands: Effect.Effect<NonNullable<Reached["commands"]>, Client.OperatorError>
  /** Has the active server hand over to its peer, and waits for that until the timeout. */
  readonly switchover: (
    reason: string,
    timeout: Duration.DurationInput
  ) => Effect.Effect<typeof Status.SwitchedOver.Type, Client.OperatorError>
  /** Votes do not make the server take over any more, until it is resumed or restarted. */
  readonly pause: (reason: string) => Effect.Effect<typeof Status.Done.Type, Client.OperatorError>
  readonly resume: Effect.Effect<typeof Status.Done.Type, Client.OperatorError>
  /**
   * Makes the server active if its peer is lost or has handed over. With `withoutWitness` the operator answers for the witness and
   * the peer; see `promote` of `BinaryStar`.
   */
  readonly promote: (
    reason: string,
    options?: { readonly withoutWitness?: boolean | undefined }
  ) => Effect.Effect<typeof Status.Done.Type, Client.OperatorError>
}

/** More than the second within which a server requests the status of its peer. */
const queryTimeout = Duration.seconds(3)

/** For commands that take some heartbeats at most. */
const commandTimeout = Duration.seconds(60)

/** A thousand transitions with long reasons. */
const maxBytes = 16 * 1024 * 1024

/** Whether commands are accepted, by the code of the answer to a body that is not JSON. */
const probed: { readonly [code: number]: "On" | "Off" | "Denied" } = { 400: "On", 401: "Denied", 404: "Off" }

const Description = Schema.Struct({ paths: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })

const commandsOf = (target: Client.Target): OperatorClient["commands"] =>
  target.token === undefined
    ? Effect.map(
      Client.get(target, "/openapi.json", Description, queryTimeout),
      ({ paths }) => "/pause" in paths ? "On" : "Off"
    )
    // A server that accepts the token answers 400 to a body that is not JSON, and does nothing.
    : Effect.flatMap(Client.post(target, "/pause", "{", queryTimeout), (answer) => {
      const commands = probed[answer.code]
      return commands === undefined ? Client.unexpected(target, answer) : Effect.succeed(commands)
    })

/**
 * Makes the client of one server. Its requests are made by the `HttpClient` at hand, such as that of
 * `@effect/platform/FetchHttpClient`.
 *
 * @category constructors
 */
export const make = (options: {
  /** The address of the server: see {@link urlOf}. */
  readonly address: string
  /** The server's token, which commands need. */
  readonly token?: Redacted.Redacted<string> | undefined
}): Effect.Effect<OperatorClient, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http): OperatorClient => {
    const address = urlOf(options.address) ?? options.address
    const target: Client.Target = { http, address, token: options.token, maxBytes }
    const command = (path: string, body: Partial<typeof Status.PromoteBody.Type>) =>
      Client.command(target, path, body, Status.Done, commandTimeout)
    return {
      address,
      pair: Client.get(target, "/pair", Status.PairStatus, queryTimeout),
      history: (limit) =>
        Client.get(
          target,
          `/history?limit=${Math.min(limit, History.capacity)}`,
          Schema.Array(Status.HistoryEntry),
          queryTimeout
        ),
      commands: commandsOf(target),
      switchover: (reason, timeout) =>
        Client.command(target, "/switchover", { reason }, Status.SwitchedOver, Duration.decode(timeout)),
      pause: (reason) => command("/pause", { reason }),
      resume: command("/resume", {}),
      promote: (reason, { withoutWitness = false } = {}) =>
        command("/promote", withoutWitness ? { reason, withoutWitness } : { reason })
    }
  })

/**
 * Requests the status of one or two servers. If one address is given and that server knows its peer's, the peer is observed,
 * too: directly, or if it cannot be reached from here by the copy that the first server holds.
 *
 * @category combinators
 */
export const observe = <R>(
  addresses: ReadonlyArray<string>,
  clientOf: (address: string) => Effect.Effect<OperatorClient, never, R>
): Effect.Effect<ReadonlyArray<Observation>, never, R> =>
  Effect.gen(function*() {
    const given = yield* Effect.forEach(addresses, (address) => request(clientOf(address)), {
      concurrency: "unbounded"
    })
    const [first] = given
    if (given.length !== 1 || first?._tag !== "Reached" || first.status.peerHttp === null) {
      return given
    }
    const second = yield* request(clientOf(first.status.peerHttp))
    return second._tag === "Unreached" && first.peer?.status != null ? withPeer(first) : [first, second]
  })

const request = <R>(client: Effect.Effect<OperatorClient, never, R>): Effect.Effect<Observation, never, R> =>
  Effect.gen(function*() {
    const { address, pair } = yield* client
    const requestedAt = yield* monotonicMillis
    return yield* Effect.match(Effect.zip(pair, monotonicMillis), {
      onFailure: ({ detail }): Observation => ({ _tag: "Unreached", address, error: detail }),
      onSuccess: ([{ peer, self }, now]): Observation => ({
        _tag: "Reached",
        address,
        status: self,
        peer,
        commands: undefined,
        requestedAt,
        durationMillis: now - requestedAt
      })
    })
  })
