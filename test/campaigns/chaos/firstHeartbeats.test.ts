import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { play } from "./firstHeartbeats.ts"
import { formatFirst } from "./report.ts"

const options = { seed: 1, rounds: 6, from: 1, heartbeatMillis: 400 }

it.live(
  "F1 kill -9 of the primary in its first two heartbeats as the active server: the backup takes over",
  () =>
    Effect.gen(function*() {
      const rounds = yield* play(options, () => Effect.void)
      assert.deepStrictEqual(
        rounds.filter(({ answeredMillis }) => answeredMillis === undefined).map((round) => formatFirst(options, round)),
        []
      )
    })
)
