import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { ChildProcess } from "node:child_process"
import { fork } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import * as path from "node:path"
import type { Absence, Order, Report } from "../../src/command/guardian.ts"
import { machineMillis, mayRun } from "../../src/command/ProcessGroup.ts"
import { freeEndpoints } from "../support/processes.ts"
import { eventually } from "../support/sockets.ts"

const program = path.resolve(import.meta.dirname, "../../dist/command/guardian.js")

/** A guardian, and what it reports. It is killed with the scope. */
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
  const reports: Array<Report> = []
  guardian.on("message", (report: Report) => reports.push(report))
  const reported = <Tag extends Report["_tag"]>(tag: Tag) =>
    Effect.sync(() => reports.find((report): report is Extract<Report, { readonly _tag: Tag }> => report._tag === tag))
      .pipe(
        Effect.filterOrFail((report) => report !== undefined),
        Effect.retry(Schedule.spaced("1 millis")),
        Effect.orDie
      )
  return {
    guardian,
    reports,
    tell: (order: Order) => Effect.sync(() => guardian.send(order)),
    exited: Effect.promise(() => exited),
    ended: reported("Ended"),
    /** Starts a command with a lease of so long, and gives its process. */
    start: (leaseMillis: number, script: string, graceMillis = 10_000, absence?: Absence) =>
      Effect.gen(function*() {
        const order: Order = {
          _tag: "Start",
          command: "sh",
          args: ["-c", script],
          env: {},
          graceMillis,
          until: machineMillis() + leaseMillis,
          absence
        }
        guardian.send(order)
        return (yield* reported("Started")).pid
      })
  }
})

/** An address at which nobody listens. */
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
const gone = (group: number) => eventually(Effect.sync(() => !mayRun(group)))

describe("the guardian of a command", () => {
  it.scopedLive("says how the command has ended", () =>
    Effect.gen(function*() {
      const { ended, start } = yield* makeGuardian
      yield* start(long, "exit 3")
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: 3, signal: null, lapsed: false })
    }))

  it.scopedLive("kills the command when nobody is there to give orders", () =>
    Effect.gen(function*() {
      const { exited, guardian, start } = yield* makeGuardian
      const group = yield* start(long, "trap '' TERM; sleep 100 & sleep 100")
      guardian.disconnect()
      yield* exited
      yield* gone(group)
    }))

  it.scopedLive("kills the command when its lease has run out, and not while it is renewed", () =>
    Effect.gen(function*() {
      const { ended, start, tell } = yield* makeGuardian
      const group = yield* start(500, "trap '' TERM; sleep 100 & wait")
      const until = machineMillis() + 1500
      yield* tell({ _tag: "Renew", until })
      const report = yield* ended
      assert.isAtLeast(machineMillis(), until)
      assert.deepStrictEqual(report, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
      assert.isFalse(mayRun(group))
    }))

  it.scopedLive("that stood still itself kills first, and listens to what has waited after that", () =>
    Effect.gen(function*() {
      const { ended, guardian, start, tell } = yield* makeGuardian
      yield* start(300, "sleep 100")
      guardian.kill("SIGSTOP")
      yield* Effect.sleep("400 millis")
      yield* tell({ _tag: "Renew", until: machineMillis() + long })
      guardian.kill("SIGCONT")
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("starts nothing whose lease has run out on the way", () =>
    Effect.gen(function*() {
      const { ended, reports, tell } = yield* makeGuardian
      const until = machineMillis() - 1
      yield* tell({ _tag: "Start", command: "true", args: [], env: {}, graceMillis: 0, until })
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: null, lapsed: true })
      assert.strictEqual(reports.length, 1)
    }))

  it.scopedLive("F23 lets the command run beyond its lease while nobody listens at the peer's port, and no longer", () =>
    Effect.gen(function*() {
      const { ended, guardian, reports, start } = yield* makeGuardian
      const peer = yield* freeAddress
      yield* start(300, "sleep 100", 0, { address: peer, leaseMillis: 300 })
      yield* Effect.sleep("1 second")
      guardian.kill("SIGSTOP")
      yield* Effect.sleep("1 second")
      guardian.kill("SIGCONT")
      yield* Effect.sleep("500 millis")
      assert.deepStrictEqual(reports.map(({ _tag }) => _tag), ["Started"])
      yield* listenAt(peer)
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("F23 is strict where somebody listens at the peer's port, or the refusal proves nothing", () =>
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

  it.scopedLive("F23 probes no peer that is known to be there", () =>
    Effect.gen(function*() {
      const { ended, start, tell } = yield* makeGuardian
      yield* start(500, "sleep 100", 0, { address: yield* freeAddress, leaseMillis: 500 })
      yield* tell({ _tag: "Renew", until: machineMillis() + 600 })
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: null, signal: "SIGKILL", lapsed: true })
    }))

  it.scopedLive("F15 signals to all processes of a service do not end it", () =>
    Effect.gen(function*() {
      const { ended, guardian, start, tell } = yield* makeGuardian
      yield* start(long, "trap 'exit 5' TERM; while true; do sleep 0.01; done")
      for (
        const signal of [
          ...["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGALRM"] as const,
          ...["SIGXCPU", "SIGPWR", "SIGUSR1", "SIGUSR2"] as const
        ]
      ) {
        guardian.kill(signal)
      }
      yield* tell({ _tag: "Stop" })
      assert.deepInclude(yield* ended, { _tag: "Ended", lapsed: false })
      // Nor do they open a debugger.
      assert.notInclude(yield* stderrOf(guardian), "Debugger")
    }))

  it.scopedLive("wakes a command that stands still so that it can end", () =>
    Effect.gen(function*() {
      const { ended, start, tell } = yield* makeGuardian
      const group = yield* start(long, "trap 'exit 5' TERM; while true; do sleep 0.01; done")
      process.kill(-group, "SIGSTOP")
      yield* tell({ _tag: "Stop" })
      assert.deepInclude(yield* ended, { _tag: "Ended", lapsed: false })
    }))

  it.scopedLive("kills one command's remains and not the next command", () =>
    Effect.gen(function*() {
      const { ended, reports, start } = yield* makeGuardian
      yield* start(long, "true", 200)
      yield* ended
      reports.length = 0
      yield* start(long, "sleep 0.5; exit 6", 200)
      assert.deepStrictEqual(yield* ended, { _tag: "Ended", code: 6, signal: null, lapsed: false })
    }))
})
