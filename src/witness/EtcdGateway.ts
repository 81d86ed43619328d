/** Requests to the JSON gateway of etcd: which member of the cluster is asked, authentication, and what an answer means. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { innermost, problemOf } from "./problem.ts"

/** Whom etcd authenticates. */
export interface User {
  readonly name: string
  readonly password: Redacted.Redacted<string>
}

export interface Target {
  readonly urls: ReadonlyArray<string>
  readonly user: User | undefined
}

/**
 * A request has no result. `NoAnswer`: it may have been executed, or still be. `Refused`: etcd has answered, but not with a result.
 * `cause` is what the driver reports, never the request, which may contain the password.
 */
export class GatewayError extends Data.TaggedError("GatewayError")<{
  readonly reason: "NoAnswer" | "Refused"
  readonly problem: string
  readonly cause?: unknown
}> {}

/** An answer. `isRepeated`: another member of the cluster was asked before and has not answered. */
export interface Answered<A> {
  readonly answer: A
  readonly isRepeated: boolean
}

export type Request = <A, I>(
  path: string,
  body: unknown,
  schema: Schema.Schema<A, I>
) => Effect.Effect<Answered<A>, GatewayError>

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
const isAboutToken = ({ problem, reason }: GatewayError): boolean =>
  reason === "Refused" && /invalid auth token|auth store is old|user name is empty/.test(problem)

/** One request to one member of the cluster. Where there are several, problems begin with its address. */
const makePost = (http: HttpClient.HttpClient, { urls }: Target) => {
  const fail = (reason: GatewayError["reason"], url: string, problem: string, cause?: unknown) => {
    const member = urls.length === 1 ? "" : `${url.replace(/^https?:\/\//, "")}: `
    return new GatewayError({ reason, problem: member + problem, cause })
  }
  return <A, I>(
    url: string,
    path: string,
    body: unknown,
    token: Redacted.Redacted<string> | undefined,
    schema: Schema.Schema<A, I>
  ): Effect.Effect<A, GatewayError> =>
    Effect.gen(function*() {
      const request = HttpClientRequest.post(url + path).pipe(
        HttpClientRequest.bodyUnsafeJson(body),
        HttpClientRequest.setHeaders(token === undefined ? {} : { authorization: Redacted.value(token) })
      )
      const { status, text } = yield* http.execute(request).pipe(
        Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
        Effect.mapError((error: HttpClientError.HttpClientError) =>
          fail("NoAnswer", url, problemOf(error), innermost(error.cause))
        )
      )
      if (status !== 200) {
        // What the engine could not complete may still be executed.
        return yield* fail(status < 500 ? "Refused" : "NoAnswer", url, failureText(text) || `status ${status}`)
      }
      return yield* Effect.mapError(
        Schema.decode(Schema.parseJson(schema))(text),
        () => fail("Refused", url, "the answer is not that of etcd")
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
    const oneAtATime = Effect.unsafeMakeSemaphore(1).withPermits(1)

    const authenticate = (url: string, { name, password }: User) =>
      Effect.map(
        post(url, "/v3/auth/authenticate", { name, password: Redacted.value(password) }, undefined, Authenticated),
        (answer) => {
          token = Redacted.make(answer.token)
        }
      )

    /** Replaces a token that is not valid, unless another request has done so: etcd needs some 100 ms of CPU for each. */
    const renew = (url: string, old: Redacted.Redacted<string> | undefined) =>
      user === undefined ? Effect.void : oneAtATime(
        Effect.suspend(() => token === old ? authenticate(url, user) : Effect.void)
      )

    const send = <A, I>(url: string, path: string, body: unknown, schema: Schema.Schema<A, I>) =>
      Effect.gen(function*() {
        if (token === undefined) {
          yield* renew(url, token)
        }
        const used = token
        return yield* post(url, path, body, used, schema).pipe(
          Effect.catchIf(
            (error) => user !== undefined && isAboutToken(error),
            () => Effect.zipRight(renew(url, used), Effect.suspend(() => post(url, path, body, token, schema)))
          )
        )
      })

    return <A, I>(path: string, body: unknown, schema: Schema.Schema<A, I>) => {
      // Also after a request that was interrupted: the next one begins with the next member.
      const giveUp = Effect.sync(() => {
        current = (current + 1) % urls.length
      })
      const attempt = (left: number, problems: ReadonlyArray<string>): Effect.Effect<Answered<A>, GatewayError> =>
        Effect.suspend(() => send(urls[current]!, path, body, schema)).pipe(
          Effect.disconnect,
          Effect.onInterrupt(() => giveUp),
          Effect.map((answer) => ({ answer, isRepeated: problems.length > 0 })),
          Effect.catchIf(({ reason }) => reason === "NoAnswer", ({ cause, problem, reason }) => {
            const all = [...problems, problem]
            return Effect.zipRight(
              giveUp,
              left > 1
                ? attempt(left - 1, all)
                : new GatewayError({ reason, problem: all.join("; "), cause })
            )
          })
        )
      return attempt(urls.length, [])
    }
  })
