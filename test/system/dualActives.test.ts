import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import {
  assertNoLine,
  kill,
  readyAsActive,
  readyAsPassive,
  requests,
  stalled,
  start,
  untilAnswered
} from "../support/pair.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { bstar, foreignPeer, freeAddresses, freeEndpoints, other, publications, roles } from "../support/processes.ts"
import { steadyHeartbeatMillis } from "../support/times.ts"

/** An address for a status server. */
const freeAddress = Effect.map(freeAddresses, ({ primary }) => primary)

const env = { BSTAR_HTTP_TOKEN: "token" }

/** Runs an operator's command. Returns its exit code and output. */
const operate = (args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* bstar(args, env)
    const { code } = yield* command.exit
    return { code, text: command.stdout() + command.stderr() }
  }))

describe("F5 classic: a server that ends by dual actives leaves its peer running", () => {
  const classic = (role: Role, at: Endpoints) => start(role, at, 1000, { policy: "classic" })
  const dualActives = "E: fatal error - dual actives, aborting"

  for (const role of roles) {
    it.scopedLive(`F5 an active ${role} is paused for 3 s, and a foreign peer takes over: it ends, and publishes no stale ACTIVE`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const peer = yield* foreignPeer(other(role), at)
        const server = yield* classic(role, at)
        yield* peer.subscribed
        if (role === "primary") {
          yield* peer.publishUntil("2", server.waitForLine(readyAsActive))
        } else {
          yield* peer.publishUntil("3", server.waitForLine(readyAsPassive))
          yield* peer.publishUntil("1", server.waitForLine(readyAsActive))
        }
        // The middle of a period: no heartbeat is on its way when the server stops.
        yield* peer.received.more(1)
        yield* Effect.sleep("400 millis")
        yield* server.kill("SIGSTOP")
        yield* peer.publishUntil("4", Effect.sleep("2 seconds"))
        yield* peer.publish("3")
        yield* Effect.sleep("1 second")
        const { length } = peer.received.entries
        yield* server.kill("SIGCONT")
        yield* server.waitForLine(dualActives)
        yield* server.exit
        assert.notInclude(peer.received.entries.slice(length).map(({ frames }) => String(frames[0])), "3")
      }))
  }

  for (const round of [1, 2, 3]) {
    it.scopedLive(`F5 an active classic primary is paused for 3 s, and its backup takes over: only the primary ends (${round})`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const backup = yield* classic("backup", at)
        const primary = yield* classic("primary", at)
        yield* Effect.all([primary.waitForLine(readyAsActive), backup.waitForLine(readyAsPassive)])
        yield* primary.kill("SIGSTOP")
        const replies = yield* requests(at.backup.frontend)
        yield* backup.waitForLine(readyAsActive)
        yield* replies.find(() => true)
        // The takeover took at least two of the three seconds.
        yield* Effect.sleep("1 second")
        yield* primary.kill("SIGCONT")
        yield* primary.waitForLine(dualActives)
        yield* primary.exit
        const heartbeats = yield* publications(at.backup.state)
        yield* heartbeats.more(2)
        yield* replies.more(10)
        assertNoLine(backup, /dual actives/)
      }))
  }
})

