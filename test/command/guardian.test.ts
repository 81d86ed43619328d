import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import type { GuardianEvent, GuardianRequest, Probe } from "../../src/command/guardian.ts"
import { machineMillis, mayRun } from "../../src/command/ProcessGroup.ts"
import { freeEndpoints } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"

const program = path.resolve(import.meta.dirname, "../../dist/command/guardian.js")

/** A guardian and its events. Killed when the scope closes. */
const makeGuardian = Effect.gen(function*() {
  const guardian = yield* Effect.acquireRelease(
    Effect.sync(() => fork(program, { stdio: ["ignore", "inherit", "pipe", "ipc"] })),
    (guardian) =>
      Effect.sync(() => {
        guardian.kill("SIGCONT")
        guardian.kill("SIGKILL")
      })
  )
  const exited = once(guardian, "exit")
  const events: Array<GuardianEvent> = []
  guardian.on("message", (event: GuardianEvent) => events.push(event))
  const reported = <Tag extends GuardianEvent["_tag"]>(tag: Tag) =>
    Effect.sync(() =>
      events.find((event): event is Extract<GuardianEvent, { readonly _tag: Tag }> => event._tag === tag)
    )
      .pipe(
        Effect.filterOrFail((event) => event !== undefined),
        Effect.retry(Schedule.spaced("1 millis")),
        Effect.orDie
      )
  // Its first event takes as long as the process needs to start, which must not shorten the leases of the tests.
  guardian.send({ _tag: "Start", command: "true", args: [], env: {}, graceMillis: 0, until: 0 })
  yield* reported("Ended")
  events.length = 0
  return {
    guardian,
    events,
    send: (request: GuardianRequest) => Effect.sync(() => guardian.send(request)),
    exited: Effect.promise(() => exited),
    ended: reported("Ended"),
    /** Starts a command with a lease. Returns its process id. */
    start: (leaseMillis: number, script: string, graceMillis = 10_000, probe?: Probe) =>
      Effect.gen(function*() {
        const request: GuardianRequest = {
          _tag: "Start",
          command: "sh",
          args: ["-c", script],
          env: {},
          graceMillis,
          until: machineMillis() + leaseMillis,
          probe
        }
        guardian.send(request)
        return (yield* reported("Started")).pid
      })
  }
})

/** An address without a listener. */
const freeAddress = Effect.map(freeEndpoints, ({ primary }) => {
  const { hostname: host, port } = new URL(primary.state)
  return { host, port: Number(port) }
})

