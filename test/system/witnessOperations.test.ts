import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import type { Finding } from "../../src/status/Doctor.ts"
import type { NodeStatus } from "../../src/status/Status.ts"
import { etcdIsMissing, startEtcd } from "../support/etcd.ts"
import { kill } from "../support/pair.ts"
import { bstar, freeAddresses, freeEndpoints, other, type Role, serverArgs, startLine } from "../support/processes.ts"
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

/** Repeats a command until its output is as expected. */
const until = (holds: (ended: Ended) => boolean, ...args: ReadonlyArray<string>) =>
  Effect.repeat(operate(...args), { until: holds, schedule: Schedule.spaced("100 millis") }).pipe(
    Effect.zipRight(operate(...args)),
    Effect.timeout("60 seconds")
  )

interface StatusJson {
  readonly health: string
  readonly servers: ReadonlyArray<{ readonly status: NodeStatus | null }>
  readonly findings: ReadonlyArray<Finding>
}

const jsonOf = ({ stdout }: Ended): StatusJson => JSON.parse(stdout)

const checksOf = (ended: Ended) => jsonOf(ended).findings.map(({ check, severity }) => `${severity} ${check}`)

describe.skipIf(etcdIsMissing !== undefined)("operating a pair with a witness", () => {
  it.scopedLive(
    "status, doctor, history and promote, while the witness answers and while it does not",
    () =>
      Effect.gen(function*() {
        const engine = yield* startEtcd()
        const at = yield* freeEndpoints
        const http = yield* freeAddresses
        const start = (role: Role) =>
          Effect.tap(
            bstar([
              ...serverArgs(role, at, `${safeHeartbeatMillis} millis`),
              ...["--witness", `etcd://127.0.0.1:${engine.port}/orders`],
              ...["--http", http[role], "--peer-http", http[other(role)]]
            ], { BSTAR_HTTP_TOKEN: token }),
            (server) => server.waitForLine(startLine[role])
          )
        const both = ["--http", http.primary, "--http", http.backup]
        const backup = yield* start("backup")
        const primary = yield* start("primary")

        const healthy = yield* until(({ code, stdout }) => code === 0 && / 1\.0, /.test(stdout), "status", ...both)
        assert.match(healthy.stdout, /\nterm +1\.0, token 65536 +-\n/)
        assert.match(healthy.stdout, /\nwitness +answered \S+ m?s ago +answered \S+ m?s ago\n/)
        assert.match(healthy.stdout, /\nrights +\S.* m?s.* none/)
        assert.match(healthy.stdout, /\nprimary: witness etcd:\/\/127\.0\.0\.1:\d+\/orders: term 1\.0 of the primary\n/)
        assert.match((yield* operate("history", ...both)).stdout, /PRIMARY +ACTIVE +1\.0 +RightGained/)
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
        yield* start("backup")
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
})
