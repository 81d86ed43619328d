import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, HashMap, Logger, TestClock } from "effect"
import { withoutRepeats } from "../../src/cli/repeats.ts"

/** Collects log lines, without repetitions. */
const makeLogger = Effect.gen(function*() {
  const lines: Array<string> = []
  const all = Logger.make<unknown, void>(({ annotations, cause, message }) => {
    const repeated = HashMap.unsafeGet(
      HashMap.set(annotations, "none", ""),
      HashMap.has(annotations, "repeated") ? "repeated" : "none"
    )
    lines.push(
      [...(message as ReadonlyArray<string>), Cause.isEmpty(cause) ? "" : Cause.pretty(cause), repeated].join("|")
    )
  })
  const logger = yield* withoutRepeats(all)
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
})

describe("repeated log lines", () => {
  it.scoped("are written once, and then how often they were repeated", () =>
    Effect.gen(function*() {
      const { layer, lines } = yield* makeLogger
      yield* Effect.gen(function*() {
        for (let i = 0; i < 41; i++) {
          yield* Effect.logWarning("full")
          yield* Effect.logError("broken", Cause.fail("disk"))
        }
        assert.deepStrictEqual(lines, ["full||", "broken|Error: disk|"])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(lines.splice(0), [
          ...["full||", "broken|Error: disk|"],
          ...["repeated 40 times: full||40", "repeated 40 times: broken|Error: disk|40"]
        ])
        // A new burst.
        yield* Effect.logWarning("full")
        yield* Effect.logWarning("full")
        assert.deepStrictEqual(lines, ["full||"])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("are summed up at the end of the scope", () =>
    Effect.gen(function*() {
      const lines = yield* Effect.scoped(Effect.gen(function*() {
        const { layer, lines } = yield* makeLogger
        yield* Effect.provide(Effect.zipRight(Effect.logWarning("full"), Effect.logWarning("full")), layer)
        return lines
      }))
      assert.deepStrictEqual(lines, ["full||", "repeated 1 time: full||1"])
    }))

  it.scoped("are no lines that differ, no information and no transitions", () =>
    Effect.gen(function*() {
      const { layer, lines } = yield* makeLogger
      const twice = <A>(effect: Effect.Effect<A>) => Effect.zipRight(effect, effect)
      yield* Effect.gen(function*() {
        yield* twice(Effect.logInfo("on-active: done"))
        yield* twice(Effect.annotateLogs(Effect.logError("dual actives"), "event", "transition"))
        yield* Effect.logWarning("a")
        yield* Effect.logError("a")
        yield* Effect.logWarning("a", Cause.fail("why"))
      }).pipe(Effect.provide(layer))
      assert.strictEqual(lines.length, 7)
    }))

  it.scoped("are ended where there are too many, and where the clock is set back", () =>
    Effect.gen(function*() {
      const { layer, lines } = yield* makeLogger
      yield* Effect.gen(function*() {
        yield* TestClock.adjust("1 minute")
        for (let i = 0; i < 101; i++) {
          yield* Effect.logWarning(`number ${i}`)
          yield* Effect.logWarning(`number ${i}`)
        }
        // The first bursts have made room.
        assert.include(lines, "repeated 1 time: number 0||1")
        yield* TestClock.setTime(0)
        yield* Effect.logWarning("number 100")
        assert.strictEqual(lines.filter((line) => line.startsWith("number 100|")).length, 2)
      }).pipe(Effect.provide(layer))
    }))
})
