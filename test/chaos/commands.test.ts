import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../src/index.ts"
import { play } from "./commands.ts"
import { program } from "./nodes.ts"

it.live(
  "nothing that happens to its processes makes a pair run two commands at once",
  () =>
    Effect.gen(function*() {
      const rounds = yield* play({
        seed: 12,
        rounds: 6,
        from: 1,
        heartbeatMillis: 200,
        kinds: ["kill", "term", "stop"],
        target: undefined,
        delays: undefined,
        keys: "off",
        program
      }, () => Effect.void)
      assert.deepStrictEqual(
        rounds.flatMap(({ faults, lines, number }) => faults.map((fault) => [number, fault, lines])),
        []
      )
      assert.isAbove(rounds.flatMap(({ gaps }) => gaps).length, 0)
    }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger)))),
  120_000
)
