/** The peer's own status server, as a server of a pair asks it. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Status from "../status/Status.ts"
import * as ErrorBody from "./errorBody.ts"

/** Why the peer has no answer, for people. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly message: string }> {}

export interface PeerStatus {
  readonly url: string
  /** Asks for its status, for a second at the most. */
  readonly status: Effect.Effect<Status.NodeStatus, NoAnswer>
  /** Tells it to be active. Done when it is. */
  readonly promote: (reason: string, token: Redacted.Redacted) => Effect.Effect<void, NoAnswer>
}

/** Whatever answers there may be no server of a pair. */
const maxBytes = 64 * 1024

const patience = Duration.seconds(1)

const whyOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  return first instanceof Error ? first.message : String(first)
}

const decode = Schema.decode(Schema.parseJson(Status.NodeStatus))

export const make = (url: string): Effect.Effect<PeerStatus, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const ask = <A>(
      request: HttpClientRequest.HttpClientRequest,
      read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, NoAnswer>,
      patience: Duration.Duration
    ): Effect.Effect<A, NoAnswer> =>
      client.execute(request).pipe(
        Effect.mapError((error) => new NoAnswer({ message: `${url} cannot be reached: ${whyOf(error)}` })),
        Effect.flatMap(read),
        HttpIncomingMessage.withMaxBodySize(Option.some(maxBytes)),
        Effect.timeoutFail({
          duration: patience,
          onTimeout: () => new NoAnswer({ message: `${url} has not answered within ${Duration.format(patience)}` })
        })
      )
    const failureOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, NoAnswer> =>
      Effect.flatMap(Effect.orElseSucceed(response.text, () => ""), (body) => {
        const message = ErrorBody.messageIn(body)
        return new NoAnswer({
          message: `${url} answers with HTTP status ${response.status}${message === undefined ? "" : `: ${message}`}`
        })
      })
    return {
      url,
      status: ask(
        HttpClientRequest.get(`${url}/status`),
        (response) =>
          response.status === 200
            ? Effect.flatMap(response.text, decode).pipe(
              Effect.mapError(() => new NoAnswer({ message: `what answers at ${url} is no server of a pair` }))
            )
            : failureOf(response),
        patience
      ),
      promote: (reason, token) =>
        ask(
          HttpClientRequest.post(`${url}/promote`).pipe(
            HttpClientRequest.bearerToken(token),
            HttpClientRequest.bodyUnsafeJson({ reason } satisfies typeof Status.CommandBody.Type)
          ),
          (response) =>
            response.status === 200
              ? Effect.void
              : failureOf(response),
          patience
        )
    }
  })
