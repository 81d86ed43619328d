import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import type { Role } from "../support/processes.ts"
import {
  bstar,
  foreignPeer,
  freeEndpoints,
  other,
  publications,
  roles,
  serverArgs,
  startLine
} from "../support/processes.ts"
import { assertNoLine, kill, readyAsActive, readyAsPassive, requests, stalled, start, within } from "./hardenedPair.ts"

const addressOf = (endpoint: string) => endpoint.slice("tcp://".length)

/** An address for a status server. */
const freeAddress = Effect.map(freeEndpoints, ({ primary }) => addressOf(primary.frontend))

/** Runs a command of the operator, and gives its exit code and output. */
const operate = (args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* bstar(args, { BSTAR_HTTP_TOKEN: "token" })
    const { code } = yield* command.exit
    return { code, text: command.stdout() + command.stderr() }
  }))

describe("F5 classic: a server that must end does not take its peer with it", () => {
  const classic = (role: Role, at: Parameters<typeof serverArgs>[1]) =>
    Effect.tap(
      bstar([...serverArgs(role, at, "1 second"), "--policy", "classic"]),
      (server) => server.waitForLine(startLine[role])
    )
  const dualActives = "E: fatal error - dual actives, aborting"

  for (const role of roles) {
    it.scopedLive(`F5 an active ${role} paused for 3 s, while a foreign peer took over: ends, and publishes no stale ACTIVE`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* classic(role, at)
        yield* peer.listened
        const active = yield* Effect.fork(peer.hear("3"))
        if (role === "primary") {
          yield* peer.say("2")
        } else {
          yield* peer.say("3")
          yield* server.waitForLine(readyAsPassive)
          yield* peer.say("1")
        }
        yield* Fiber.join(active)
        yield* server.kill("SIGSTOP")
        const heartbeats = yield* Effect.fork(Effect.repeat(peer.say("4"), Schedule.spaced("500 millis")))
        yield* Effect.sleep("2 seconds")
        yield* Fiber.interrupt(heartbeats)
        yield* peer.say("3")
        yield* Effect.sleep("1 second")
        const { length } = peer.heard.entries
        yield* server.kill("SIGCONT")
        yield* server.waitForLine(dualActives)
        yield* server.exit
        assert.notInclude(peer.heard.entries.slice(length).map(({ frames }) => String(frames[0])), "3")
      }))
  }

  for (const round of [1, 2, 3]) {
    it.scopedLive(`F5 an active primary paused for 3 s, while its classic backup took over: only the primary ends (${round})`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const backup = yield* classic("backup", at)
        const primary = yield* classic("primary", at)
        yield* Effect.all([primary.waitForLine(readyAsActive), backup.waitForLine(readyAsPassive)])
        yield* primary.kill("SIGSTOP")
        const replies = yield* requests(at.backup.frontend)
        yield* backup.waitForLine(readyAsActive)
        yield* replies.find(() => true)
        // It stands still for 3 s in all, of which the takeover took at least two.
        yield* Effect.sleep("1 second")
        yield* primary.kill("SIGCONT")
        yield* primary.waitForLine(dualActives)
        yield* primary.exit
        const heartbeats = yield* publications(at.backup.state)
        yield* within(4000, "the backup goes on")(heartbeats.more(2))
        yield* within(2000, "the backup answers")(replies.more(10))
        assertNoLine(backup, /dual actives/)
      }))
  }
})

