import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as zmq from "zeromq"
import type { Endpoints } from "../support/processes.ts"
import { foreignPeer, freeEndpoints, publications, socket } from "../support/processes.ts"
import {
  assertNoLine,
  graceMillis,
  kill,
  readyAsActive,
  readyAsPassive,
  requests,
  start,
  startPair,
  within
} from "./hardenedPair.ts"

/** A lost server is replaced within three heartbeats. */
const threeHeartbeats = (heartbeatMillis: number, what: string) =>
  within(3 * heartbeatMillis, `an answer of the ${what}`)

describe("F1 never none", () => {
  for (const [heartbeatMillis, delays] of [[1000, [50, 300, 600]], [400, [20, 120, 240]]] as const) {
    for (const millis of delays) {
      it.scopedLive(
        `F1 kill -9 of the primary ${millis} ms after it became active: the backup answers (heartbeat ${heartbeatMillis} ms)`,
        () =>
          Effect.gen(function*() {
            const at = yield* freeEndpoints
            yield* start("backup", at, heartbeatMillis)
            const replies = yield* requests(at.backup.frontend)
            const primary = yield* start("primary", at, heartbeatMillis)
            yield* primary.waitForLine(readyAsActive)
            yield* Effect.sleep(millis)
            yield* kill(primary)
            yield* threeHeartbeats(heartbeatMillis, "backup")(replies.find(() => true))
          })
      )
    }
  }

  it.scopedLive("F1 SIGSTOP of the primary 0.1 s after it became active: the backup answers within three heartbeats", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      yield* start("backup", at, 1000)
      const replies = yield* requests(at.backup.frontend)
      const primary = yield* start("primary", at, 1000)
      yield* primary.waitForLine(readyAsActive)
      yield* Effect.sleep("100 millis")
      yield* primary.kill("SIGSTOP")
      yield* threeHeartbeats(1000, "backup")(replies.find(() => true))
    }))

  it.scopedLive("F1 SIGTERM of the primary 50 ms after it became active: the backup answers within three heartbeats", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* start("backup", at, 1000)
      const replies = yield* requests(at.backup.frontend)
      const primary = yield* start("primary", at, 1000)
      yield* primary.waitForLine(readyAsActive)
      yield* Effect.sleep("50 millis")
      // Without waiting for a heartbeat.
      yield* within(500, "the backup is passive")(backup.waitForLine(readyAsPassive))
      yield* primary.kill("SIGTERM")
      yield* threeHeartbeats(1000, "backup")(replies.find(() => true))
    }))

  /** Waits for the next heartbeat of a server, so that the one after it is a whole period away. */
  const afterHeartbeat = (state: string) => Effect.flatMap(publications(state), (heartbeats) => heartbeats.more(2))

  it.scopedLive("F1 a restarted backup pairs when it connects, not with the next heartbeat, and takes over", () =>
    Effect.gen(function*() {
      const heartbeatMillis = 4000
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, heartbeatMillis)
      yield* afterHeartbeat(at.primary.state)
      yield* kill(backup)
      const again = yield* start("backup", at, heartbeatMillis)
      const replies = yield* requests(at.backup.frontend)
      yield* within(heartbeatMillis / 2, "the backup is passive")(again.waitForLine(readyAsPassive))
      yield* kill(primary)
      yield* threeHeartbeats(heartbeatMillis, "backup")(replies.find(() => true))
    }))

  it.scopedLive("F1 a backup restarted 0.3 s before the primary is killed answers within three heartbeats", () =>
    Effect.gen(function*() {
      const heartbeatMillis = 4000
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, heartbeatMillis)
      yield* afterHeartbeat(at.primary.state)
      yield* kill(backup)
      yield* start("backup", at, heartbeatMillis)
      const replies = yield* requests(at.backup.frontend)
      yield* Effect.sleep("300 millis")
      yield* kill(primary)
      yield* threeHeartbeats(heartbeatMillis, "backup")(replies.find(() => true))
    }))

  it.scopedLive("F1 an active backup is killed and restarted, then the primary that took over is killed: the backup answers", () =>
    Effect.gen(function*() {
      const heartbeatMillis = 4000
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, heartbeatMillis)
      const votes = yield* requests(at.backup.frontend)
      yield* kill(primary)
      yield* votes.find(() => true)
      const second = yield* start("primary", at, heartbeatMillis)
      const ofPrimary = yield* requests(at.primary.frontend)
      yield* second.waitForLine(readyAsPassive)
      yield* kill(backup)
      yield* ofPrimary.find(() => true)
      yield* afterHeartbeat(at.primary.state)
      yield* start("backup", at, heartbeatMillis)
      const replies = yield* requests(at.backup.frontend)
      yield* Effect.sleep("300 millis")
      yield* kill(second)
      yield* threeHeartbeats(heartbeatMillis, "backup")(replies.find(() => true))
    }))

  it.scopedLive("F1 a foreign peer that subscribes gets the state at once, and every transition at once", () =>
    Effect.gen(function*() {
      const heartbeatMillis = 10_000
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("backup", at)
      yield* start("primary", at, heartbeatMillis)
      yield* peer.listened
      yield* within(heartbeatMillis / 2, "PRIMARY")(peer.hear("1"))
      const active = yield* Effect.fork(peer.hear("3"))
      yield* peer.say("2")
      yield* within(heartbeatMillis / 2, "ACTIVE")(active)
      const second = yield* publications(at.primary.state)
      yield* within(heartbeatMillis / 2, "ACTIVE for another subscriber")(
        second.find(({ frames }) => String(frames[0]) === "3")
      )
    }))

  const remedy = /^W: .*start the primary, or bstar promote/

  it.scopedLive("F1 a lone backup that refuses votes logs one warning a burst, with the remedy", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* start("backup", at, 200)
      const heartbeats = yield* publications(at.backup.state)
      yield* heartbeats.more(6)
      assertNoLine(backup, remedy)
      yield* requests(at.backup.frontend)
      yield* backup.waitForLine(remedy)
      yield* heartbeats.more(6)
      assert.strictEqual(backup.lines.filter((line) => remedy.test(line)).length, 1)
    }))

  it.scopedLive("F1 a paired backup that refuses votes logs no such warning", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup } = yield* startPair(at, 400)
      yield* requests(at.backup.frontend)
      const heartbeats = yield* publications(at.backup.state)
      yield* heartbeats.more(6)
      assertNoLine(backup, remedy)
    }))
})

