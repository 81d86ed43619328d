import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Witness from "../../src/ports/Witness.ts"
import { Engine, recordOf, witnessSuite } from "./witnessSuite.ts"

witnessSuite(
  "in memory",
  Layer.succeed(Engine, {
    makeRegister: Effect.map(Witness.makeMemory, ({ hold, layers, resume }) => ({
      layers,
      pause: hold,
      resume,
      executesLate: true
    }))
  }),
  { crashes: false }
)

const make = Effect.gen(function*() {
  const memory = yield* Witness.makeMemory
  const build = (layer: Layer.Layer<Witness.Witness>) =>
    Effect.map(Layer.build(layer), (context) => Context.get(context, Witness.Witness))
  return { ...memory, primary: yield* build(memory.layers.primary), backup: yield* build(memory.layers.backup) }
})

const numberOf = Option.map(({ record }: Witness.Seen) => record.number)

/** A request that is given up after a second of virtual time. */
const givenUp = <A, E>(request: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.timeoutOption(request, "1 second"))
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* Fiber.join(fiber), Option.none())
  })

describe("the faults of a witness in memory", () => {
  it.scoped("cut: the requests of one member wait, and those given up are lost", () =>
    Effect.gen(function*() {
      const { backup, contents, cut, heal, primary } = yield* make
      yield* cut("primary")
      yield* givenUp(primary.swap(Option.none(), recordOf(1)))
      const waiting = yield* Effect.fork(primary.look)
      yield* TestClock.adjust("1 hour")
      yield* backup.swap(Option.none(), recordOf(2))
      yield* heal("primary")
      assert.deepStrictEqual(numberOf(yield* Fiber.join(waiting)), Option.some(2))
      assert.deepStrictEqual(numberOf(yield* contents), Option.some(2))
    }))

  it.scoped("hold: requests are executed in order when the engine goes on, also those given up", () =>
    Effect.gen(function*() {
      const { backup, contents, hold, primary, resume } = yield* make
      yield* hold
      yield* givenUp(primary.swap(Option.none(), recordOf(1)))
      yield* givenUp(backup.swap(Option.none(), recordOf(2)))
      assert.deepStrictEqual(yield* contents, Option.none())
      yield* resume
      assert.deepStrictEqual(numberOf(yield* contents), Option.some(1))
      assert.deepStrictEqual(numberOf(yield* backup.look), Option.some(1))
    }))

  it.scoped("delay: one swap is executed when it is delivered, later ones before it", () =>
    Effect.gen(function*() {
      const { contents, delay, deliver, primary } = yield* make
      yield* delay("primary")
      yield* givenUp(primary.swap(Option.none(), recordOf(1)))
      assert.deepStrictEqual(yield* primary.look, Option.none())
      yield* deliver
      assert.deepStrictEqual(numberOf(yield* contents), Option.some(1))
      // A swap that has become stale meanwhile replaces nothing.
      const version = Option.map(yield* contents, ({ version }) => version)
      yield* delay("primary")
      yield* givenUp(primary.swap(version, recordOf(2)))
      yield* primary.swap(version, recordOf(3))
      yield* deliver
      assert.deepStrictEqual(numberOf(yield* contents), Option.some(3))
    }))

  it.scoped("wipe: forgets, and the register is another one", () =>
    Effect.gen(function*() {
      const { primary, wipe } = yield* make
      yield* primary.swap(Option.none(), recordOf(1))
      const before = yield* primary.fingerprint
      yield* wipe
      assert.deepStrictEqual(yield* primary.look, Option.none())
      yield* primary.swap(Option.none(), recordOf(1))
      assert.notDeepEqual(yield* primary.fingerprint, before)
    }))
})