describe("F6 a peer that stays active though it must not", () => {
  it.scopedLive("F6 the active primary logs one error a burst, and bstar status exits 3", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddress
      const peer = yield* foreignPeer("backup", at)
      const primary = yield* start("primary", at, 400, "--http", http)
      yield* peer.listened
      yield* peer.say("2")
      yield* primary.waitForLine(readyAsActive)
      const heartbeats = yield* Effect.fork(Effect.repeat(peer.say("3"), Schedule.spaced("100 millis")))
      const error = /^E: .*active/i
      yield* primary.waitForLine(error)
      yield* peer.heard.more(6)
      const status = yield* operate(["status", "--http", http])
      assert.strictEqual(status.code, 3, status.text)
      assert.strictEqual(primary.lines.filter((line) => error.test(line)).length, 1)

      // It goes on to be active: an error is no end.
      const replies = yield* requests(at.primary.frontend)
      yield* replies.more(5)

      // When the peer has become passive there are no longer two.
      yield* Fiber.interrupt(heartbeats)
      yield* Effect.forkScoped(Effect.repeat(peer.say("4"), Schedule.spaced("100 millis")))
      yield* operate(["status", "--http", http]).pipe(
        Effect.repeat({ until: ({ code }) => code !== 3, schedule: Schedule.spaced("100 millis") }),
        within(10_000, "bstar status no longer exits 3")
      )
    }))

  it.scopedLive("F6 two servers that are active for a moment, and heal, are no error of a backup that steps down", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("primary", at)
      const backup = yield* start("backup", at, 400)
      yield* peer.listened
      yield* peer.say("3")
      yield* backup.waitForLine(readyAsPassive)
      const replies = yield* requests(at.backup.frontend)
      yield* replies.find(() => true)
      const active = backup.lines.length
      yield* peer.say("3")
      yield* backup.waitForLine(readyAsPassive, active)
      assertNoLine(backup, /^E: /)
    }))
})

describe("F21 paused means paused, in every state", () => {
  const heartbeatMillis = 400

  const startPaused = (role: Role) =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddress
      const server = yield* Effect.tap(
        bstar(
          [...serverArgs(role, at, `${heartbeatMillis} millis`), "--policy", "hardened", "--http", http],
          { BSTAR_HTTP_TOKEN: "token" }
        ),
        (server) => server.waitForLine(startLine[role])
      )
      return { at, http, server }
    })

  /** The other server is not known, which the command reports as an error after it has paused this one. */
  const pause = (http: string) =>
    Effect.map(
      operate(["pause", "--http", http, "--reason", "maintenance"]),
      ({ text }) => assert.include(text, "paused")
    )

  /** Nothing is answered for ten heartbeats, and the server still publishes that it is not active. */
  const staysPaused = (at: Parameters<typeof serverArgs>[1], role: Role, own: string) =>
    Effect.gen(function*() {
      const replies = yield* requests(at[role].frontend)
      const heartbeats = yield* publications(at[role].state)
      const published = yield* heartbeats.more(10)
      assert.strictEqual(replies.entries.length, 0)
      assert.deepStrictEqual(published.map(({ frames }) => String(frames[0])), published.map(() => own))
      return replies
    })

  it.scopedLive("F21 a lone primary that has just started: not answered, and answered once it is resumed", () =>
    Effect.gen(function*() {
      const { at, http, server } = yield* startPaused("primary")
      yield* pause(http)
      const replies = yield* staysPaused(at, "primary", "1")
      assertNoLine(server, readyAsActive)
      yield* operate(["resume", "--http", http])
      yield* within(10_000, "an answer")(replies.find(() => true))
    }))

  it.scopedLive("F21 a lone primary that was active and has just stalled: not answered", () =>
    Effect.gen(function*() {
      const { at, http, server } = yield* startPaused("primary")
      yield* Effect.scoped(Effect.flatMap(requests(at.primary.frontend), (replies) => replies.find(() => true)))
      yield* server.kill("SIGSTOP")
      yield* Effect.sleep(4 * heartbeatMillis)
      const { length } = server.lines
      yield* server.kill("SIGCONT")
      yield* server.waitForLine(stalled, length)
      yield* pause(http)
      yield* staysPaused(at, "primary", "1")
      assert.deepStrictEqual(server.lines.slice(length).filter((line) => readyAsActive.test(line)), [])
    }))

  for (const silence of ["is killed", "is stopped"] as const) {
    it.scopedLive(`F21 a passive backup that is paused, whose primary ${silence}: not answered`, () =>
      Effect.gen(function*() {
        const { at, http, server } = yield* startPaused("backup")
        const primary = yield* start("primary", at, heartbeatMillis)
        yield* server.waitForLine(readyAsPassive)
        yield* pause(http)
        yield* silence === "is killed" ? kill(primary) : primary.kill("SIGSTOP")
        yield* staysPaused(at, "backup", "4")
        assertNoLine(server, readyAsActive)
      }))
  }
})
