import * as Effect from "effect/Effect"

/**
 * Logs the endpoint of a socket whose port was left to the system.
 *
 * @internal
 */
export const logPort = (wanted: string, bound: string): Effect.Effect<void> =>
  wanted.endsWith(":*") ? Effect.logInfo(`${wanted} is ${bound}`) : Effect.void
