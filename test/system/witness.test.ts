import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Engine } from "../support/engine.ts"
import { temporaryDirectory } from "../support/engine.ts"
import { enableAuthentication, etcdIsMissing, startEtcd } from "../support/etcd.ts"
import { kill, untilAnswered } from "../support/pair.ts"
import { owner, password, postgresIsMissing, startPostgres } from "../support/postgres.ts"
import { bstar, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"
import { safeHeartbeatMillis } from "../support/times.ts"

interface StatusJson {
  readonly witness: string
  readonly answers: boolean
  readonly latencyMillis: number | null
  readonly fingerprint: string | null
  readonly record: { readonly term: string; readonly holder: string; readonly token: number } | null
  readonly warnings: ReadonlyArray<string>
  readonly error: string | null
}

/** Runs a command to its end. */
const ended = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  Effect.gen(function*() {
    const process = yield* bstar(args, env)
    const { code } = yield* process.exit
    const [stdout, stderr] = [process.stdout(), process.stderr()]
    assert.notInclude(stdout + stderr, password)
    return { code, stdout, stderr }
  })

const statusOf = (url: string, env?: NodeJS.ProcessEnv) =>
  Effect.map(
    ended(["witness", "status", "--witness", url, "--json"], env),
    ({ code, stdout }) => ({ code, ...JSON.parse(stdout) as StatusJson })
  )

const invalid: ReadonlyArray<readonly [message: RegExp, ...args: ReadonlyArray<string>]> = [
  [/^E: policy: expected "witnessed" where there is a witness, got "hardened"\n$/, "-p", "--policy", "hardened"],
  [/^E: policy: expected "witnessed" where there is a witness, got "classic"\n$/, "proxy", "-p", "--policy", "classic"],
  [/^E: witness-cert: needs its key: --witness-key\n$/, "-p", "--witness-cert", "FILE"],
  [/^E: witness-key: needs its certificate: --witness-cert\n$/, "-p", "--witness-key", "FILE"],
  [/^E: witness-ca: cannot read \/nowhere: .*no such file/, "-p", "--witness-ca", "/nowhere"]
]

describe("the settings of a witness", () => {
  it.scopedLive("exit code 78: what is wrong is named", () =>
    Effect.gen(function*() {
      const url = "etcds://127.0.0.1:2379/orders"
      for (const [message, ...args] of invalid) {
        const { code, stderr } = yield* ended([...args, "--witness", url])
        assert.match(stderr, message)
        assert.strictEqual(code, 78)
      }
      const alone = yield* ended(["-b", "--policy", "witnessed", "--witness-ca", "FILE"])
      assert.strictEqual(
        alone.stderr,
        "E: policy: \"witnessed\" needs a witness: --witness URL\nE: witness-ca: is of no use without --witness\n"
      )
      const plain = yield* ended(["-p", "--witness", url.replace("etcds", "etcd"), "--witness-ca", "FILE"])
      assert.match(plain.stderr, /^E: witness-ca: needs TLS: a witness etcds:\/\/\.\.\.\n$/)
      const user = yield* ended(["-p", "--witness", url.replace("//", "//ann@")])
      assert.match(user.stderr, /^E: witness: the user ann needs a password: BSTAR_WITNESS_PASSWORD, or /)
      assert.strictEqual((yield* ended(["witness", "status"])).code, 78)
    }))

  it.scopedLive("a password in the URL is an error that does not repeat it", () =>
    Effect.gen(function*() {
      const secret = encodeURIComponent(password)
      const url = `postgres://ann:${secret}@127.0.0.1/db?pair=orders`
      for (const [args, env] of [[["-p", "--witness", url], {}], [["-p"], { BSTAR_WITNESS: url }]] as const) {
        const { code, stderr } = yield* ended(args, env)
        assert.match(stderr, /a password does not belong into the URL.*BSTAR_WITNESS_PASSWORD.*--witness-password-file/)
        assert.notInclude(stderr, secret)
        assert.strictEqual(code, 78)
      }
      const usage = yield* ended(["-p", "--witness", url, "--bogus"])
      assert.strictEqual(usage.code, 64)
      assert.notInclude(usage.stderr, secret)
    }))
})

/** A pair with a witness: which member has the term, before and after the active one is killed. */
const failsOver = (url: string, env: NodeJS.ProcessEnv) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const start = (role: "primary" | "backup") =>
      bstar([...serverArgs(role, at, `${safeHeartbeatMillis} millis`), "--witness", url], env)
    const backup = yield* start("backup")
    const primary = yield* start("primary")
    yield* untilAnswered(at.primary.frontend)
    const before = yield* statusOf(url, env)
    assert.deepInclude(before, { code: 0, answers: true, error: null, warnings: [] })
    assert.strictEqual(before.record?.holder, "primary")
    yield* backup.waitForLine(/the witness at .* answers/)
    yield* kill(primary)
    yield* untilAnswered(at.backup.frontend)
    const after = yield* Effect.repeat(statusOf(url, env), {
      until: ({ record }) => record?.holder === "backup",
      schedule: Schedule.spaced("200 millis")
    }).pipe(Effect.zipRight(statusOf(url, env)))
    assert.isAbove(after.record!.token, before.record!.token)
    assert.strictEqual(after.fingerprint, before.fingerprint)
    assert.notInclude(primary.stdout() + backup.stdout() + primary.stderr() + backup.stderr(), password)
  })

