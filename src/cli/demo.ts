import * as Effect from "effect/Effect"
export const run = Effect.void
