import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"

const versionOf = (effect: Effect.Effect<unknown, unknown>): string => effect[Effect.EffectTypeId]._V

const expected = versionOf(Effect.void)

/**
 * Dies if the program runs another version of `effect` than this package has loaded. They work together for the most part, but
 * Effect logs a warning for each step, in which this message would be lost. Silent if the program has switched these warnings off.
 */
export const check: Effect.Effect<void> = Effect.withFiberRuntime((fiber) => {
  const running = versionOf(fiber)
  return running === expected || Option.isNone(fiber.getFiberRef(FiberRef.versionMismatchErrorLogLevel))
    ? Effect.void
    : Effect.dieMessage(
      `there are two versions of effect: the program runs ${running}, effect-binary-star has loaded ${expected} ` +
        `("npm ls effect" shows where they come from; install one for both: npm install effect@3, then npm dedupe)`
    )
})