describe("F6 dual actives with a foreign peer", () => {
  it.scopedLive("F6 a peer that stays active: the active primary logs one error a burst, and bstar status exits with 3", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddress
      const peer = yield* foreignPeer("backup", at)
      const primary = yield* start("primary", at, steadyHeartbeatMillis, { args: ["--http", http] })
      yield* peer.subscribed
      yield* peer.publishUntil("2", primary.waitForLine(readyAsActive))
      const heartbeats = yield* Effect.fork(peer.heartbeats("3"))
      const error = /^E: .*active/i
      yield* primary.waitForLine(error)
      yield* peer.received.more(6)
      const status = yield* operate(["status", "--http", http])
      assert.strictEqual(status.code, 3, status.text)
      assert.strictEqual(primary.lines.filter((line) => error.test(line)).length, 1)

      // The server stays active.
      const replies = yield* requests(at.primary.frontend)
      yield* replies.more(5)

      // The peer becomes passive: there is one active server again.
      yield* Fiber.interrupt(heartbeats)
      yield* Effect.forkScoped(peer.heartbeats("4"))
      yield* operate(["status", "--http", http]).pipe(
        Effect.repeat({ until: ({ code }) => code !== 3, schedule: Schedule.spaced("100 millis") })
      )
    }))

  it.scopedLive("F6 a backup that becomes passive after short dual actives logs no error", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const peer = yield* foreignPeer("primary", at)
      const backup = yield* start("backup", at, steadyHeartbeatMillis)
      yield* peer.subscribed
      yield* peer.publishUntil("3", backup.waitForLine(readyAsPassive))
      const replies = yield* requests(at.backup.frontend)
      yield* replies.find(() => true)
      const active = backup.lines.length
      yield* peer.publishUntil("3", backup.waitForLine(readyAsPassive, active))
      assertNoLine(backup, /^E: /)
    }))
})

describe("F21 a paused server", () => {
  const startPaused = (role: Role) =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const http = yield* freeAddress
      const server = yield* start(role, at, steadyHeartbeatMillis, { args: ["--http", http], env })
      return { at, http, server }
    })

  /** Without a process of its own, so that the server is paused before its peer timeout on a busy machine, too. */
  const pause = (http: string) =>
    Effect.promise(async () => {
      const response = await fetch(`http://${http}/pause`, {
        method: "POST",
        headers: { authorization: `Bearer ${env.BSTAR_HTTP_TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify({ reason: "maintenance" })
      })
      assert.include(await response.text(), "paused")
    })

  /** The server answers nothing for ten heartbeats, and still publishes that it is not active. */
  const staysPaused = (at: Endpoints, role: Role, own: string) =>
    Effect.gen(function*() {
      const replies = yield* requests(at[role].frontend)
      const heartbeats = yield* publications(at[role].state)
      const published = yield* heartbeats.more(10)
      assert.strictEqual(replies.entries.length, 0)
      assert.deepStrictEqual(published.map(({ frames }) => String(frames[0])), published.map(() => own))
      return replies
    })

  it.scopedLive("F21 a lone primary that has just started: it does not answer until it is resumed", () =>
    Effect.gen(function*() {
      const { at, http, server } = yield* startPaused("primary")
      yield* pause(http)
      const replies = yield* staysPaused(at, "primary", "1")
      assertNoLine(server, readyAsActive)
      yield* operate(["resume", "--http", http])
      yield* replies.find(() => true)
    }))

  it.scopedLive("F21 a lone primary that was active and has just stalled: it does not answer", () =>
    Effect.gen(function*() {
      const { at, http, server } = yield* startPaused("primary")
      yield* untilAnswered(at.primary.frontend)
      yield* server.kill("SIGSTOP")
      yield* Effect.sleep(4 * steadyHeartbeatMillis)
      const { length } = server.lines
      yield* server.kill("SIGCONT")
      yield* server.waitForLine(stalled, length)
      yield* pause(http)
      yield* staysPaused(at, "primary", "1")
      assert.deepStrictEqual(server.lines.slice(length).filter((line) => readyAsActive.test(line)), [])
    }))

  for (const silence of ["is killed", "is stopped"] as const) {
    it.scopedLive(`F21 a passive backup whose primary ${silence}: it does not answer`, () =>
      Effect.gen(function*() {
        const { at, http, server } = yield* startPaused("backup")
        const primary = yield* start("primary", at, steadyHeartbeatMillis)
        yield* server.waitForLine(readyAsPassive)
        yield* pause(http)
        yield* silence === "is killed" ? kill(primary) : primary.kill("SIGSTOP")
        yield* staysPaused(at, "backup", "4")
        assertNoLine(server, readyAsActive)
      }))
  }
})
