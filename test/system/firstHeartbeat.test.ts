import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  assertNoLine,
  kill,
  readyAsActive,
  readyAsPassive,
  requests,
  start,
  startPair,
  untilAnswered
} from "../support/pair.ts"
import { foreignPeer, freeEndpoints, publications } from "../support/processes.ts"
import { longHeartbeatMillis, steadyHeartbeatMillis } from "../support/times.ts"

const ends = {
  "kill -9": kill,
  "SIGSTOP": (server) => server.kill("SIGSTOP"),
  "SIGTERM": (server) => server.kill("SIGTERM")
} satisfies { readonly [end: string]: typeof kill }

const cases = [
  ["kill -9", 1000, 50],
  ["kill -9", 1000, 300],
  ["kill -9", 1000, 600],
  ["kill -9", steadyHeartbeatMillis, 20],
  ["kill -9", steadyHeartbeatMillis, 120],
  ["kill -9", steadyHeartbeatMillis, 240],
  ["SIGSTOP", 1000, 100],
  ["SIGTERM", 1000, 50]
] as const

describe("F1 a pair in its first heartbeats", () => {
  for (const [end, heartbeatMillis, millis] of cases) {
    it.scopedLive(
      `F1 ${end} of the primary ${millis} ms after the pair was formed: the backup takes over (heartbeat ${heartbeatMillis} ms)`,
      () =>
        Effect.gen(function*() {
          const at = yield* freeEndpoints
          const backup = yield* start("backup", at, heartbeatMillis)
          const replies = yield* requests(at.backup.frontend)
          const primary = yield* start("primary", at, heartbeatMillis)
          yield* primary.waitForLine(readyAsActive)
          // A backup that has not received a heartbeat by then rejects votes (H12). It is subscribed a few milliseconds later.
          yield* backup.waitForLine(readyAsPassive)
          yield* Effect.sleep(millis)
          yield* ends[end](primary)
          yield* replies.find(() => true)
        })
    )
  }

  it.scopedLive("F1 a restarted backup is passive as soon as it connects, and takes over", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, longHeartbeatMillis)
      yield* kill(backup)
      const again = yield* start("backup", at, longHeartbeatMillis)
      const replies = yield* requests(at.backup.frontend)
      yield* again.waitForLine(readyAsPassive)
      yield* kill(primary)
      yield* replies.find(() => true)
    }))

  it.scopedLive("F1 an active backup is killed and restarted, then the primary that took over is killed: the backup takes over", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup, primary } = yield* startPair(at, longHeartbeatMillis)
      yield* kill(primary)
      yield* untilAnswered(at.backup.frontend)
      const second = yield* start("primary", at, longHeartbeatMillis)
      yield* second.waitForLine(readyAsPassive)
      yield* kill(backup)
      yield* untilAnswered(at.primary.frontend)
      const again = yield* start("backup", at, longHeartbeatMillis)
      yield* again.waitForLine(readyAsPassive)
      yield* kill(second)
      yield* untilAnswered(at.backup.frontend)
    }))

  it.scopedLive("F1 a new subscriber receives the state at once, and every transition at once", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("backup", at)
      yield* start("primary", at, longHeartbeatMillis)
      yield* peer.subscribed
      yield* peer.received.find(({ frames }) => String(frames[0]) === "1")
      yield* peer.publishUntil("2", peer.receive("3"))
      const second = yield* publications(at.primary.state)
      yield* second.find(({ frames }) => String(frames[0]) === "3")
    }))

  const remedy = /^W: .*start the primary, or bstar promote/

  it.scopedLive("F1 a lone backup that rejects votes logs one warning a burst, with the remedy", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* start("backup", at, steadyHeartbeatMillis)
      const heartbeats = yield* publications(at.backup.state)
      yield* heartbeats.more(6)
      assertNoLine(backup, remedy)
      yield* requests(at.backup.frontend)
      yield* backup.waitForLine(remedy)
      yield* heartbeats.more(6)
      assert.strictEqual(backup.lines.filter((line) => remedy.test(line)).length, 1)
    }))

  it.scopedLive("F1 a paired backup that rejects votes logs no such warning", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup } = yield* startPair(at, steadyHeartbeatMillis)
      yield* requests(at.backup.frontend)
      const heartbeats = yield* publications(at.backup.state)
      yield* heartbeats.more(6)
      assertNoLine(backup, remedy)
    }))
})
