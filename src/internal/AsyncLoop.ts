import * as Effect from "effect/Effect"

/**
 * Runs a loop of promises until it returns, or until the effect is interrupted: then `isRunning` is false, and the loop has to return
 * after the promise for which it waits.
 *
 * Not a loop in a fiber: a fiber that waits for a latch makes V8 promote to the old generation of its heap what was alive meanwhile.
 * See test/bench/README.md.
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
