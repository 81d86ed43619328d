import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import type { Options } from "./campaign.ts"
import { play } from "./campaign.ts"
import { program } from "./nodes.ts"
import { tellFindings } from "./report.ts"

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
  "that happens to its processes": {
    ...common,
    seed: 329,
    rounds: 6,
    heartbeatMillis: 100,
    kinds: ["kill", "term", "stop"],
    delays: undefined,
    keys: "off"
  },
  "that happens to its processes in the first heartbeat": {
    ...common,
    seed: 6,
    rounds: 4,
    heartbeatMillis: 400,
    kinds: ["early"],
    delays: undefined,
    keys: "off"
  },
  "that happens on a link with a delay, without keys and with": {
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
    it.live(
      `nothing ${what} makes a hardened pair answer twice, not at all, lose a request or end`,
      () =>
        Effect.gen(function*() {
          const rounds = yield* play(options, () => Effect.void)
          assert.strictEqual(rounds.map((round) => tellFindings(options, round)).join(""), "")
          assert.isAbove(Math.min(...rounds.map(({ requests }) => requests)), 0)
        }).pipe(Effect.provide(Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))))
    )
  }
})