describe("--lone", () => {
  const heartbeatMillis = 300

  /** Two heartbeats of silence, a vote, and what a promotion waits for. */
  const served = within(6 * heartbeatMillis + graceMillis, "an answer of the lone backup")

  const startAlone = (at: Endpoints, lone: string) => start("backup", at, heartbeatMillis, "--lone", lone)

  it.scopedLive("--lone serve: a backup that has never received anything serves, not before two heartbeats", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const began = performance.now()
      yield* startAlone(at, "serve")
      const replies = yield* requests(at.backup.frontend)
      const { at: answeredAt } = yield* served(replies.find(() => true))
      assert.isAtLeast(answeredAt - began, 2 * heartbeatMillis)
    }))

  it.scopedLive("--lone serve: nothing happens without a vote", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, "serve")
      yield* Effect.sleep(10 * heartbeatMillis)
      assertNoLine(backup, readyAsActive)
      const replies = yield* requests(at.backup.frontend)
      yield* served(replies.find(() => true))
    }))

  it.scopedLive("--lone serve: refuses, and says so, while a subscriber is connected to its state port", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const subscriber = yield* socket(() => new zmq.Subscriber({ linger: 0 }))
      subscriber.connect(at.backup.state)
      subscriber.subscribe()
      const backup = yield* startAlone(at, "serve")
      yield* Effect.promise(() => subscriber.receive())
      const replies = yield* requests(at.backup.frontend)
      yield* backup.waitForLine(/^[WE]: .*subscri/i)
      yield* Effect.sleep(8 * heartbeatMillis)
      assertNoLine(backup, readyAsActive)
      assert.strictEqual(replies.entries.length, 0)
      subscriber.close()
      yield* served(replies.find(() => true))
    }))

  it.scopedLive("--lone serve: a backup that has been paired, and its primary's return, never answer both", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, "serve")
      const replies = yield* requests(at.backup.frontend)
      yield* served(replies.find(() => true))
      const primary = yield* start("primary", at, heartbeatMillis)
      const ofPrimary = yield* requests(at.primary.frontend)
      yield* primary.waitForLine(readyAsPassive)
      assert.strictEqual(ofPrimary.entries.length, 0)
      yield* kill(backup)
      yield* within(3 * heartbeatMillis + graceMillis, "an answer of the primary")(ofPrimary.find(() => true))
    }))

  it.scopedLive("--lone wait: a backup that has never received anything refuses", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* startAlone(at, "wait")
      const replies = yield* requests(at.backup.frontend)
      yield* Effect.sleep(8 * heartbeatMillis)
      assert.strictEqual(replies.entries.length, 0)
      assertNoLine(backup, readyAsActive)
    }))
})
