/**
 * The client of a status server's API, for operators and for its peer. It is written by hand because what answers may be any
 * program: the reason of a failure is taken from the status and the text of an answer before it is decoded.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Status from "../status/Status.ts"

/**
 * Why a request of an operator has failed.
 *
 * - `Unreachable`: the connection could not be made, or was closed.
 * - `NoAnswer`: there was no answer in time. A command may have been carried out all the same.
 * - `Unauthorized`: the token is missing, or is not the server's.
 * - `NoCommands`: the server has no token, so it accepts no commands.
 * - `Conflict`: the server has rejected the command.
 * - `Unfinished`: the server has begun to carry out the command, and it was not done in time.
 * - `Unexpected`: the answer is not that of a server of a pair.
 *
 * @category models
 */
export type OperatorReason =
  | "Unreachable"
  | "NoAnswer"
  | "Unauthorized"
  | "NoCommands"
  | "Conflict"
  | "Unfinished"
  | "Unexpected"

/**
 * A failed request of an operator. `detail` is the sentence that explains it, the server's own if it has sent one.
 *
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

/** A server and how to reach it. */
export interface Target {
  readonly http: HttpClient.HttpClient
  readonly address: string
  readonly token: Redacted.Redacted | undefined
  /** The limit of an answer. `fetch` knows none: it applies to the client of Node only. */
  readonly maxBytes: number
}

export interface Answer {
  readonly code: number
  readonly body: string
}

/** The answer to a command: its JSON. */
export interface Outcome {
  readonly code: number
  readonly body: { readonly [field: string]: unknown }
}

const fail = ({ address }: Target, reason: OperatorReason, detail: string) =>
  new OperatorError({ reason, address, detail })

const connectionErrors: { readonly [code: string]: string } = {
  ECONNREFUSED: "no process listens there (connection refused)",
  ECONNRESET: "the connection was closed",
  EHOSTUNREACH: "there is no route to this host",
  ENETUNREACH: "there is no route to this network",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  ETIMEDOUT: "no answer to the attempt to connect",
  UND_ERR_CONNECT_TIMEOUT: "no answer to the attempt to connect",
  UND_ERR_SOCKET: "the connection was closed",
  "maxBytes exceeded": "the answer is too long for a status",
  "bad port": "browsers and fetch block this port, so --http has to be another one"
}

/** The innermost reason: `fetch` hides it behind "fetch failed", or behind one error for each address of a host. */
const innermost = (error: unknown): { readonly code: string | undefined; readonly message: string } => {
  if (!(error instanceof Error)) {
    return { code: undefined, message: String(error) }
  }
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause
  return inner instanceof Error
    ? innermost(inner)
    : { code: "code" in error ? String(error.code) : undefined, message: error.message }
}

const connectionError = (target: Target, error: HttpClientError.HttpClientError): OperatorError => {
  const { code, message } = innermost(error)
  return code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT"
    ? fail(target, "NoAnswer", "no answer for minutes")
    : fail(target, "Unreachable", connectionErrors[code ?? message] ?? message)
}

const send = (
  target: Target,
  request: HttpClientRequest.HttpClientRequest,
  timeout: Duration.Duration
): Effect.Effect<Answer, OperatorError> =>
  target.http.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (body): Answer => ({ code: response.status, body }))),
    HttpIncomingMessage.withMaxBodySize(Option.some(target.maxBytes)),
    Effect.mapError((error) => connectionError(target, error)),
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => fail(target, "NoAnswer", `no answer within ${Duration.format(timeout)}`)
    })
  )

const decodeError = Schema.decodeEither(Schema.parseJson(Status.ErrorBody))

/** The message in the body of an error answer. `undefined` if the body is of another kind. */
const messageIn = (body: string): string | undefined =>
  Either.match(decodeError(body), { onLeft: () => undefined, onRight: ({ error }) => error })

export const unexpected = (target: Target, { body, code }: Answer): OperatorError =>
  fail(
    target,
    "Unexpected",
    messageIn(body) ??
      (code === 503 ? "not ready to answer (HTTP 503)" : `no status server of bstar answers there (HTTP ${code})`)
  )

const decode = <A, I>(target: Target, schema: Schema.Schema<A, I>, answer: Answer): Effect.Effect<A, OperatorError> =>
  answer.code !== 200
    ? unexpected(target, answer)
    : Either.match(Schema.decodeEither(Schema.parseJson(schema))(answer.body), {
      onLeft: () => fail(target, "Unexpected", "the answer is not that of a status server of this version of bstar"),
      onRight: Effect.succeed
    })

export const get = <A, I>(
  target: Target,
  path: string,
  schema: Schema.Schema<A, I>,
  timeout: Duration.Duration
): Effect.Effect<A, OperatorError> =>
  Effect.flatMap(
    send(target, HttpClientRequest.get(target.address + path), timeout),
    (answer) => decode(target, schema, answer)
  )

export const post = (
  target: Target,
  path: string,
  body: string,
  timeout: Duration.Duration
): Effect.Effect<Answer, OperatorError> => {
  const request = HttpClientRequest.post(target.address + path).pipe(
    HttpClientRequest.bodyText(body, "application/json")
  )
  return send(
    target,
    target.token === undefined ? request : HttpClientRequest.bearerToken(request, target.token),
    timeout
  )
}

/** Why a server accepts no commands of this client. */
const denied = (target: Target, { code }: Answer): OperatorError | undefined => {
  switch (code) {
    case 401:
      return fail(
        target,
        "Unauthorized",
        target.token === undefined
          ? "commands need the server's token: --token-file FILE, or BSTAR_HTTP_TOKEN"
          : "the token is not that of this server"
      )
    case 404:
      return fail(target, "NoCommands", "accepts no commands: it was started without a token (--http-token-file)")
    default:
      return undefined
  }
}

const decodeBody = Schema.decodeEither(Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })))

/** The codes with which a server answers a command that it has understood. */
const outcomes: ReadonlyArray<number> = [200, 400, 409, 413, 504]

/** Sends a command for somebody else, and gives the answer. Fails if that does not concern the command. */
export const forward = (
  target: Target,
  path: string,
  body: string,
  timeout: Duration.Duration
): Effect.Effect<Outcome, OperatorError> =>
  Effect.flatMap(post(target, path, body, timeout), (answer) => {
    const decoded = outcomes.includes(answer.code) ? Either.getRight(decodeBody(answer.body)) : Option.none()
    return Option.match(decoded, {
      onNone: () => denied(target, answer) ?? unexpected(target, answer),
      onSome: (body) => Effect.succeed({ code: answer.code, body })
    })
  })

/** Sends a command and waits for its outcome. */
export const command = <A, I>(
  target: Target,
  path: string,
  body: Partial<typeof Status.PromoteBody.Type>,
  schema: Schema.Schema<A, I>,
  timeout: Duration.Duration
): Effect.Effect<A, OperatorError> =>
  Effect.flatMap(post(target, path, JSON.stringify(body), timeout), (answer) => {
    switch (answer.code) {
      case 409:
        return fail(target, "Conflict", messageIn(answer.body) ?? "the command was rejected")
      case 504:
        return fail(target, "Unfinished", messageIn(answer.body) ?? "not done in time")
      default:
        return denied(target, answer) ?? decode(target, schema, answer)
    }
  })
