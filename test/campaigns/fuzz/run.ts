/**
 * Fuzz: `npm run fuzz -- [--minutes N] [--seed S] [--attacks N] [--most N]`. Attacks upon every port of a pair of real processes.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger } from "effect"
import { parseArgs } from "node:util"
import { BinaryStar } from "../../../src/index.ts"
import { roles } from "../../support/processes.ts"
import { play } from "./campaign.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    attacks: { type: "string", default: "1000000000" },
    most: { type: "string", default: "1000" }
  }
})

const options = {
  minutes: Number(values.minutes),
  seed: Number(values.seed),
  attacks: Number(values.attacks),
  most: Number(values.most)
}

if (Object.values(options).some((value) => !(value >= 0))) {
  process.stderr.write("Usage: npm run fuzz -- [--minutes N] [--seed S] [--attacks N] [--most N]\n")
  process.exit(64)
}

play(options, (line) => process.stderr.write(`${line}\n`)).pipe(
  Effect.flatMap(({ attacks, faults, files, lines, memory }) => {
    process.exitCode = faults.length > 0 ? 1 : 0
    return Console.log([
      `seed ${options.seed}: ${attacks} attacks, ${faults.length} faults`,
      ...faults.map((fault) => `  ${fault}`),
      ...roles.flatMap((role) => [
        `${role}: ${memory[role].map(Math.round).join(" -> ")} MiB, ${files[role].join(" -> ")} open files`
      ]),
      "log lines, without numbers:",
      ...[...lines].sort(([, a], [, b]) => b - a).map(([line, count]) => `${String(count).padStart(7)}  ${line}`)
    ].join("\n"))
  }),
  Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
