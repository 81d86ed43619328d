import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Hooks from "../../src/command/Hooks.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import type * as Report from "../../src/member/Report.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"

type Member = BinaryStar.BinaryStar["Type"]

type Name = "onActive" | "onPassive" | "onStop"

const self = { vote: "self" } as const

/** Installs hooks until the scope closes, or `close` is called. */
const install = (member: Member, options: Hooks.Options) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
    yield* Layer.buildWithScope(
      Layer.provide(Hooks.layer(options), Layer.succeed(BinaryStar.BinaryStar, member)),
      scope
    )
    yield* settle
    return { close: Scope.close(scope, Exit.void) }
  })

/** Hooks that take some time, and what they noted when they began and when they ended. */
const recorder = (takes: { readonly [N in Name]?: Duration.DurationInput } = {}) => {
  const events: Array<string> = []
  const transitions: Array<Report.Transition> = []
  let running = 0
  const hook = (name: Name): Hooks.Hook => (transition) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        transitions.push(transition)
        events.push(++running === 1 ? name : `${name} beside another`)
      }),
      () => Effect.sleep(takes[name] ?? 0),
      (_, exit) =>
        Effect.sync(() => {
          running--
          if (takes[name] !== undefined) {
            events.push(`${name} ${Exit.isSuccess(exit) ? "done" : "interrupted"}`)
          }
        })
    )
  return {
    events,
    transitions,
    options: { onActive: hook("onActive"), onPassive: hook("onPassive"), onStop: hook("onStop") }
  }
}

/** A backup that takes over from a scripted primary, and steps down when that reports ACTIVE. */
const makeBackup = Effect.gen(function*() {
  const pair = yield* makePair(Handler.echo, "hardened", self)
  const member = yield* pair.backup.start
  const primary = yield* foreignPeer(pair.links.primary)
  return {
    node: pair.backup,
    member,
    primary,
    standsBy: primary.reports("3"),
    takesOver: TestClock.adjust("4 seconds")
  }
})

const advance = (duration: Duration.DurationInput) => TestClock.adjust(duration)

describe("hooks at the start and at the end", () => {
  it.scoped("the first hook is that of the current state", () =>
    Effect.gen(function*() {
      const { events, options } = recorder()
      const { member, standsBy, takesOver } = yield* makeBackup
      yield* standsBy
      const first = yield* install(member, options)
      assert.deepStrictEqual(events, ["onPassive"])
      yield* first.close
      yield* takesOver
      yield* install(member, options)
      assert.deepStrictEqual(events, ["onPassive", "onStop", "onActive"])
    }))

  it.scoped("onStop runs once when the layer is closed, in every state", () =>
    Effect.gen(function*() {
      const { events, options, transitions } = recorder()
      const { member, primary, standsBy } = yield* makeBackup
      const { close } = yield* install(member, options)
      yield* standsBy
      const before = primary.received.length
      yield* close
      assert.deepStrictEqual(events, ["onPassive", "onStop"])
      assert.deepInclude(transitions[1], { from: "PASSIVE", to: "BACKUP", cause: "Stopping" })
      yield* member.stop
      assert.deepStrictEqual([events.length, primary.received.slice(before)], [2, ["2"]])
    }))

  it.scoped("onStop waits for onActive", () =>
    Effect.gen(function*() {
      const { events, options } = recorder({ onActive: "5 seconds" })
      const { member, takesOver, standsBy } = yield* makeBackup
      const { close } = yield* install(member, options)
      yield* standsBy
      yield* takesOver
      const closing = yield* Effect.fork(close)
      yield* settle
      assert.deepStrictEqual(events, ["onPassive", "onActive"])
      yield* advance("5 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(events, ["onPassive", "onActive", "onActive done", "onStop"])
    }))

  for (const policy of ["active", "passive"] as const) {
    it.scoped(`onStop runs when a ${policy} server ends because of its peer`, () =>
      Effect.gen(function*() {
        const { events, options } = recorder({ onStop: "1 second" })
        const { primary: node, links } = yield* makePair(Handler.echo, "classic", self)
        const member = yield* node.start
        const peer = yield* foreignPeer(links.backup)
        const { close } = yield* install(member, options)
        yield* peer.reports(policy === "active" ? "2" : "3")
        yield* peer.reports(policy === "active" ? "3" : "4")
        // As does an application that ends when its member has ended.
        const closing = yield* Effect.fork(Effect.zipRight(Effect.exit(member.join), close))
        yield* advance("2 seconds")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(events, [policy === "active" ? "onActive" : "onPassive", "onStop", "onStop done"])
      }))
  }

  it.scoped("hooks alternate for a term that ends before anything runs in it", () =>
    Effect.gen(function*() {
      const { events, options } = recorder({ onActive: "1 second" })
      const { member, primary, standsBy } = yield* makeBackup
      yield* install(member, options)
      yield* standsBy
      const inTurns = ["onActive", "onActive done", "onPassive"]
      for (let term = 0; term < 2; term++) {
        // The first is taken at once, the others together.
        yield* primary.publish({ state: [Buffer.from("4")] })
        yield* primary.publish({ state: [Buffer.from("2")] })
        yield* primary.reports("3")
        assert.strictEqual(yield* member.state, "CONTESTED")
        assert.strictEqual(events.at(-1), "onActive")
        yield* advance("2 seconds")
        assert.deepStrictEqual(events.slice(-3), inTurns)
        yield* advance("2 seconds")
        assert.strictEqual(yield* member.state, "PASSIVE")
      }
      assert.deepStrictEqual(events, ["onPassive", ...inTurns, ...inTurns])
    }))

  it.scoped("hooks alternate in fifty terms", () =>
    Effect.gen(function*() {
      const { events, options } = recorder()
      const pair = yield* makePair(Handler.echo, "hardened", { ...self, heartbeat: "10 millis" })
      const member = yield* pair.backup.start
      const primary = yield* foreignPeer(pair.links.primary)
      yield* install(member, options)
      yield* primary.reports("3")
      for (let term = 0; term < 50; term++) {
        yield* advance("40 millis")
        assert.strictEqual(yield* member.state, "ACTIVE")
        yield* primary.reports("3")
        assert.strictEqual(yield* member.state, "CONTESTED")
        assert.strictEqual(events.at(-1), "onPassive")
        yield* advance("30 millis")
        assert.strictEqual(yield* member.state, "PASSIVE")
      }
      assert.deepStrictEqual(events, [
        "onPassive",
        ...Array.from({ length: 50 }, () => ["onActive", "onPassive"]).flat()
      ])
    }))
})
