import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { Network } from "../../support/network.ts"
import type { Change } from "./availability.ts"
import type { Host } from "./wires.ts"
import { makeWires } from "./wires.ts"

/** Links whose conditions are recorded, and not set anywhere. */
const make = () => {
  const set: Array<string> = []
  const changes: Array<Change> = []
  const network = {
    set: (from: string, to: string, condition: unknown) =>
      Effect.sync(() => void set.push(`${from}>${to} ${condition}`))
  } as Network<Host>
  return { set, changes, wires: makeWires(network, 50, (change) => changes.push(change)) }
}

const wire = ["primary", "backup"] as const

describe("the links between the hosts", () => {
  it.effect("wires: a cut ends with its effect", () =>
    Effect.gen(function*() {
      const { changes, set, wires } = make()
      yield* wires.during([wire], "cut")(Effect.void)
      assert.deepStrictEqual(set, ["primary>backup cut", "primary>backup 0"])
      assert.deepStrictEqual(changes.map(({ fact, isUp }) => [fact, isUp]), [
        ["primary>backup", false],
        ["primary>backup", true]
      ])
    }))

  it.effect("wires: the worst of several conditions holds, until it ends", () =>
    Effect.gen(function*() {
      const { changes, set, wires } = make()
      const healed = yield* Deferred.make<void>()
      const cut = yield* Effect.fork(wires.during([wire], "cut")(Deferred.await(healed)))
      yield* Effect.yieldNow()
      yield* wires.during([wire], 80)(Effect.zipRight(Deferred.succeed(healed, undefined), Fiber.join(cut)))
      assert.deepStrictEqual(set, ["primary>backup cut", "primary>backup 80", "primary>backup 0"])
      assert.deepStrictEqual(changes.map(({ isUp }) => isUp), [false, true])
    }))

  it.effect("wires: a link with a short delay is up", () =>
    Effect.gen(function*() {
      const { changes, wires } = make()
      yield* wires.during([wire], 50)(Effect.void)
      assert.deepStrictEqual(changes, [])
      yield* wires.during([wire], 51)(Effect.void)
      assert.strictEqual(changes.length, 2)
    }))
})
