import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { untilEnd } from "../../src/cli/commands/server.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import { makePair, settle } from "../support/nodes.ts"

describe("a server that is interrupted", () => {
  it.scoped("stops its member before what is built on it is closed", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const { primary } = yield* makePair()
      const member = yield* primary.start
      const started = Layer.succeed(BinaryStar.BinaryStar, {
        ...member,
        stop: Effect.zipRight(member.stop, Effect.sync(() => order.push("stopped")))
      })
      const operations = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => order.push("closed"))))
      const server = yield* untilEnd(Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => join)).pipe(
        Effect.provide(Layer.provideMerge(operations, started)),
        Effect.fork
      )
      yield* settle
      yield* Fiber.interrupt(server)
      assert.deepStrictEqual(order, ["stopped", "closed"])
    }))
})
