import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import { MemberError } from "../../src/member/MemberError.ts"
import type * as Report from "../../src/member/Report.ts"
import type { Node } from "../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"

const self = { vote: "self" } as const

/** Writes down when it begins and ends, and when it has taken its time to end. */
const recorded = (events: Array<string>, name: string, slow: Effect.Effect<void> = Effect.void) =>
  Effect.acquireUseRelease(
    Effect.sync(() => events.push(`${name} begins`)),
    () => Effect.never,
    () => Effect.zipRight(slow, Effect.sync(() => events.push(`${name} ends`)))
  )

/** A pair without clients, and what its members run while they are active. */
const makeSingletons = (slow: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function*() {
    const events: Array<string> = []
    const pair = yield* makePair(Handler.echo, "hardened", self)
    const start = (name: "primary" | "backup") =>
      Effect.gen(function*() {
        const member = yield* pair[name].start
        yield* Effect.forkScoped(member.whileActive(recorded(events, name, slow)))
        yield* settle
        return member
      })
    return { ...pair, events, start }
  })

describe("an effect that runs while a server is active", () => {
  it.scoped("an effect runs on one server, and moves to the other after a kill", () =>
    Effect.gen(function*() {
      const { events, primary, start } = yield* makeSingletons()
      const backup = yield* start("backup")
      yield* start("primary")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(events, ["primary begins"])
      yield* Effect.fork(primary.kill)
      yield* settle
      assert.deepStrictEqual(events, ["primary begins", "primary ends", "backup begins"])
      assert.strictEqual(yield* backup.state, "ACTIVE")
    }))

  it.scoped("a stop: the effect is finalized before it moves, and the peer receives ACTIVE until then", () =>
    Effect.gen(function*() {
      const released = yield* Deferred.make<void>()
      const { events, primary, start } = yield* makeSingletons(Deferred.await(released))
      yield* start("primary")
      const backup = yield* start("backup")
      yield* TestClock.adjust("2 seconds")
      const stopping = yield* Effect.fork(primary.stop)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(events, ["primary begins"])
      assert.strictEqual(yield* backup.state, "PASSIVE")
      yield* Deferred.succeed(released, undefined)
      yield* Fiber.join(stopping)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(events, ["primary begins", "primary ends", "backup begins"])
    }))

  it.scoped("stepping down: the effect is finalized before PASSIVE is reported", () =>
    Effect.gen(function*() {
      const released = yield* Deferred.make<void>()
      const events: Array<string> = []
      const { backup, links } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* backup.start
      const primary = yield* foreignPeer(links.primary)
      yield* primary.reports("3")
      const fiber = yield* Effect.fork(member.whileActive(recorded(events, "backup", Deferred.await(released))))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(events, ["backup begins"])
      const before = primary.received.length
      yield* primary.reports("3")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.notInclude(primary.received.slice(before), "4")
      yield* Deferred.succeed(released, undefined)
      yield* settle
      assert.deepStrictEqual(events, ["backup begins", "backup ends"])
      assert.notStrictEqual(yield* member.state, "ACTIVE")
      yield* Fiber.interrupt(fiber)
    }))

  it.scoped("H4 stall: the effect is finalized before another state is reported", () =>
    Effect.gen(function*() {
      const { backup, events, primary, start } = yield* makeSingletons()
      const first = yield* start("primary")
      yield* start("backup")
      yield* TestClock.adjust("2 seconds")
      yield* primary.stall
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(events, ["primary begins", "backup begins"])
      yield* primary.resume
      assert.deepStrictEqual(events, ["primary begins", "backup begins", "primary ends"])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* first.state, "PASSIVE")
      yield* backup.stop
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(events.slice(3), ["backup ends", "primary begins"])
    }))

  it.scoped("an effect that completes runs again in the next term; a failure fails the whole", () =>
    Effect.gen(function*() {
      let runs = 0
      const { backup, links } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* backup.start
      const primary = yield* foreignPeer(links.primary)
      yield* primary.reports("3")
      const fiber = yield* Effect.fork(
        member.whileActive((term) => term.began.to === "ACTIVE" && ++runs === 3 ? Effect.fail("third") : Effect.void)
      )
      for (const run of [1, 2, 3]) {
        yield* TestClock.adjust("8 seconds")
        assert.strictEqual(runs, run)
        yield* primary.reports("3")
      }
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("third"))
    }))

  it.scoped("the ending transition is known before the interruption", () =>
    Effect.gen(function*() {
      const whys: Array<Report.Transition> = []
      const { primary } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* primary.start
      yield* Effect.fork(member.whileActive((term) =>
        Effect.onInterrupt(Effect.never, () => Effect.map(term.ending, (why) => whys.push(why)))
      ))
      yield* TestClock.adjust("4 seconds")
      yield* primary.stop
      assert.deepInclude(whys[0], { from: "ACTIVE", cause: "Stopping" })
    }))

  it.scoped("a finalizer that dies fails the whole; an uninterruptible start ends as well", () =>
    Effect.gen(function*() {
      const { primary } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* primary.start
      const dying = yield* Effect.fork(
        member.whileActive(Effect.onInterrupt(Effect.never, () => Effect.die("cannot let go")))
      )
      yield* Effect.uninterruptible(Effect.forkDaemon(member.whileActive(Effect.never)))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* primary.stop
      const exit = yield* Fiber.await(dying)
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
    }))

  it.scoped("the end of the member fails the whole, after the finalization", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const { links, primary } = yield* makePair(Handler.echo, "classic")
      const member = yield* primary.start
      const peer = yield* foreignPeer(links.backup)
      const fiber = yield* Effect.fork(member.whileActive(recorded(events, "primary")))
      yield* peer.reports("2")
      assert.deepStrictEqual(events, ["primary begins"])
      yield* peer.reports("3")
      assert.deepStrictEqual(events, ["primary begins", "primary ends"])
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail(new MemberError({ reason: "DualActive" })))
    }))
})

