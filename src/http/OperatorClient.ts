/**
 * What an operator asks a server of a pair, and orders it to do, over HTTP.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "../internal/Clock.ts"
import type { Observation, Seen, Unseen } from "../status/Doctor.ts"
import * as History from "../status/History.ts"
import * as Status from "../status/Status.ts"
import * as ErrorBody from "./errorBody.ts"

/**
 * Where a server's status is told: the URL behind `http://10.0.0.1:5011`, `10.0.0.1:5011`, or of this machine `:5011`.
 * `undefined` when it is none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const urlOf = (address: string): string | undefined => {
  const isUrl = /^https?:\/\//.test(address)
  const hostAndPort = /^(?:(\[[0-9a-fA-F:.%]+\]|[^\s:/[\]@?#]+):|:?)([0-9]{1,5})$/.exec(address)
  const text = isUrl
    ? address
    : hostAndPort === null
    ? undefined
    : `http://${hostAndPort[1] ?? "127.0.0.1"}:${hostAndPort[2]}`
  if (text === undefined || !URL.canParse(text)) {
    return undefined
  }
  const { hash, href, password, search, username } = new URL(text)
  return hash + search + username + password === "" ? href.replace(/\/+$/, "") : undefined
}

/**
 * An address that {@link urlOf} understands.
 *
 * @since 0.1.0
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
 * Why an operator has no answer, or not the one that was wanted.
 *
 * - `Unreachable`: nobody could be asked at this address.
 * - `NoAnswer`: nobody has answered in time. What was ordered may be done all the same.
 * - `Unauthorized`: the token is missing, or is not the server's.
 * - `NoOrders`: the server has no token, so it takes no orders.
 * - `Refused`: the server does not do it.
 * - `Unfinished`: the server has begun to do it, and it was not done in time.
 * - `Unexpected`: whoever answers there is not a server of a pair.
 *
 * @since 0.1.0
 * @category models
 */
export type OperatorReason =
  | "Unreachable"
  | "NoAnswer"
  | "Unauthorized"
  | "NoOrders"
  | "Refused"
  | "Unfinished"
  | "Unexpected"

/**
 * An operator has no answer, or not the one that was wanted. `detail` is the sentence that says why, the server's own where
 * it has one.
 *
 * @since 0.1.0
 * @category errors
 */
