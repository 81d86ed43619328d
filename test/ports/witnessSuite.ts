import { afterAll, assert, beforeAll, describe, it as tests } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { type TermRecord, Witness, type WitnessError } from "../../src/ports/Witness.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import { eventTimeout } from "../support/times.ts"

/** A register, and the faults of its engine. */
export interface Register {
  readonly layers: { readonly [R in Role]: Layer.Layer<Witness, unknown> }
  /** The engine stands still, and goes on. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** The engine is killed, and started again. Requests fail between. */
  readonly crash?: { readonly kill: Effect.Effect<void>; readonly start: Effect.Effect<void, unknown> }
  /** Whether a request that was interrupted while the engine stood still is certainly executed afterwards. */
  readonly executesLate: boolean
}

/** The engine of a test file: makes the register of a pair. */
export class Engine extends Context.Tag("Engine")<Engine, {
  readonly makeRegister: Effect.Effect<Register, never, Scope.Scope>
}>() {}

export const recordOf = (number: number, more: Partial<TermRecord> = {}): TermRecord => ({
  number,
  step: 0,
  holder: "primary",
  life: "a1b2c3d4",
  isReleased: false,
  ...more
})

const build = (layer: Layer.Layer<Witness, unknown>) =>
  Effect.map(Effect.orDie(Layer.build(layer)), (context) => Context.get(context, Witness))

/** Both members of a pair at a new register. */
const makePair = Effect.gen(function*() {
  const register = yield* Effect.flatMap(Engine, ({ makeRegister }) => makeRegister)
  return {
    ...register,
    primary: yield* build(register.layers.primary),
    backup: yield* build(register.layers.backup)
  }
})

type Swap = ReturnType<Witness["Type"]["swap"]>

/** The version after a swap that must succeed. */
const swapped = (swap: Swap) =>
  Effect.map(swap, (result) => {
    assert.strictEqual(result._tag, "Swapped")
    return Option.some((result as typeof result & { readonly _tag: "Swapped" }).version)
  })

/** What the register contains, by a swap that must fail. */
const conflicting = (swap: Swap) =>
  Effect.map(swap, (result) => {
    assert.strictEqual(result._tag, "Conflict")
    return (result as typeof result & { readonly _tag: "Conflict" }).seen
  })

/** Repeats a request until the engine answers. */
const answered = <A>(request: Effect.Effect<A, WitnessError>) =>
  Effect.timeout(Effect.retry(request, Schedule.spaced("20 millis")), eventTimeout)

/** Repeats a request until its result is as expected. */
const eventually = <A, E>(request: Effect.Effect<A, E>, isExpected: (result: A) => boolean) =>
  Effect.flatMap(request, (result) => isExpected(result) ? Effect.succeed(result) : Effect.fail("not yet")).pipe(
    Effect.retry(Schedule.spaced("10 millis"))
  )

const timeout = "300 millis"

/** A request with a timeout ends before a longer timer: both need the same event loop, so a busy machine does not matter. */
const endsAtTimeout = <A>(request: Effect.Effect<A, WitnessError>) =>
  Effect.gen(function*() {
    const order: Array<string> = []
    const end = (name: string) => Effect.sync(() => order.push(name))
    const [outcome] = yield* Effect.all([
      Effect.zipLeft(Effect.exit(Effect.timeout(request, timeout)), end("request")),
      Effect.zipRight(Effect.sleep("800 millis"), end("timer"))
    ], { concurrency: "unbounded" })
    assert.isTrue(Exit.isFailure(outcome))
    assert.deepStrictEqual(order, ["request", "timer"])
  })

