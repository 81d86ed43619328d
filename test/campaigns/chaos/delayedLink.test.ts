import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Stream, SubscriptionRef } from "effect"
import { BinaryStar } from "../../../src/index.ts"
import { makeKeyFiles } from "../../support/keys.ts"
import { makeRelayed } from "../../support/links.ts"
import { other } from "../../support/processes.ts"
import { dualAnswers } from "./history.ts"
import type { Pair, State } from "./nodes.ts"
import { activeOf, makePair, program, whole } from "./nodes.ts"
import { client, makeObservers } from "./observers.ts"

const heartbeatMillis = 400
const limitMillis = 60_000

/** A pair whose servers are connected through links with a delay, and clients that send requests to both all the time. */
const start = (share: number, withKeys: boolean) =>
  Effect.gen(function*() {
    const keys = withKeys ? yield* makeKeyFiles([client]) : undefined
    const links = yield* makeRelayed(share * heartbeatMillis)
    const pair = yield* makePair({
      policy: "hardened",
      heartbeat: `${heartbeatMillis} millis`,
      program,
      network: undefined,
      links,
      keys
    })
    const observers = yield* makeObservers(pair, keys)
    const isWhole = Effect.map(whole(pair, 1.5 * heartbeatMillis, limitMillis), (is) => assert.isTrue(is, "whole"))
    yield* isWhole
    observers.take()
    pair.takeLines()
    return { pair, observers, isWhole }
  })

const active = (pair: Pair) => Effect.map(SubscriptionRef.get(pair.states), activeOf)

/** Waits until a server is in a state. */
const reach = (pair: Pair, role: "primary" | "backup", state: State) =>
  pair.states.changes.pipe(
    Stream.filter((states) => states[role] === state),
    Stream.runHead,
    Effect.timeoutFail({ duration: limitMillis, onTimeout: () => new Error(`${role} is not ${state}`) })
  )

const environment = Layer.merge(BinaryStar.layerScheduler, Logger.remove(Logger.defaultLogger))

describe("F4 a connection that is being made is not silence", () => {
  for (const withKeys of [false, true]) {
    for (const share of [0.15, 0.25, 0.45]) {
      const link = `one-way delay of ${share} heartbeats, ${withKeys ? "with" : "without"} keys`

      it.live(
        `F4 ${link}: kill -9 and restart of the active server: no dual answers, and its peer stays active`,
        () =>
          Effect.gen(function*() {
            const { isWhole, observers, pair } = yield* start(share, withKeys)
            const victim = yield* active(pair)
            yield* Effect.all([pair.nodes[victim].end("SIGKILL", 2000), reach(pair, other(victim), "active")], {
              concurrency: "unbounded"
            })
            yield* isWhole
            assert.deepStrictEqual(dualAnswers(observers.take(), heartbeatMillis), [])
            assert.strictEqual(yield* active(pair), other(victim))
            const ofOther = pair.takeLines().filter(({ role }) => role === other(victim)).map(({ text }) => text)
            assert.deepStrictEqual(ofOther.filter((text) => /ready as passive/.test(text)), [])
          }).pipe(Effect.scoped, Effect.provide(environment))
      )

      it.live(
        `F4 ${link}: SIGSTOP of the active server for four heartbeats: no dual answers`,
        () =>
          Effect.gen(function*() {
            const { isWhole, observers, pair } = yield* start(share, withKeys)
            const victim = yield* active(pair)
            yield* pair.nodes[victim].signal("SIGSTOP")
            yield* Effect.sleep(4 * heartbeatMillis)
            yield* pair.nodes[victim].signal("SIGCONT")
            yield* Effect.sleep(4 * heartbeatMillis)
            yield* isWhole
            assert.deepStrictEqual(dualAnswers(observers.take(), heartbeatMillis), [])
          }).pipe(Effect.scoped, Effect.provide(environment)),
        60_000
      )
    }
  }
})
