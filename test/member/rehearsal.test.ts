import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Rehearsal from "../../src/member/rehearsal.ts"
import * as Witness from "../../src/ports/Witness.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"
import { eventually } from "../support/sockets.ts"

describe("a rehearsal of takeovers", () => {
  it.live("succeeds, and logs nothing", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => lines.push(message))
      yield* Effect.provide(Rehearsal.rehearse, Logger.replace(Logger.defaultLogger, logger))
      assert.deepStrictEqual(lines, [])
    }))

  it.live("leaves nothing behind when it is interrupted", () =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor.track
      for (const millis of [0, 1, 2, 5, 10, 20]) {
        yield* Rehearsal.rehearse.pipe(Effect.supervised(supervisor), Effect.timeout(millis), Effect.ignore)
        yield* eventually(Effect.map(supervisor.value, (fibers) => fibers.length === 0))
      }
    }).pipe(Effect.provide(BinaryStar.layerScheduler)))

  it.live("does not ask the witness of the real server", () =>
    Effect.gen(function*() {
      const { layers } = yield* Witness.makeMemory
      yield* Effect.provide(Rehearsal.rehearse, layers.backup)
    }))

  it.scoped("runs when a server begins to stand by and once in ten minutes, until it is active", () =>
    Effect.gen(function*() {
      let count = 0
      const rehearsal = Effect.sync(() => {
        count++
      })
      const { backup, links } = yield* makePair(undefined, "hardened")
      const member = yield* backup.start
      yield* Layer.build(Rehearsal.whileStandingBy(rehearsal)).pipe(
        Effect.provideService(BinaryStar.BinaryStar, member)
      )
      yield* settle
      assert.strictEqual(count, 0)

      const peer = yield* foreignPeer(links.primary)
      yield* peer.reports("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(count, 1)
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(count, 1)
      yield* TestClock.adjust("1 minutes")
      assert.strictEqual(count, 2)

      assert.strictEqual(yield* backup.request("vote"), "vote")
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(count, 2)
    }))

  it.scoped("that fails does not end the next one", () =>
    Effect.gen(function*() {
      let count = 0
      const rehearsal = Effect.suspend(() => {
        count++
        return Effect.fail("failed")
      })
      const { backup, links } = yield* makePair(undefined, "hardened")
      const member = yield* backup.start
      yield* Layer.build(Rehearsal.whileStandingBy(rehearsal)).pipe(
        Effect.provideService(BinaryStar.BinaryStar, member)
      )
      const peer = yield* foreignPeer(links.primary)
      yield* peer.reports("3")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(count, 2)
    }))
})
