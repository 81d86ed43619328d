import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { untilEnd } from "../../src/cli/commands/server.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import type { Node } from "../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"

/** In which order an interrupted server stops its member and closes what is built on it. */
const orderOf = ({ start }: Node) =>
  Effect.gen(function*() {
    const order: Array<string> = []
    const member = yield* start
    yield* settle
    const stop = Effect.zipRight(member.stop, Effect.sync(() => order.push("stopped")))
    const started = Layer.scoped(
      BinaryStar.BinaryStar,
      Effect.acquireRelease(Effect.succeed({ ...member, stop }), () => stop)
    )
    const operations = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => order.push("closed"))))
    const server = yield* untilEnd(Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => join)).pipe(
      Effect.provide(Layer.provideMerge(operations, started)),
      Effect.fork
    )
    yield* settle
    yield* Fiber.interrupt(server)
    return order
  })

describe("a server that is interrupted", () => {
  it.scoped("stops first if it is active: its peer and its clients wait for that", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const peer = yield* foreignPeer(links.backup)
      const order = yield* Effect.fork(orderOf(primary))
      yield* settle
      yield* peer.reports("2")
      assert.deepStrictEqual((yield* Fiber.join(order)).slice(0, 2), ["stopped", "closed"])
    }))

  it.scoped("closes its hooks first otherwise: they precede the final heartbeat", () =>
    Effect.gen(function*() {
      const { backup } = yield* makePair()
      assert.deepStrictEqual(yield* orderOf(backup), ["closed", "stopped"])
    }))
})
