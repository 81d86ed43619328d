import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { Finding } from "../../src/status/Doctor.ts"
import type { NodeStatus } from "../../src/status/Status.ts"
import { commandsIn, section } from "../support/documents.ts"
import type { Engine } from "../support/engine.ts"
import { etcdIsMissing, startEtcd } from "../support/etcd.ts"
import { kill } from "../support/pair.ts"
import { bstar, freeAddresses, freeEndpoints, other, type Role, serverArgs, startLine } from "../support/processes.ts"
import { makeShell } from "../support/shell.ts"
import { safeHeartbeatMillis } from "../support/times.ts"

const token = "the-token-of-this-test"

/** Runs an operator's command to its end. */
const operate = (...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* bstar(args, { BSTAR_HTTP_TOKEN: token })
    const { code } = yield* command.exit
    return { code, stdout: command.stdout(), stderr: command.stderr() }
  }))

type Ended = Effect.Effect.Success<ReturnType<typeof operate>>

/** Repeats a command until its output is as expected, and returns that. */
const until = (holds: (ended: Ended) => boolean, ...args: ReadonlyArray<string>) =>
  operate(...args).pipe(
    Effect.filterOrFail(holds, ({ stderr, stdout }) => new Error(`not so: ${stdout}${stderr}`)),
    Effect.retry(Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurUpTo("90 seconds")))
  )

interface StatusJson {
  readonly health: string
  readonly servers: ReadonlyArray<{ readonly status: NodeStatus | null }>
  readonly findings: ReadonlyArray<Finding>
}

const jsonOf = ({ stdout }: Ended): StatusJson => JSON.parse(stdout)

const checksOf = (ended: Ended) => jsonOf(ended).findings.map(({ check, severity }) => `${severity} ${check}`)

/** Addresses of a pair, and how its servers are started. */
const makePlace = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const http = yield* freeAddresses
  const start = (role: Role, engine: Engine) =>
    Effect.tap(
      bstar([
        ...serverArgs(role, at, `${safeHeartbeatMillis} millis`),
        ...["--witness", `etcd://127.0.0.1:${engine.port}/orders`],
        ...["--http", http[role], "--peer-http", http[other(role)]]
      ], { BSTAR_HTTP_TOKEN: token }),
      (server) => server.waitForLine(startLine[role])
    )
  return { http, start, both: ["--http", http.primary, "--http", http.backup] }
})

const statusesOf = (ended: Ended) => jsonOf(ended).servers.map(({ status }) => status)

/** Whether one server is active with a term that its witness has recorded, and the other one stands by. */
const isSettled = (ended: Ended): boolean =>
  (ended.code ?? 9) <= 1 && statusesOf(ended).some((status) =>
    status?.term != null && status.witness?.record?.term.token === status.term.token
  ) && statusesOf(ended).some((status) =>
    status?.state === "PASSIVE" && !status.peer.isExpired
  )

