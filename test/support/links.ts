/**
 * Links between the servers of a pair with a one-way delay.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Endpoints, Role } from "./processes.ts"
import { freeEndpoints } from "./processes.ts"
import * as Reflector from "./reflector.ts"
import * as Relay from "./relay.ts"

export interface Links {
  readonly at: Endpoints
  /** The peer endpoint of each server. */
  readonly peers: { readonly [R in Role]: string }
  /** Changes the one-way delay in both directions. */
  readonly setDelay: (millis: number) => Effect.Effect<void>
}

/** Each direction through a relay. Connections to a server whose process has ended are refused, as without a relay. */
export const makeRelayed = (delayMillis: number): Effect.Effect<Links, never, Scope.Scope> =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const primary = yield* Relay.make(at.backup.state, { delayMillis, refuses: true })
    const backup = yield* Relay.make(at.primary.state, { delayMillis, refuses: true })
    return {
      at,
      peers: { primary: primary.endpoint, backup: backup.endpoint },
      setDelay: (millis) => Effect.zipRight(primary.setDelay(millis), backup.setDelay(millis))
    }
  })

const { connect, listen } = Reflector.addresses

/** By the network namespace of this process, which must be its own. Frontends have no delay. */
export const makeReflected = (delayMillis: number): Effect.Effect<Links, never, Scope.Scope> =>
  Effect.gen(function*() {
    const setDelay = yield* Reflector.makeHere(delayMillis)
    const { backup, primary } = yield* freeEndpoints
    const at = (host: string, endpoint: string) => endpoint.replace("127.0.0.1", host)
    return {
      at: {
        primary: { ...primary, state: at(listen, primary.state) },
        backup: { ...backup, state: at(listen, backup.state) }
      },
      peers: { primary: at(connect, backup.state), backup: at(connect, primary.state) },
      setDelay
    }
  })
