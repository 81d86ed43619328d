import * as Effect from "effect/Effect"

/**
 * Tells where a socket listens whose port was left to the system.
 *
 * @internal
 */
export const tellPort = (wanted: string, bound: string): Effect.Effect<void> =>
  wanted.endsWith(":*") ? Effect.logInfo(`${wanted} is ${bound}`) : Effect.void