/** A server whose witness is away starts, and goes on trying. */
const startsWithout = (engine: Engine, url: string, env: NodeJS.ProcessEnv) =>
  Effect.gen(function*() {
    yield* engine.kill
    const at = yield* freeEndpoints
    const server = yield* bstar([...serverArgs("primary", at, "400 millis"), "--witness", url], env)
    yield* server.waitForLine(startLine.primary)
    yield* server.waitForLine(/^W: the witness at .* does not answer/)
    yield* engine.start
    yield* server.waitForLine(/^I: the witness at .* answers/)
    yield* server.kill("SIGTERM")
    assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
  })

describe.skipIf(etcdIsMissing !== undefined)(`a witness on etcd ${etcdIsMissing ?? ""}`, () => {
  it.scopedLive("bstar witness status and init: exit code 0 where etcd answers, and 1 where it does not", () =>
    Effect.gen(function*() {
      const engine = yield* startEtcd()
      const url = `etcd://127.0.0.1:${engine.port}/orders`
      const first = yield* ended(["witness", "status", "--witness", url])
      assert.match(
        first.stdout,
        /^witness +etcd:.*\nanswers +in .* ms\nrecord +none yet\nversion +-\nfingerprint +-\n$/
      )
      assert.strictEqual(first.code, 0)
      const init = yield* ended(["witness", "init", "--witness", url])
      assert.deepStrictEqual(init, {
        code: 0,
        stdout: "the witness is ready\nrecords can be read and written\n",
        stderr: ""
      })
      assert.isNull((yield* statusOf(url)).record)
      const print = ["witness", "init", "--print", "--witness", url.replace("//", "//ann@")]
      const { stdout } = yield* ended(print, { BSTAR_WITNESS_PASSWORD: "secret" })
      assert.match(stdout, /^# Run etcd with --auto-compaction-retention=1h: .*\n/)
      assert.match(stdout, /readwrite bstar\/orders\netcdctl user add ann\netcdctl user grant-role ann bstar-orders\n$/)

      yield* engine.kill
      const dead = yield* ended(["witness", "status", "--witness", url])
      assert.strictEqual(dead.code, 1)
      assert.match(dead.stderr, /^E: the witness at etcd:.* does not answer: .*ECONNREFUSED/)
      const json = yield* statusOf(url)
      assert.deepInclude(json, { code: 1, witness: url, answers: false, latencyMillis: null, record: null })
      assert.strictEqual((yield* ended(["witness", "init", "--witness", url])).code, 1)
    }))

  it.scopedLive("bstar witness status and init: warn of a password that is sent in clear", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      yield* enableAuthentication(port, "bstar/orders")
      for (const command of ["status", "init"]) {
        const { code, stderr } = yield* ended(
          ["witness", command, "--witness", `etcd://member@127.0.0.1:${port}/orders`],
          { BSTAR_WITNESS_PASSWORD: "secret" }
        )
        assert.strictEqual(stderr, "W: the password of member is sent in clear: use etcds://, and TLS in etcd\n")
        assert.strictEqual(code, 0)
      }
    }))

  it.scopedLive("bstar -p and -b: the witness records who is active, from a file for both and for the commands", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const url = `etcd://127.0.0.1:${port}/orders`
      const file = path.join(yield* temporaryDirectory, "pair.toml")
      fs.writeFileSync(file, `witness = "${url}"\n`)
      yield* failsOver(url, { BSTAR_CONFIG: file })
      const { stdout } = yield* ended(["witness", "status", "--config", file])
      assert.match(stdout, /\nrecord +term \d+\.\d+, held by the backup \(life \w+\)\n/)
    }))

  it.scopedLive("bstar -p: starts while etcd is away, and uses it when it is back", () =>
    Effect.gen(function*() {
      const engine = yield* startEtcd()
      yield* startsWithout(engine, `etcd://127.0.0.1:${engine.port}/orders`, {})
    }))

  it.scopedLive("bstar proxy: takes its right from the witness", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const at = yield* freeEndpoints
      const url = `etcd://127.0.0.1:${port}/orders`
      const args = serverArgs("primary", at, `${safeHeartbeatMillis} millis`)
      const proxy = yield* bstar(["proxy", ...args, "--backend", "tcp://127.0.0.1:*", "--witness", url])
      yield* Effect.raceFirst(
        proxy.waitForLine(/ready as active/),
        Effect.zipRight(untilAnswered(at.primary.frontend), Effect.never)
      )
      assert.strictEqual((yield* statusOf(url)).record?.holder, "primary")
    }))
})

