/**
 * Soak: `npm run soak -- [--minutes N] [--seed S] [--users N]`. A pair under load, failovers and abuse; see README.md.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger } from "effect"
import { parseArgs } from "node:util"
import { BinaryStar } from "../../../src/index.ts"
import { isFaulty, row, text } from "./report.ts"
import { play } from "./soak.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    users: { type: "string", default: "8" }
  }
})

const options = {
  minutes: Number(values.minutes),
  seed: Number(values.seed),
  users: Number(values.users),
  disturbMillis: 5000,
  attackMillis: 250
}

if (!(options.minutes > 0 && options.seed >= 0 && options.users >= 1)) {
  process.stderr.write("Usage: npm run soak -- [--minutes N] [--seed S] [--users N]\n")
  process.exit(64)
}

play(options, (sample) => process.stderr.write(`${row(sample)}\n`)).pipe(
  Effect.flatMap((result) => {
    process.exitCode = isFaulty(result) ? 1 : 0
    return Console.log(text(options, result))
  }),
  Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
