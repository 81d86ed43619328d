import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { play } from "./firstHeartbeats.ts"
import { tellFirst } from "./report.ts"

const options = { seed: 1, rounds: 6, from: 1, heartbeatMillis: 400 }

it.live(
  "F1 kill -9 in the first two heartbeats of the active primary: the backup answers within three heartbeats",
  () =>
    Effect.gen(function*() {
      const rounds = yield* play(options, () => Effect.void)
      assert.deepStrictEqual(
        rounds.filter(({ isInTime }) => !isInTime).map((round) => tellFirst(options, round)),
        []
      )
    })
)
