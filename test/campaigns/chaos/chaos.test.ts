import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import type { Options } from "./campaign.ts"
import { play } from "./campaign.ts"
import { program } from "./nodes.ts"
import { formatFindings } from "./report.ts"

const common = {
  from: 1,
  link: "relay",
  policy: "hardened",
  target: undefined,
  users: 2,
  observers: true,
  program
} as const

const campaigns: { readonly [what: string]: Options } = {
  "kill, term and stop": {
    ...common,
    seed: 329,
    rounds: 6,
    heartbeatMillis: 100,
    kinds: ["kill", "term", "stop"],
    delays: undefined,
    keys: "off"
  },
  "early kill": {
    ...common,
    seed: 6,
    rounds: 4,
    heartbeatMillis: 400,
    kinds: ["early"],
    delays: undefined,
    keys: "off"
  },
  "a link with a delay, without and with keys": {
    ...common,
    seed: 1,
    rounds: 8,
    heartbeatMillis: 400,
    kinds: ["kill", "term", "stop", "early"],
    delays: [0.05, 0.45],
    keys: "half"
  }
}

describe("chaos", () => {
  for (const [what, options] of Object.entries(campaigns)) {
    it.live(`chaos, ${what}: a hardened pair has no dual answers, loses no request, and recovers`, () =>
      Effect.gen(function*() {
        const rounds = yield* play(options, () => Effect.void)
        // How long an outage takes depends on the load of this machine. The campaign judges it.
        const broken = rounds.filter(({ findings }) =>
          findings.some(({ isFault, what }) => isFault && what !== "outage")
        )
        assert.strictEqual(broken.map((round) => formatFindings(options, round)).join(""), "")
        assert.isAbove(Math.min(...rounds.map(({ requests }) => requests)), 0)
      }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger)))))
  }
})