describe("a layer that is built while a server is active", () => {
  class Resource extends Context.Tag("test/Resource")<Resource, string>() {}

  /** Builds a layer in the scope of the test. */
  const build = (member: BinaryStar.BinaryStar["Type"], layer: Layer.Layer<never, never, BinaryStar.BinaryStar>) =>
    Effect.flatMap(
      Scope.Scope,
      (scope) => Layer.buildWithScope(Layer.provide(layer, Layer.succeed(BinaryStar.BinaryStar, member)), scope)
    )

  const isActive = (node: Node) => node.log.some((line) => line.includes("ready as active"))

  it.scoped("is built in each term and released at its end", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const { backup, links } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* backup.start
      const primary = yield* foreignPeer(links.primary)
      yield* primary.reports("3")
      yield* build(
        member,
        BinaryStar.layerWhileActive(Layer.scoped(
          Resource,
          Effect.acquireRelease(
            Effect.sync(() => `resource ${events.push("built")}`),
            () => Effect.sync(() => events.push("released"))
          )
        ))
      )
      assert.deepStrictEqual(events, [])
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(isActive(backup))
      yield* primary.reports("3")
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(events, ["built", "released", "built"])
    }))

  it.scoped("is built again by the schedule after a failure", () =>
    Effect.gen(function*() {
      let tries = 0
      const { primary } = yield* makePair(Handler.echo, "hardened", self)
      const member = yield* primary.start
      yield* build(
        member,
        BinaryStar.layerWhileActive(
          Layer.effectDiscard(Effect.suspend(() => ++tries < 3 ? Effect.fail("not yet") : Effect.void))
        )
      )
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(tries, 3)
    }))
})

describe("a member", () => {
  it.scoped("awaitActive and awaitPassive wait for the state", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair(Handler.echo, "hardened", self)
      const waits = (member: BinaryStar.BinaryStar["Type"], what: typeof BinaryStar.awaitActive) =>
        Effect.fork(Effect.provideService(what, BinaryStar.BinaryStar, member))
      const passive = yield* waits(yield* backup.start, BinaryStar.awaitPassive)
      yield* TestClock.adjust("2 seconds")
      assert.isNull(passive.unsafePoll())
      const active = yield* waits(yield* primary.start, BinaryStar.awaitActive)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(active)
      yield* Fiber.join(passive)
    }))

  it.scoped("a self-voting member becomes active without a client, any other does not", () =>
    Effect.gen(function*() {
      const states = (options: { readonly vote?: "self" }) =>
        Effect.gen(function*() {
          const { primary } = yield* makePair(Handler.echo, "hardened", options)
          const member = yield* primary.start
          yield* TestClock.adjust("4 seconds")
          return yield* member.state
        })
      assert.strictEqual(yield* states(self), "ACTIVE")
      assert.strictEqual(yield* states({}), "PRIMARY")
    }))

  it.scoped("H7 crash evidence: a self-voting member takes over before the timeout", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair(Handler.echo, "hardened", self)
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const primary = yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* primary.reports("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("stop: join is interrupted, after the final heartbeat", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair(Handler.echo, "hardened", self)
      const peer = yield* foreignPeer(links.backup)
      const member = yield* primary.start
      yield* peer.reports("2")
      const joined = yield* Effect.fork(member.join)
      yield* member.stop
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(joined)))
      assert.strictEqual(peer.received.at(-1), "1")
    }))

  it.scoped("a hundred terms: each effect begins and ends exactly once", () =>
    Effect.gen(function*() {
      let [begun, ended] = [0, 0]
      const { backup, links } = yield* makePair(Handler.echo, "hardened", { ...self, heartbeat: "10 millis" })
      const member = yield* backup.start
      const primary = yield* foreignPeer(links.primary)
      yield* primary.reports("3")
      yield* Effect.fork(member.whileActive(Effect.acquireUseRelease(
        Effect.sync(() => ++begun),
        () => Effect.never,
        () => Effect.sync(() => ++ended)
      )))
      while (begun < 100) {
        yield* TestClock.adjust("40 millis")
        yield* primary.reports("3")
      }
      assert.strictEqual(begun, 100)
      assert.strictEqual(ended, 100)
    }))
})
