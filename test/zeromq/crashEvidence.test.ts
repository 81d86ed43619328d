import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isRefused } from "../../src/zeromq/crashEvidence.ts"
import { freshEndpoint } from "../support/sockets.ts"
import { listener } from "./peers.ts"

describe("crash evidence", () => {
  it.scopedLive("a silent listener and a name that was never looked up are no evidence; a free port is", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isRefused(yield* listener(() => {})))
      assert.isFalse(yield* isRefused("tcp://never-connected.example:5003"))
      assert.isTrue(yield* isRefused(yield* freshEndpoint("tcp")))
    }))
})
