import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  assertNoLine,
  kill,
  readyAsActive,
  readyAsPassive,
  requests,
  type ServerOptions,
  start,
  untilAnswered
} from "../support/pair.ts"
import { type Endpoints, foreignPeer, freeEndpoints, publications } from "../support/processes.ts"
import { steadyHeartbeatMillis } from "../support/times.ts"

/** A backup whose primary was never started. */
const startAlone = (at: Endpoints, options: ServerOptions) => start("backup", at, steadyHeartbeatMillis, options)

const serve: ServerOptions = { args: ["--lone", "serve"] }

describe("H12 a lone backup", () => {
  const settings: { readonly [how: string]: ServerOptions } = {
    "--lone serve": serve,
    "BSTAR_LONE=serve": { env: { BSTAR_LONE: "serve" } }
  }
  for (const [how, options] of Object.entries(settings)) {
    it.scopedLive(`H12 ${how}: a lone backup takes over on a vote, not before two heartbeats`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const began = performance.now()
        const backup = yield* startAlone(at, options)
        const replies = yield* requests(at.backup.frontend)
        const { at: answeredAt } = yield* replies.find(() => true)
        assert.isAtLeast(answeredAt - began, 2 * steadyHeartbeatMillis)
        yield* backup.waitForLine(/failover successful, ready as active$/)
      }))
  }

  it.scopedLive("H12 --lone serve: a lone backup does not take over without a vote", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, serve)
      yield* Effect.sleep(10 * steadyHeartbeatMillis)
      assertNoLine(backup, readyAsActive)
      yield* untilAnswered(at.backup.frontend)
    }))

  it.scopedLive("H12 --lone serve: a lone backup rejects votes, and logs it, while a subscriber is connected to its state port", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, serve)
      yield* Effect.scoped(Effect.gen(function*() {
        const heartbeats = yield* publications(at.backup.state)
        yield* heartbeats.find(() => true)
        const replies = yield* requests(at.backup.frontend)
        yield* backup.waitForLine(/^W: votes are rejected: .*a subscriber is connected/)
        yield* heartbeats.more(8)
        assert.strictEqual(replies.entries.length, 0)
        assertNoLine(backup, readyAsActive)
      }))
      yield* untilAnswered(at.backup.frontend)
    }))

  it.scopedLive("H12 --lone serve: a primary that starts later is passive, and takes over when the backup is killed", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, serve)
      yield* untilAnswered(at.backup.frontend)
      const primary = yield* start("primary", at, steadyHeartbeatMillis)
      const ofPrimary = yield* requests(at.primary.frontend)
      yield* primary.waitForLine(readyAsPassive)
      assert.strictEqual(ofPrimary.entries.length, 0)
      yield* kill(backup)
      yield* ofPrimary.find(() => true)
    }))

  it.scopedLive("H12 --lone wait: a lone backup rejects votes with a warning, and is passive once its primary is active", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, {})
      const heartbeats = yield* publications(at.backup.state)
      yield* Effect.scoped(Effect.gen(function*() {
        const replies = yield* requests(at.backup.frontend)
        yield* backup.waitForLine(/^W: votes are rejected: .*start the primary, or bstar promote/)
        yield* heartbeats.more(8)
        assert.strictEqual(replies.entries.length, 0)
      }))
      assertNoLine(backup, readyAsActive)
      const primary = yield* foreignPeer("primary", at)
      yield* primary.subscribed
      yield* Effect.fork(primary.heartbeats("3"))
      yield* backup.waitForLine(readyAsPassive)
    }))
})
