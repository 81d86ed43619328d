/** The status server of the peer, as this server uses it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Scheduler from "effect/Scheduler"
import * as Names from "../internal/Names.ts"
import * as Status from "../status/Status.ts"
import * as Client from "./client.ts"

export interface Peer {
  readonly url: string
  readonly status: Effect.Effect<Status.NodeStatus, Client.OperatorError>
  /** Makes the peer active; completes when it is. `undefined` without a token. */
  readonly promote: ((reason: string) => Effect.Effect<typeof Status.Done.Type, Client.OperatorError>) | undefined
  /** Sends it an operator's command. `undefined` without a token. */
  readonly forward:
    | ((
      command: string,
      body: string,
      timeout: Duration.Duration
    ) => Effect.Effect<Client.Outcome, Client.OperatorError>)
    | undefined
}

const timeout = Duration.seconds(1)

/** Any program may answer at a wrong URL, so that its answer is limited. */
const maxBytes = 64 * 1024

/**
 * The system's own look-up of the peer's name would delay the end of this process while a name server does not answer.
 *
 * The client of Node listens for an error of the connection in a fiber of its own. The scheduler of a server may start that
 * one turn of the event loop later, after the error: a request to a stopped peer would then wait for its timeout.
 */
export const client: Layer.Layer<HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.transformResponse((response) => Effect.withScheduler(response, Scheduler.defaultScheduler))
  )
).pipe(
  Layer.provide(NodeHttpClient.layerWithoutAgent),
  Layer.provide(NodeHttpClient.makeAgentLayer({ lookup: Names.lookup }))
)

export const make = (
  url: string,
  token: Redacted.Redacted | undefined
): Effect.Effect<Peer, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    const target: Client.Target = { http, address: url, token, maxBytes }
    return {
      url,
      status: Client.get(target, "/status", Status.NodeStatus, timeout),
      promote: token === undefined
        ? undefined
        : (reason) => Client.command(target, "/promote", { reason, switchover: true }, Status.Done, timeout),
      forward: token === undefined
        ? undefined
        : (command, body, timeout) => Client.forward(target, `/${command}`, body, timeout)
    }
  })
