import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import type { Options } from "./commands.ts"
import { play } from "./commands.ts"
import { program } from "./nodes.ts"

const common = { from: 1, link: "relay", target: undefined, program } as const

const campaigns: { readonly [what: string]: Options } = {
  "kill, term and stop": {
    ...common,
    seed: 12,
    rounds: 6,
    heartbeatMillis: 200,
    kinds: ["kill", "term", "stop"],
    delays: undefined,
    keys: "off"
  },
  "a link with a delay": {
    ...common,
    seed: 3,
    rounds: 4,
    heartbeatMillis: 400,
    kinds: ["kill", "term", "stop", "early"],
    delays: [0.05, 0.45],
    keys: "half"
  }
}

describe("chaos with commands", () => {
  for (const [what, options] of Object.entries(campaigns)) {
    it.live(
      `chaos with commands, ${what}: a pair never runs two commands at once`,
      () =>
        Effect.gen(function*() {
          const rounds = yield* play(options, () => Effect.void)
          assert.deepStrictEqual(
            rounds.flatMap(({ faults, lines, number }) => faults.map((fault) => [number, fault, lines])),
            []
          )
          assert.isAbove(rounds.flatMap(({ gaps }) => gaps).length, 0)
        }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))))
    )
  }
})
