/** Whether output has colours. */
import * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import { ansi, type Paint, plain } from "./text.ts"

/** Colours on a terminal, unless `NO_COLOR` is set. */
export const paintOf: Effect.Effect<Paint, ConfigError.ConfigError, Terminal.Terminal> = Effect.gen(function*() {
  const isTTY = yield* Effect.flatMap(Terminal.Terminal, ({ isTTY }) => isTTY)
  const noColor = yield* Config.withDefault(Config.string("NO_COLOR"), "")
  return isTTY && noColor === "" ? ansi : plain
})