describe.skipIf(postgresIsMissing !== undefined)(`a witness in PostgreSQL ${postgresIsMissing ?? ""}`, () => {
  const env = { BSTAR_WITNESS_PASSWORD: password }
  const urlOf = ({ port }: Engine, user = owner) => `postgres://${user}@127.0.0.1:${port}/postgres?pair=orders`

  it.scopedLive("bstar witness init: creates the table, or prints the statements, and tries the right to write", () =>
    Effect.gen(function*() {
      const engine = yield* startPostgres()
      const missing = yield* statusOf(urlOf(engine), env)
      assert.deepInclude(missing, { code: 1, answers: false })
      assert.match(missing.error!, /refused: relation "bstar_witness" does not exist$/)

      yield* engine.execute(`CREATE ROLE member LOGIN PASSWORD '${password}'`)
      const denied = yield* ended(["witness", "init", "--witness", urlOf(engine, "member")], env)
      assert.strictEqual(denied.code, 1)
      assert.match(denied.stderr, /relation "bstar_witness" does not exist; permission denied for schema public/)

      const printed = yield* ended(["witness", "init", "--print", "--witness", urlOf(engine, "member")])
      assert.match(printed.stdout, /^CREATE TABLE .*;\nGRANT SELECT, INSERT, UPDATE ON bstar_witness TO "member";\n$/)
      const created = yield* ended(["witness", "init", "--witness", urlOf(engine)], env)
      assert.deepStrictEqual(created, {
        code: 0,
        stdout: "the table bstar_witness was created\nrecords can be read and written\n",
        stderr: ""
      })
      const reader = yield* Effect.zipRight(
        engine.execute("GRANT SELECT ON bstar_witness TO member"),
        ended(["witness", "init", "--witness", urlOf(engine, "member")], env)
      )
      assert.match(reader.stderr, /^E: the witness at .* refused: permission denied for table bstar_witness\n$/)
      const updater = yield* Effect.zipRight(
        engine.execute("GRANT UPDATE ON bstar_witness TO member"),
        ended(["witness", "init", "--witness", urlOf(engine, "member")], env)
      )
      assert.deepInclude(updater, { code: 1, stdout: "the witness is ready\n" })
      assert.match(updater.stderr, /^E: the witness at .* refused: permission denied for table bstar_witness\n$/)
      yield* engine.execute(...printed.stdout.split("\n").slice(0, -1))
      const ready = yield* ended(["witness", "init", "--witness", urlOf(engine, "member")], env)
      assert.strictEqual(ready.stdout, "the witness is ready\nrecords can be read and written\n")

      const file = path.join(yield* temporaryDirectory, "password")
      fs.writeFileSync(file, `${password}\n`)
      const status = yield* ended(["witness", "status", "--witness", urlOf(engine), "--witness-password-file", file])
      assert.match(status.stdout, /\nrecord +none yet\n/)

      yield* engine.execute("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()")
      const doubted = yield* Effect.repeat(statusOf(urlOf(engine), env), {
        until: ({ warnings }) => warnings.length > 0,
        schedule: Schedule.spaced("100 millis")
      }).pipe(Effect.zipRight(ended(["witness", "status", "--witness", urlOf(engine)], env)))
      assert.match(doubted.stderr, /^W: the witness may forget what it has answered: synchronous_commit is off/)
      assert.strictEqual(doubted.code, 0)
    }))

  it.scopedLive("bstar -p and -b: the witness records who is active; starts while the database is away", () =>
    Effect.gen(function*() {
      const engine = yield* startPostgres()
      yield* ended(["witness", "init", "--witness", urlOf(engine)], env)
      yield* failsOver(urlOf(engine), env)
      yield* startsWithout(engine, urlOf(engine), env)
    }))

  it.scopedLive("bstar run: takes its right from the witness, and its command does not inherit the password", () =>
    Effect.gen(function*() {
      const engine = yield* startPostgres()
      yield* ended(["witness", "init", "--witness", urlOf(engine)], env)
      const at = yield* freeEndpoints
      const args = serverArgs("primary", at, `${safeHeartbeatMillis} millis`).filter((_, i) => i !== 1 && i !== 2)
      const run = yield* bstar(
        ["run", ...args, "--witness", urlOf(engine), "--", "sh", "-c", "env; echo end; sleep 1000"],
        env
      )
      yield* run.waitForLine("end")
      assert.notInclude(run.stdout(), password)
      assert.strictEqual((yield* statusOf(urlOf(engine), env)).record?.holder, "primary")
    }))
})
