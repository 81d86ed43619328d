import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import { roles } from "../../support/processes.ts"
import { play } from "./campaign.ts"

it.live(
  "fuzz: a pair serves after attacks upon its ports, and releases memory and files",
  () =>
    Effect.gen(function*() {
      const { faults, files, lines, memory } = yield* play({ seed: 20_260_131, attacks: 40, minutes: 1, most: 20 })
      assert.deepStrictEqual(faults, [])
      for (const role of roles) {
        assert.isAtMost(files[role][1], files[role][0] + 5, `files of the ${role}`)
        assert.isAtMost(memory[role][1], memory[role][0] + 100, `MiB of the ${role}`)
      }
      // Attacks are logged in few lines.
      assert.isAtMost([...lines.values()].reduce((sum, count) => sum + count, 0), 40, JSON.stringify([...lines]))
    }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))))
)
