/** The status server of the peer, as this server uses it. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Status from "../status/Status.ts"
import * as Client from "./client.ts"

export interface Peer {
  readonly url: string
  readonly status: Effect.Effect<Status.NodeStatus, Client.OperatorError>
  /** Makes the peer active; completes when it is. `undefined` without a token. */
  readonly promote: ((reason: string) => Effect.Effect<typeof Status.Done.Type, Client.OperatorError>) | undefined
}

const timeout = Duration.seconds(1)

/** Any program may answer at a wrong URL, so that its answer is limited. */
const maxBytes = 64 * 1024

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
        : (reason) => Client.command(target, "/promote", { reason, switchover: true }, Status.Done, timeout)
    }
  })