const listenAt = (address: { readonly host: string; readonly port: number }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = net.createServer((socket) => socket.destroy()).listen(address)
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

/** What it has written to standard error until its end. */
const stderrOf = (guardian: ChildProcess) =>
  Effect.promise(async () => {
    guardian.disconnect()
    return (await guardian.stderr!.setEncoding("utf8").toArray()).join("")
  })

const long = 60_000
const groupEnded = (group: number) => eventually(Effect.sync(() => !mayRun(group)))

describe("the guardian of a command", () => {
  it.scopedLive("reports how the command ended", () =>
    Effect.gen(function*() {
      const { ended, start } = yield* makeGuardian
      yield* start(long, "exit 3")
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: 3, signal: null, lapsed: false })
    }))

  it.scopedLive("kills the command when the controlling process has died", () =>
    Effect.gen(function*() {
      const { exited, guardian, start } = yield* makeGuardian
      const group = yield* start(long, "trap '' TERM; sleep 100 & sleep 100")
      guardian.disconnect()
      yield* exited
      yield* groupEnded(group)
    }))

  it.scopedLive("kills the command when its lease expires, not while it is renewed", () =>
    Effect.gen(function*() {
      const { ended, start, send } = yield* makeGuardian
      const group = yield* start(500, "trap '' TERM; sleep 100 & wait")
      const until = machineMillis() + 1500
      yield* send({ _tag: "Renew", until })
      const report = yield* ended
      assert.isAtLeast(machineMillis(), until)
      assert.deepStrictEqual(report, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
      assert.isFalse(mayRun(group))
    }))

  it.scopedLive("after a stall, kills the command before it processes a pending renewal", () =>
    Effect.gen(function*() {
      const { ended, guardian, start, send } = yield* makeGuardian
      yield* start(300, "sleep 100")
      guardian.kill("SIGSTOP")
      yield* Effect.sleep("400 millis")
      yield* send({ _tag: "Renew", until: machineMillis() + long })
      guardian.kill("SIGCONT")
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("does not start a command whose lease has expired", () =>
    Effect.gen(function*() {
      const { ended, events, send } = yield* makeGuardian
      const until = machineMillis() - 1
      yield* send({ _tag: "Start", command: "true", args: [], env: {}, graceMillis: 0, until })
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: null, lapsed: true })
      assert.strictEqual(events.length, 1)
    }))

  it.scopedLive("F23 keeps the command beyond its lease while the peer's port refuses connections, no longer", () =>
    Effect.gen(function*() {
      const { ended, guardian, events, start } = yield* makeGuardian
      const peer = yield* freeAddress
      yield* start(300, "sleep 100", 0, { address: peer, leaseMillis: 300 })
      yield* Effect.sleep("1 second")
      guardian.kill("SIGSTOP")
      yield* Effect.sleep("1 second")
      guardian.kill("SIGCONT")
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Started"])
      yield* listenAt(peer)
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("F23 kills the command if the peer's port is open, or the refusal is no evidence", () =>
    Effect.gen(function*() {
      const peer = yield* freeAddress
      yield* listenAt(peer)
      for (const address of [peer, { path: "/nowhere/at/all" }, { host: "no-such-host.invalid", port: 1 }]) {
        const { ended, start } = yield* makeGuardian
        const began = machineMillis()
        yield* start(600, "sleep 100", 0, { address, leaseMillis: 600 })
        assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
        assert.isAtLeast(machineMillis() - began, 600)
      }
    }))

  it.scopedLive("F23 does not probe a peer that sends heartbeats", () =>
    Effect.gen(function*() {
      const { ended, start, send } = yield* makeGuardian
      yield* start(500, "sleep 100", 0, { address: yield* freeAddress, leaseMillis: 500 })
      yield* send({ _tag: "Renew", until: machineMillis() + 600 })
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("F15 is not ended by signals to all processes of a service", () =>
    Effect.gen(function*() {
      const { ended, guardian, start, send } = yield* makeGuardian
      yield* start(long, "trap 'exit 5' TERM; while true; do sleep 0.01; done")
      for (
        const signal of [
          ...["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGALRM"] as const,
          ...["SIGXCPU", "SIGPWR", "SIGUSR1", "SIGUSR2"] as const
        ]
      ) {
        guardian.kill(signal)
      }
      yield* send({ _tag: "Stop" })
      assert.deepInclude(yield* ended, { _tag: "Ended", lapsed: false })
      // Nor do they open a debugger.
      assert.notInclude(yield* stderrOf(guardian), "Debugger")
    }))

  it.scopedLive("resumes a stopped command so that it can end", () =>
    Effect.gen(function*() {
      const { ended, start, send } = yield* makeGuardian
      const group = yield* start(long, "trap 'exit 5' TERM; while true; do sleep 0.01; done")
      process.kill(-group, "SIGSTOP")
      yield* send({ _tag: "Stop" })
      assert.deepInclude(yield* ended, { _tag: "Ended", lapsed: false })
    }))

  it.scopedLive("kills the remains of a command, not the next one", () =>
    Effect.gen(function*() {
      const { ended, events, start } = yield* makeGuardian
      yield* start(long, "true", 200)
      yield* ended
      events.length = 0
      yield* start(long, "sleep 0.5; exit 6", 200)
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: 6, signal: null, lapsed: false })
    }))
})
