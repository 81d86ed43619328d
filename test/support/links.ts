/**
 * The two directions of the link between the servers of a pair, each through a relay with a delay.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Endpoints, Role } from "../processes/support.ts"
import * as Relay from "./relay.ts"

export interface Links {
  /** Where each server finds its peer. */
  readonly peers: { readonly [R in Role]: string }
  /** Changes the one-way delay of both. */
  readonly setDelay: (millis: number) => Effect.Effect<void>
}

/** A server whose process has ended refuses connections through it, as without it. */
export const makeLinks = (at: Endpoints, delayMillis: number): Effect.Effect<Links, never, Scope.Scope> =>
  Effect.gen(function*() {
    const primary = yield* Relay.make(at.backup.state, { delayMillis, refuses: true })
    const backup = yield* Relay.make(at.primary.state, { delayMillis, refuses: true })
    return {
      peers: { primary: primary.endpoint, backup: backup.endpoint },
      setDelay: (millis) => Effect.zipRight(primary.setDelay(millis), backup.setDelay(millis))
    }
  })
