import * as Effect from "effect/Effect"

/**
 * Runs a loop of promises until it returns, or until the effect is interrupted: then `isRunning` is false, and the loop has to return
 * after the promise for which it waits.
 *
 * Not a loop in a fiber: V8 promotes to the old generation what was alive while a fiber waited, as long as the same fiber goes on. With
 * a fiber, `bstar proxy` promoted 122 MB of 130 a second; without one, 21.
 */
export const run = <E>(
  loop: (isRunning: () => boolean) => Promise<void>,
  onError: (cause: unknown) => Effect.Effect<never, E>
): Effect.Effect<void, E> =>
  // Not the cleanup of Effect.async: an interruption right after the registration would miss it.
  Effect.acquireUseRelease(
    Effect.sync(() => ({ isRunning: true })),
    (state) =>
      Effect.async<void, E>((resume) => {
        loop(() => state.isRunning).then(() => resume(Effect.void), (cause) => resume(onError(cause)))
      }),
    (state) =>
      Effect.sync(() => {
        state.isRunning = false
      })
  )