/** Tests that share an engine, started before the first of them. */
const sharing = (engine: Layer.Layer<Engine, unknown>, scheduler: Layer.Layer<never>) => {
  const scope = Effect.runSync(Scope.make())
  let context: Context.Context<Engine>
  beforeAll(async () => {
    context = await Effect.runPromise(Layer.buildWithScope(Layer.orDie(engine), scope))
  }, 120_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const itIf = (condition: boolean) => <E>(name: string, test: () => Effect.Effect<void, E, Engine | Scope.Scope>) =>
    tests.scopedLive.runIf(condition)(
      name,
      () => Effect.suspend(() => Effect.provide(Effect.provide(test(), context), scheduler))
    )
  return { it: itIf(true), itIf }
}

/** The contract of every witness. */
export const witnessSuite = (
  name: string,
  engine: Layer.Layer<Engine, unknown>,
  { crashes, missing, scheduler = Layer.empty }: {
    readonly crashes: boolean
    readonly missing?: string | undefined
    readonly scheduler?: Layer.Layer<never> | undefined
  }
) =>
  describe.skipIf(missing !== undefined)(`a witness ${name}${missing === undefined ? "" : `: ${missing}`}`, () => {
    const { it, itIf } = sharing(engine, scheduler)
    it("contains nothing at first, and what was swapped in afterwards, for both members", () =>
      Effect.gen(function*() {
        const { backup, primary } = yield* makePair
        assert.deepStrictEqual(yield* primary.look, Option.none())
        const first = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        assert.deepStrictEqual(
          yield* backup.look,
          Option.map(first, (version) => ({ version, record: recordOf(1) }))
        )
        const next = recordOf(2, { step: 3, holder: "backup", life: "\"ünïcode\"", isReleased: true })
        const second = yield* swapped(backup.swap(first, next))
        assert.notDeepEqual(second, first)
        assert.deepStrictEqual(yield* primary.look, Option.map(second, (version) => ({ version, record: next })))
      }))

    it("a swap of another version, or of none, replaces nothing and returns what is there", () =>
      Effect.gen(function*() {
        const { backup, primary } = yield* makePair
        const first = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        const created = Option.map(first, (version) => ({ version, record: recordOf(1) }))
        assert.deepStrictEqual(yield* conflicting(backup.swap(Option.none(), recordOf(9))), created)
        const second = yield* swapped(primary.swap(first, recordOf(2)))
        const current = Option.map(second, (version) => ({ version, record: recordOf(2) }))
        assert.deepStrictEqual(yield* conflicting(backup.swap(first, recordOf(9))), current)
        assert.deepStrictEqual(yield* conflicting(backup.swap(Option.none(), recordOf(9))), current)
        assert.deepStrictEqual(yield* primary.look, current)
      }))

    it("a swap of a version where there is nothing creates nothing", () =>
      Effect.gen(function*() {
        const [one, other] = [yield* makePair, yield* makePair]
        const version = yield* swapped(one.primary.swap(Option.none(), recordOf(1)))
        assert.deepStrictEqual(yield* conflicting(other.primary.swap(version, recordOf(2))), Option.none())
        assert.deepStrictEqual(yield* other.primary.look, Option.none())
      }))

    it("a swap of an equal record has a new version: the holder renews", () =>
      Effect.gen(function*() {
        const { primary } = yield* makePair
        let version = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        const versions = [version]
        for (let i = 0; i < 5; i++) {
          version = yield* swapped(primary.swap(version, recordOf(1)))
          versions.push(version)
        }
        assert.strictEqual(new Set(versions.map(Option.getOrThrow)).size, versions.length)
      }))

    it("of concurrent swaps exactly one wins, time after time", () =>
      Effect.gen(function*() {
        const { layers, ...pair } = yield* makePair
        const members = [
          pair.primary,
          pair.backup,
          ...yield* Effect.all([layers.primary, layers.backup, layers.primary].map(build))
        ]
        let expected = Option.none<string>()
        for (let round = 1; round <= 25; round++) {
          const attempts = members.flatMap((member, at) =>
            ["x", "y"].map((copy) => ({ member, record: recordOf(round, { life: `${at}${copy}` }) }))
          )
          const results = yield* Effect.forEach(attempts, ({ member, record }) => member.swap(expected, record), {
            concurrency: "unbounded"
          })
          const winners = attempts.filter((_, i) => results[i]!._tag === "Swapped")
          assert.strictEqual(winners.length, 1)
          const seen = Option.getOrThrow(yield* pair.backup.look)
          assert.deepStrictEqual(seen.record, winners[0]!.record)
          for (const result of results) {
            assert.deepStrictEqual(
              result,
              result._tag === "Swapped"
                ? { _tag: "Swapped", version: seen.version }
                : { _tag: "Conflict", seen: Option.some(seen) }
            )
          }
          expected = Option.some(seen.version)
        }
      }))

    it("the fingerprint is the same for both members of a pair, and another one for another pair", () =>
      Effect.gen(function*() {
        const [one, other] = [yield* makePair, yield* makePair]
        assert.deepStrictEqual(yield* one.primary.fingerprint, Option.none())
        for (const pair of [one, other]) {
          const version = yield* swapped(pair.primary.swap(Option.none(), recordOf(1)))
          yield* pair.backup.look
          yield* swapped(pair.backup.swap(version, recordOf(2)))
          yield* pair.primary.look
        }
        const fingerprint = yield* one.primary.fingerprint
        assert.isTrue(Option.isSome(fingerprint))
        assert.deepStrictEqual(yield* one.backup.fingerprint, fingerprint)
        assert.deepStrictEqual(yield* (yield* build(one.layers.backup)).fingerprint, Option.none())
        assert.notDeepEqual(yield* other.primary.fingerprint, fingerprint)
      }))

    it("while the engine stands still a request ends at the timeout of its caller, and is answered afterwards", () =>
      Effect.gen(function*() {
        const { backup, pause, primary, resume } = yield* makePair
        const version = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        yield* backup.look
        yield* Effect.gen(function*() {
          yield* pause
          yield* endsAtTimeout(primary.look)
          yield* endsAtTimeout(backup.swap(version, recordOf(2, { holder: "backup" })))
          yield* endsAtTimeout(primary.look)
        }).pipe(Effect.ensuring(resume))
        const { record } = Option.getOrThrow(yield* answered(primary.look))
        assert.include([1, 2], record.number)
      }))

    it("a swap that timed out may be executed later, and then the earlier version is stale", () =>
      Effect.gen(function*() {
        const { backup, executesLate, pause, primary, resume } = yield* makePair
        const version = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        yield* backup.look
        yield* Effect.zipRight(pause, endsAtTimeout(backup.swap(version, recordOf(2)))).pipe(Effect.ensuring(resume))
        const look = answered(primary.look)
        const seen = yield* executesLate
          ? eventually(look, Option.exists(({ record }) => record.number === 2))
          : look
        const { record } = Option.getOrThrow(seen)
        if (record.number === 2) {
          assert.deepStrictEqual(yield* conflicting(primary.swap(version, recordOf(3))), seen)
        }
      }))

    it("requests need no more than the engine: the layer is built while it stands still", () =>
      Effect.gen(function*() {
        const { layers, pause, resume } = yield* makePair
        const late = yield* Effect.zipRight(pause, Effect.tap(build(layers.primary), ({ look }) => endsAtTimeout(look)))
          .pipe(Effect.ensuring(resume))
        yield* answered(late.look)
      }))

    itIf(crashes)("a record outlives a crash of the engine, during which requests fail with NoAnswer", () =>
      Effect.gen(function*() {
        const { backup, crash, layers, primary } = yield* makePair
        let version = yield* swapped(primary.swap(Option.none(), recordOf(1)))
        for (let number = 2; number <= 4; number++) {
          version = yield* swapped(primary.swap(version, recordOf(number)))
          yield* crash!.kill
          const outcome = yield* Effect.either(Effect.timeout(backup.look, "10 seconds"))
          assert.strictEqual(Either.isLeft(outcome) && "reason" in outcome.left && outcome.left.reason, "NoAnswer")
          const fresh = yield* build(layers.backup)
          assert.isTrue(Either.isLeft(yield* Effect.either(Effect.timeout(fresh.look, "10 seconds"))))
          yield* Effect.orDie(crash!.start)
          const seen = Option.map(version, (version) => ({ version, record: recordOf(number) }))
          for (const member of [primary, backup, fresh]) {
            assert.deepStrictEqual(yield* answered(member.look), seen)
          }
        }
      }))
  })
