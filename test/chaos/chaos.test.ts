import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../src/index.ts"
import type { Options } from "./campaign.ts"
import { play } from "./campaign.ts"
import { program } from "./nodes.ts"
import { tellFindings } from "./report.ts"

const options: Options = {
  seed: 329,
  rounds: 6,
  from: 1,
  policy: "hardened",
  heartbeatMillis: 100,
  kinds: ["kill", "term", "stop"],
  target: undefined,
  delays: undefined,
  keys: "off",
  users: 2,
  observers: true,
  program
}

it.live(
  "nothing that happens to its processes makes a hardened pair answer twice, lose a request or end",
  () =>
    Effect.gen(function*() {
      const rounds = yield* play(options, () => Effect.void)
      assert.strictEqual(rounds.map((round) => tellFindings(options, round)).join(""), "")
      assert.isAbove(Math.min(...rounds.map(({ requests }) => requests)), 0)
    }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger)))),
  120_000
)
