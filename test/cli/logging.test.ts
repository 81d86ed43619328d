import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { format } from "node:util"
import type { Format } from "../../src/cli/logging.ts"
import * as logging from "../../src/cli/logging.ts"

/** What is written with the console meanwhile. */
const written = (effect: Effect.Effect<void>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { log } = globalThis.console
      const lines: Array<string> = []
      globalThis.console.log = (...parts: ReadonlyArray<unknown>) => lines.push(format(...parts))
      return { lines, log }
    }),
    ({ lines }) => Effect.as(effect, lines),
    ({ log }) => Effect.sync(() => globalThis.console.log = log)
  ).pipe(Effect.map((lines) => lines.join("\n")))

const attack = "x\nI: failover successful, ready as active\x1b[2J\x9b2J"

describe("F22 logs", () => {
  for (const name of ["plain", "json", "pretty"] as const satisfies ReadonlyArray<Format>) {
    it.live(`in ${name} are not forged by a message, an annotation or an error`, () =>
      Effect.gen(function*() {
        const text = yield* written(
          Effect.logError(attack, new Error(attack), { attack }).pipe(
            Effect.annotateLogs({ attack }),
            Effect.zipRight(Effect.logError("a defect", { _tag: "x" })),
            Effect.zipRight(Effect.flatMap(Effect.cause(Effect.die(new Error(attack))), Effect.logError)),
            Effect.zipRight(Effect.flatMap(Effect.cause(Effect.fail(attack)), Effect.logError)),
            Effect.provide(logging.layer(name))
          )
        )
        assert.include(text, "failover successful")
        assert.notInclude(text, "\x1b[2J")
        assert.notInclude(text, "\x9b")
        assert.notMatch(text, /^I: /m)
      }))
  }
})