describe.skipIf(etcdIsMissing !== undefined)("operating a pair with a witness", () => {
  it.scopedLive(
    "status, doctor, history and promote, while the witness answers and while it does not",
    () =>
      Effect.gen(function*() {
        const engine = yield* startEtcd()
        const { both, http, start } = yield* makePlace
        const backup = yield* start("backup", engine)
        const primary = yield* start("primary", engine)

        const healthy = yield* until(
          ({ code, stdout }) => code === 0 && / \d+\.\d+, token/.test(stdout),
          "status",
          ...both
        )
        assert.match(healthy.stdout, /\nterm +\d+\.\d+, token \d+ +-\n/)
        assert.match(healthy.stdout, /\nwitness +answered \S+ m?s ago +answered \S+ m?s ago\n/)
        assert.match(healthy.stdout, /\nrights +\S.* m?s.* none/)
        assert.match(
          healthy.stdout,
          /\nprimary: witness etcd:\/\/127\.0\.0\.1:\d+\/orders: term \d+\.\d+ of the primary\n/
        )
        assert.match((yield* operate("history", ...both)).stdout, /PRIMARY +ACTIVE +\d+\.\d+ +RightGained/)
        assert.deepStrictEqual(checksOf(yield* operate("doctor", "--json", ...both)), [])

        // A healthy pair goes on without the witness.
        yield* engine.pause
        const warned = yield* until(({ stdout }) => /2 warnings/.test(stdout), "status", ...both)
        assert.strictEqual(warned.code, 0)
        assert.match(warned.stdout, /\nhealthy: primary is active, backup stands by; 2 warnings, see bstar doctor\n/)
        const doctor = yield* operate("doctor", ...both)
        assert.strictEqual(doctor.code, 1)
        assert.match(
          doctor.stdout,
          /warning +primary: the witness at etcd:.* does not answer .* the pair goes on without it/
        )

        // A lone member that has just started is a minority.
        yield* kill(primary)
        yield* kill(backup)
        yield* start("backup", engine)
        const alone = ["--http", http.backup]
        const minority = yield* until(
          (ended) => checksOf(ended).includes("error witness"),
          "status",
          "--json",
          ...both
        )
        assert.strictEqual(minority.code, 2)
        const rejected = yield* operate("promote", ...alone, "--reason", "power failure")
        assert.strictEqual(rejected.code, 1)
        assert.match(
          rejected.stderr,
          /^E: \S+ not promoted: neither the witness nor the peer gives the right to serve: start one of them; .*--without-witness\n$/
        )
        const promoted = yield* operate("promote", ...alone, "--reason", "power failure", "--without-witness")
        assert.strictEqual(promoted.code, 0)
        assert.match(
          promoted.stdout,
          /^\S+ you answer for the witness and the other server: .* If that is wrong, both serve\n\S+ this server is active\n$/
        )
        assert.match((yield* operate("history", ...alone)).stdout, /ACTIVE +- +RightGained.*because: power failure/)
        const byWord = yield* operate("status", "--json", ...both)
        assert.deepInclude(jsonOf(byWord).servers[1]!.status!.witness!.rights, { of: "operator", leftMillis: null })

        // The first answer of the witness ends the operator's right, and the term gets a number.
        yield* engine.resume
        const recorded = yield* until(
          (ended) => jsonOf(ended).servers[1]?.status?.term != null,
          "status",
          "--json",
          ...both
        )
        assert.isAbove(jsonOf(recorded).servers[1]!.status!.term!.token, 65_536)
        assert.notInclude(jsonOf(recorded).servers[1]!.status!.witness!.rights.map((right) => right.of), "operator")
      }),
    180_000
  )

  it.scopedLive(
    "a switchover and a planned stop are reported as what they are, on both sides",
    () =>
      Effect.gen(function*() {
        const engine = yield* startEtcd()
        const { both, http, start } = yield* makePlace
        const backup = yield* start("backup", engine)
        const primary = yield* start("primary", engine)
        /** The active server has the promise of the other one, which therefore follows its term. */
        const untilFollowed = (active: 0 | 1) =>
          until(
            (ended) => statusesOf(ended)[active]?.witness?.rights.some((right) => right.of === "peer") === true,
            "status",
            "--json",
            ...both
          )

        yield* untilFollowed(0)
        const switchover = yield* operate("switchover", "--http", http.primary, "--reason", "new kernel")
        assert.strictEqual(switchover.code, 0, switchover.stderr)
        yield* backup.waitForLine(/^I: took over by switchover: new kernel, ready as active/)
        yield* primary.waitForLine(/^I: backup took over by switchover: new kernel, ready as passive/)

        yield* untilFollowed(1)
        yield* backup.kill("SIGTERM")
        yield* primary.waitForLine(/^I: backup has handed over, ready as active \(handed over by the peer\)/)
        yield* backup.waitForLine("I: stopped cleanly")
        yield* backup.exit
        const { stdout } = yield* operate("history", "--http", http.primary)
        assert.match(stdout, /HANDING_OVER +PASSIVE .*backup took over by switchover: new kernel, ready as passive/)
        assert.match(stdout, /PASSIVE +ACTIVE .*backup has handed over, ready as active/)
        const metrics = yield* Effect.promise(() =>
          fetch(`http://${http.primary}/metrics`).then((response) => response.text())
        )
        assert.match(metrics, /^bstar_failovers_total(\{.*\})? 0$/m)
        assert.deepStrictEqual([...primary.lines, ...backup.lines].filter((line) => line.includes("failover")), [])
      }),
    180_000
  )

  it.scopedLive(
    "another engine: by the steps in the runbook the pair moves to it, and its terms go on",
    () =>
      Effect.gen(function*() {
        const [before, after] = [yield* startEtcd(), yield* startEtcd()]
        const { both, http, start } = yield* makePlace
        const [pause, switchover, resume] = commandsIn(
          section("src/docs/operate/witness-runbook.md", "Another engine for the witness")
        )
        const shell = yield* makeShell({ BSTAR_HTTP_TOKEN: token })
        const succeed = (command: string | undefined) => shell.untilSuccess(command!.replace(" H", ` ${http.backup}`))
        const stop = (server: Effect.Effect.Success<ReturnType<typeof start>>) =>
          Effect.zipRight(server.kill("SIGTERM"), server.exit)
        const backup = yield* start("backup", before)
        const primary = yield* start("primary", before)
        const old = yield* until(isSettled, "status", "--json", ...both)
        const oldToken = statusesOf(old)[0]!.term!.token

        yield* stop(backup)
        yield* start("backup", after)
        yield* succeed(pause)
        yield* succeed(switchover)
        const moved = yield* until(
          (ended) => statusesOf(ended)[1]?.term != null && statusesOf(ended)[1]?.witness?.record?.holder === "backup",
          "status",
          "--json",
          ...both
        )
        assert.isAbove(statusesOf(moved)[1]!.term!.token, oldToken)

        yield* stop(primary)
        yield* start("primary", after)
        yield* succeed(resume)
        const whole = yield* until((ended) => ended.code === 0 && isSettled(ended), "status", "--json", ...both)
        const [a, b] = statusesOf(whole)
        assert.strictEqual(a?.witness?.fingerprint, b?.witness?.fingerprint)
        assert.notStrictEqual(b?.witness?.fingerprint, statusesOf(old)[1]!.witness!.fingerprint)
        assert.isAtLeast(b!.witness!.record!.term.token, statusesOf(moved)[1]!.term!.token)
      }),
    180_000
  )
})