export class OperatorError extends Data.TaggedError("OperatorError")<{
  readonly reason: OperatorReason
  readonly address: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.address}: ${this.detail}`
  }
}

/**
 * One server of a pair, as its operator has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface OperatorClient {
  /** The URL that is asked. */
  readonly address: string
  /** What the server says of itself and of its peer. */
  readonly pair: Effect.Effect<Status.PairStatus, OperatorError>
  /** Its latest transitions, the newest first, as far as it remembers. */
  readonly history: (limit: number) => Effect.Effect<ReadonlyArray<Status.HistoryEntry>, OperatorError>
  /** Whether it takes orders, and with this token. Nothing is ordered. */
  readonly orders: Effect.Effect<NonNullable<Seen["orders"]>, OperatorError>
  /** Has the active server hand over to its peer, which may take for so long, and waits until that is done. */
  readonly switchover: (
    reason: string,
    patience: Duration.DurationInput
  ) => Effect.Effect<typeof Status.SwitchedOver.Type, OperatorError>
  /** Votes do not make the server take over any more, until it is told to resume or starts anew. */
  readonly pause: (reason: string) => Effect.Effect<typeof Status.Done.Type, OperatorError>
  readonly resume: Effect.Effect<typeof Status.Done.Type, OperatorError>
  /** Makes the server active if its peer is gone. */
  readonly promote: (reason: string) => Effect.Effect<typeof Status.Done.Type, OperatorError>
}

/** How long a server may take to tell something. It asks its peer in turn, for a second. */
const patience = Duration.seconds(3)

/** How long a server may take to do what it can do at once, or within some heartbeats. */
const orderPatience = Duration.seconds(60)

/** What is said about a connection that could not be made, for people. */
const sentences: { readonly [code: string]: string } = {
  ECONNREFUSED: "nobody listens there (connection refused)",
  ECONNRESET: "the connection was cut",
  EHOSTUNREACH: "there is no way to this host",
  ENETUNREACH: "there is no way to this network",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  ETIMEDOUT: "no answer to the attempt to connect",
  UND_ERR_CONNECT_TIMEOUT: "no answer to the attempt to connect",
  UND_ERR_SOCKET: "the connection was cut",
  "bad port": "this port is one that browsers and fetch do not ask, so --http has to be another one"
}

/** The innermost reason of a failed `fetch`, which hides it behind "fetch failed", or behind one for each address of a host. */
const innermost = (error: unknown): { readonly code: string | undefined; readonly message: string } => {
  if (!(error instanceof Error)) {
    return { code: undefined, message: String(error) }
  }
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause
  return inner instanceof Error
    ? innermost(inner)
    : { code: "code" in error ? String(error.code) : undefined, message: error.message }
}

/** Whether orders are accepted, by the status of the answer to one that is not JSON. */
const probed: { readonly [code: number]: "On" | "Off" | "Denied" } = { 400: "On", 401: "Denied", 404: "Off" }

interface Answer {
  readonly code: number
  readonly body: string
}

/**
 * Makes the client of one server. Its requests are made by the `HttpClient` at hand, such as that of
 * `@effect/platform/FetchHttpClient`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  /** The URL of the server: see {@link urlOf}. */
  readonly address: string
  /** What orders need. */
  readonly token?: Redacted.Redacted<string> | undefined
}): Effect.Effect<OperatorClient, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http): OperatorClient => {
    const { token } = options
    const address = urlOf(options.address) ?? options.address
    const fail = (reason: OperatorReason, detail: string) => new OperatorError({ reason, address, detail })

    const failOf = (error: HttpClientError.HttpClientError): OperatorError => {
      const { code, message } = innermost(error)
      return code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT"
        ? fail("NoAnswer", "no answer for minutes")
        : fail("Unreachable", sentences[code ?? message] ?? message)
    }

    const call = (request: HttpClientRequest.HttpClientRequest, patience: Duration.Duration) =>
      http.execute(request).pipe(
        Effect.flatMap((response) => Effect.map(response.text, (body): Answer => ({ code: response.status, body }))),
        Effect.mapError(failOf),
        Effect.timeoutFail({
          duration: patience,
          onTimeout: () => fail("NoAnswer", `no answer within ${Duration.format(patience)}`)
        })
      )

    const unexpected = ({ body, code }: Answer): OperatorError =>
      fail(
        "Unexpected",
        ErrorBody.messageIn(body) ??
          (code === 503 ? "not ready to answer (HTTP 503)" : `no status server of bstar answers there (HTTP ${code})`)
      )

    const decode = <A, I>(schema: Schema.Schema<A, I>, answer: Answer): Effect.Effect<A, OperatorError> =>
      answer.code !== 200
        ? unexpected(answer)
        : Either.match(Schema.decodeEither(Schema.parseJson(schema))(answer.body), {
          onLeft: () => fail("Unexpected", "whoever answers there is no status server of this version of bstar"),
          onRight: Effect.succeed
        })

    const get = <A, I>(path: string, schema: Schema.Schema<A, I>) =>
      Effect.flatMap(call(HttpClientRequest.get(address + path), patience), (answer) => decode(schema, answer))

    const post = (path: string, body: string, patience: Duration.Duration) => {
      const request = HttpClientRequest.post(address + path).pipe(
        HttpClientRequest.bodyText(body, "application/json")
      )
      return call(token === undefined ? request : HttpClientRequest.bearerToken(request, token), patience)
    }

    const order = <A, I>(
      path: string,
      body: unknown,
      schema: Schema.Schema<A, I>,
      patience = orderPatience
    ): Effect.Effect<A, OperatorError> =>
      Effect.flatMap(post(path, JSON.stringify(body), patience), (answer) => {
        switch (answer.code) {
          case 401:
            return fail(
              "Unauthorized",
              token === undefined
                ? "orders need the server's token: --token-file FILE, or BSTAR_HTTP_TOKEN"
                : "the token is not that of this server"
            )
          case 404:
            return fail("NoOrders", "takes no orders, since it was started without a token (--http-token-file)")
          case 409:
            return fail("Refused", ErrorBody.messageIn(answer.body) ?? "refused")
          case 504:
            return fail("Unfinished", ErrorBody.messageIn(answer.body) ?? "not done in time")
          default:
            return decode(schema, answer)
        }
      })

    return {
      address,
      pair: get("/pair", Status.PairStatus),
      history: (limit) => get(`/history?limit=${Math.min(limit, History.capacity)}`, Schema.Array(Status.HistoryEntry)),
      orders: token === undefined
        ? Effect.map(get("/openapi.json", Description), ({ paths }) => "/pause" in paths ? "On" : "Off")
        // The body is not JSON: a server that accepts the token answers 400 and does nothing.
        : Effect.flatMap(post("/pause", "{", patience), (answer) => {
          const orders = probed[answer.code]
          return orders === undefined ? unexpected(answer) : Effect.succeed(orders)
        }),
      switchover: (reason, patience) =>
        order("/switchover", { reason }, Status.SwitchedOver, Duration.decode(patience)),
      pause: (reason) => order("/pause", { reason }, Status.Done),
      resume: order("/resume", {}, Status.Done),
      promote: (reason) => order("/promote", { reason }, Status.Done)
    }
  })

/** What the server says that it can be asked and ordered. */
const Description = Schema.Struct({ paths: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })

/**
 * Asks one or two servers, and where only one is given the other one too, if that one knows it. A server that cannot be
 * reached from here is taken as the other one sees it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const observe = <R>(
  addresses: ReadonlyArray<string>,
  clientOf: (address: string) => Effect.Effect<OperatorClient, never, R>
): Effect.Effect<ReadonlyArray<Observation>, never, R> =>
  Effect.gen(function*() {
    const given = yield* Effect.forEach(addresses, (address) => look(clientOf(address)), { concurrency: "unbounded" })
    const [first] = given
    if (given.length !== 1 || first?._tag !== "Seen" || first.status.peerHttp === null) {
      return given
    }
    const second = yield* look(clientOf(first.status.peerHttp))
    return second._tag === "Unseen" && first.peer != null && first.peer.status !== null
      ? [first, seenBy(first, second.address, first.peer.status)]
      : [first, second]
  })

/** How old may be what a server tells of its peer. */
const ageMillis = 1000

const seenBy = ({ askedAt, tookMillis }: Seen, address: string, status: Status.NodeStatus): Seen => ({
  _tag: "Seen",
  address,
  status,
  peer: undefined,
  orders: undefined,
  askedAt: askedAt - ageMillis,
  tookMillis: tookMillis + ageMillis
})

const look = <R>(client: Effect.Effect<OperatorClient, never, R>): Effect.Effect<Observation, never, R> =>
  Effect.gen(function*() {
    const { address, pair } = yield* client
    const askedAt = yield* monotonicMillis
    return yield* Effect.match(Effect.zip(pair, monotonicMillis), {
      onFailure: ({ detail }): Unseen => ({ _tag: "Unseen", address, error: detail }),
      onSuccess: ([{ peer, self }, now]): Seen => ({
        _tag: "Seen",
        address,
        status: self,
        peer,
        orders: undefined,
        askedAt,
        tookMillis: now - askedAt
      })
    })
  })
