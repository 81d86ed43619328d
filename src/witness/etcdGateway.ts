/** Requests to the JSON gateway of etcd: which member of the cluster is asked, authentication, and what an answer means. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { WitnessError } from "../ports/Witness.ts"
import { problemOf } from "./problem.ts"

export interface Target {
  readonly endpoint: string
  readonly urls: ReadonlyArray<string>
  readonly user: { readonly name: string; readonly password: Redacted.Redacted<string> } | undefined
}

/** An answer. `isRepeated`: another member of the cluster was asked before and has not answered. */
export interface Answered<A> {
  readonly answer: A
  readonly isRepeated: boolean
}

export type Request = <A, I>(
  path: string,
  body: unknown,
  schema: Schema.Schema<A, I>
) => Effect.Effect<Answered<A>, WitnessError>

/** An answer that is an error. */
const Failure = Schema.parseJson(Schema.Struct({
  error: Schema.optionalWith(Schema.String, { default: () => "" }),
  message: Schema.optionalWith(Schema.String, { default: () => "" })
}))

const failureText = (text: string): string =>
  Either.match(Schema.decodeEither(Failure)(text), {
    onLeft: () => text.slice(0, 200),
    onRight: ({ error, message }) => error || message
  })

const Authenticated = Schema.Struct({ token: Schema.String })

/** etcd forgets tokens when it is restarted and after some minutes, and rejects those from before a change of users or roles. */
const isAboutToken = ({ problem, reason }: WitnessError): boolean =>
  reason === "Refused" && /invalid auth token|auth store is old|user name is empty/.test(problem)

/** One request to one member of the cluster. */
const makePost = (http: HttpClient.HttpClient, { endpoint }: Target) => {
  const fail = (reason: WitnessError["reason"], url: string, problem: string, cause?: unknown) =>
    new WitnessError({ reason, endpoint, problem: `${url.replace(/^https?:\/\//, "")}: ${problem}`, cause })
  return <A, I>(
    url: string,
    path: string,
    body: unknown,
    token: Redacted.Redacted<string> | undefined,
    schema: Schema.Schema<A, I>
  ): Effect.Effect<A, WitnessError> =>
    Effect.gen(function*() {
      const request = HttpClientRequest.post(url + path).pipe(
        HttpClientRequest.bodyUnsafeJson(body),
        HttpClientRequest.setHeaders(token === undefined ? {} : { authorization: Redacted.value(token) })
      )
      const { status, text } = yield* http.execute(request).pipe(
        Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
        Effect.mapError((error: HttpClientError.HttpClientError) => fail("NoAnswer", url, problemOf(error), error))
      )
      if (status !== 200) {
        // What the engine could not complete may still be executed.
        return yield* fail(status < 500 ? "Refused" : "NoAnswer", url, failureText(text) || `status ${status}`)
      }
      return yield* Effect.mapError(
        Schema.decode(Schema.parseJson(schema))(text),
        (cause) => fail("Refused", url, "the answer is not that of etcd", cause)
      )
    })
}

/** Makes requests to a cluster. */
export const make = (target: Target): Effect.Effect<Request, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const { urls, user } = target
    const post = makePost(HttpClient.withTracerDisabledWhen(client, () => true), target)
    let current = 0
    let token: Redacted.Redacted<string> | undefined

    const authenticate = (url: string) =>
      user === undefined ? Effect.void : Effect.tap(
        post(
          url,
          "/v3/auth/authenticate",
          { name: user.name, password: Redacted.value(user.password) },
          undefined,
          Authenticated
        ),
        (answer) => {
          token = Redacted.make(answer.token)
        }
      )

    const send = <A, I>(url: string, path: string, body: unknown, schema: Schema.Schema<A, I>) =>
      Effect.suspend(() => token === undefined ? authenticate(url) : Effect.void).pipe(
        Effect.zipRight(Effect.suspend(() => post(url, path, body, token, schema))),
        Effect.catchIf(
          (error) => user !== undefined && isAboutToken(error),
          () => Effect.zipRight(authenticate(url), Effect.suspend(() => post(url, path, body, token, schema)))
        )
      )

    return <A, I>(path: string, body: unknown, schema: Schema.Schema<A, I>) => {
      // Also after a request that was interrupted: the next one begins with the next member.
      const giveUp = Effect.sync(() => {
        current = (current + 1) % urls.length
      })
      const attempt = (left: number, problems: ReadonlyArray<string>): Effect.Effect<Answered<A>, WitnessError> =>
        Effect.suspend(() => send(urls[current]!, path, body, schema)).pipe(
          Effect.disconnect,
          Effect.onInterrupt(() => giveUp),
          Effect.map((answer) => ({ answer, isRepeated: problems.length > 0 })),
          Effect.catchIf(({ reason }) => reason === "NoAnswer", ({ cause, endpoint, problem, reason }) => {
            const all = [...problems, problem]
            return Effect.zipRight(
              giveUp,
              left > 1
                ? attempt(left - 1, all)
                : new WitnessError({ reason, endpoint, problem: all.join("; "), cause })
            )
          })
        )
      return attempt(urls.length, [])
    }
  })
