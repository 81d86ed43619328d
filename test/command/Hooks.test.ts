import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Hooks from "../../src/command/Hooks.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import type { PolicyName } from "../../src/protocol/Policies.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"

type Name = "onActive" | "onPassive" | "onStop"

/** A backup with recording hooks, and a scripted primary. */
const makeBackup = (
  bodies: { readonly [N in Name]?: Effect.Effect<unknown, unknown> } = {},
  policy: PolicyName = "hardened",
  timeout?: string
) =>
  Effect.gen(function*() {
    const calls: Array<string> = []
    const logged: Array<string> = []
    let running = 0
    const hook = (name: Name): Hooks.Hook => ({ cause, from, to }) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          calls.push(`${name}: ${from} -> ${to}, ${cause}`)
          assert.strictEqual(++running, 1, "two hooks run at once")
        }),
        () => bodies[name] ?? Effect.void,
        () =>
          Effect.sync(() => {
            running--
            calls.push(`${name} is over`)
          })
      )
    const { backup, links } = yield* makePair(Handler.echo, policy, { vote: "self" })
    const member = yield* backup.start
    const primary = yield* foreignPeer(links.primary)
    const scope = yield* Scope.make()
    yield* Hooks.layer({
      onActive: hook("onActive"),
      onPassive: hook("onPassive"),
      onStop: hook("onStop"),
      timeout: timeout as "1 second" | undefined
    }).pipe(
      Layer.provide(Layer.succeed(BinaryStar.BinaryStar, member)),
      Layer.buildWithScope(scope),
      Effect.provide(Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ cause, message }) => logged.push(`${message} ${cause}`))
      ))
    )
    // Before the member goes: what hangs has its time.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        const closing = yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
        yield* settle
        while (closing.unsafePoll() === null) {
          yield* TestClock.adjust("10 seconds")
        }
      })
    )
    yield* settle
    return {
      calls,
      logged,
      member,
      primary,
      stop: backup.stop,
      close: Scope.close(scope, Exit.void),
      /** The primary speaks, falls silent, and speaks again when the backup has taken over. */
      becomesActive: Effect.zipRight(primary.reports("3"), TestClock.adjust("4 seconds"))
    }
  })

const toPassive = ["onPassive: BACKUP -> PASSIVE, PeerActive", "onPassive is over"]
const toActive = "onActive: PASSIVE -> ACTIVE, ClientRequest"
const toContested = "onPassive: ACTIVE -> CONTESTED, PeerActive"

describe("hooks", () => {
  it.scoped("onActive and onPassive alternate, one for each transition", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, close, member, primary } = yield* makeBackup()
      assert.deepStrictEqual(calls, [])
      yield* becomesActive
      assert.deepStrictEqual(calls.splice(0), [...toPassive, toActive, "onActive is over"])
      yield* primary.reports("3")
      assert.deepStrictEqual(calls.splice(0), [toContested, "onPassive is over"])
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* member.state, "PASSIVE")
      // A primary that starts makes it wait, which is no news.
      yield* primary.reports("1")
      yield* primary.reports("3")
      assert.deepStrictEqual(calls.splice(0), [])
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(calls.splice(0), [toActive, "onActive is over"])
      yield* close
      assert.deepStrictEqual(calls, ["onStop: ACTIVE -> BACKUP, Stopping", "onStop is over"])
    }))

  it.scoped("H11 contested: onPassive, then onActive once the primary steps down", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, member, primary } = yield* makeBackup()
      yield* becomesActive
      calls.splice(0)
      yield* primary.reports("3")
      assert.deepStrictEqual(calls.splice(0), [toContested, "onPassive is over"])
      yield* BinaryStar.awaitPassive.pipe(Effect.provideService(BinaryStar.BinaryStar, member))
      yield* primary.reports("4")
      assert.deepStrictEqual(calls, ["onActive: CONTESTED -> ACTIVE, PeerPassive", "onActive is over"])
    }))

  it.scoped("stepping down: PASSIVE is reported after onPassive has ended", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, member, primary } = yield* makeBackup({ onPassive: Effect.sleep("5 seconds") })
      yield* becomesActive
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* member.state, "ACTIVE")
      const before = primary.received.length
      yield* primary.reports("3")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.notInclude(primary.received.slice(before), "4")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(calls.at(-1), "onPassive is over")
      assert.notStrictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("onActive ends before the next hook begins", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, member, primary } = yield* makeBackup({ onActive: Effect.sleep("8 seconds") })
      yield* becomesActive
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.deepStrictEqual(calls.splice(0), [...toPassive, toActive])
      yield* primary.reports("3")
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(calls.slice(0, 3), [
        "onActive is over",
        toContested,
        "onPassive is over"
      ])
    }))

  it.scoped("a hook that times out, fails or dies has no other effect", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, logged, member, primary } = yield* makeBackup(
        { onActive: Effect.never, onPassive: Effect.die("a defect") },
        "hardened",
        "3 seconds"
      )
      yield* becomesActive
      yield* primary.reports("3")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(calls.slice(0, 6), [
        ...toPassive,
        toActive,
        "onActive is over",
        toContested,
        "onPassive is over"
      ])
      assert.include(logged[0], "the hook on-passive has failed Error: a defect")
      assert.include(logged[1], "the hook on-active has failed: it took longer than 3s")
      assert.notStrictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("stopping an active server: onStop instead of onPassive, before the final heartbeat", () =>
    Effect.gen(function*() {
      const done = yield* Deferred.make<void>()
      const { becomesActive, calls, member, primary, stop } = yield* makeBackup({ onStop: Deferred.await(done) })
      yield* becomesActive
      calls.length = 0
      const stopping = yield* Effect.fork(stop)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(calls, ["onStop: ACTIVE -> BACKUP, Stopping"])
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.strictEqual(primary.received.at(-1), "3")
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(stopping)
      yield* settle
      assert.deepStrictEqual(calls, ["onStop: ACTIVE -> BACKUP, Stopping", "onStop is over"])
      assert.strictEqual(primary.received.at(-1), "2")
    }))

  it.scoped("stopping a passive server: onStop", () =>
    Effect.gen(function*() {
      const { calls, primary, stop } = yield* makeBackup()
      yield* primary.reports("3")
      yield* stop
      yield* settle
      assert.deepStrictEqual(calls, [...toPassive, "onStop: PASSIVE -> BACKUP, Stopping", "onStop is over"])
    }))

  it.scoped("a member that aborts: onStop", () =>
    Effect.gen(function*() {
      const { becomesActive, calls, close, member, primary } = yield* makeBackup({}, "classic")
      yield* becomesActive
      calls.length = 0
      yield* primary.reports("3")
      assert.deepStrictEqual(calls, ["onStop: ACTIVE -> ACTIVE, PeerActive", "onStop is over"])
      assert.isTrue(Exit.isFailure(yield* Effect.exit(member.join)))
      yield* close
      assert.strictEqual(calls.length, 2)
    }))

  it.scoped("an invalid timeout is rejected", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(makeBackup({}, "hardened", "soon"))
      assert.match(message, /^timeout: expected a duration/)
    }))
})
