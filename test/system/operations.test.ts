import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Schedule } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Finding } from "../../src/status/Doctor.ts"
import type { HistoryEntry, NodeStatus } from "../../src/status/Status.ts"
import { readyAsActive, readyAsPassive, type ServerOptions, start as startServer } from "../support/pair.ts"
import {
  bstar,
  dealer,
  type Endpoints,
  foreignPeer,
  freeAddresses,
  freeEndpoints,
  other,
  type Role,
  roles
} from "../support/processes.ts"
import { eventTimeout, safeHeartbeatMillis } from "../support/times.ts"

const token = "the-token-of-this-test"

interface Place {
  readonly at: Endpoints
  readonly http: { readonly [R in Role]: string }
}

/** The endpoints of a pair, and the addresses of its status servers. */
const free: Effect.Effect<Place> = Effect.all({ at: freeEndpoints, http: freeAddresses })

interface Options extends ServerOptions {
  readonly heartbeatMillis?: number
  /** The status server of the peer; `undefined`: none. */
  readonly peerHttp?: string | undefined
}

const start = (role: Role, { at, http }: Place, options: Options = {}) => {
  const peerHttp = "peerHttp" in options ? options.peerHttp : http[other(role)]
  return startServer(role, at, options.heartbeatMillis ?? safeHeartbeatMillis, {
    env: { BSTAR_HTTP_TOKEN: token },
    ...options,
    args: ["--http", http[role], ...(peerHttp === undefined ? [] : ["--peer-http", peerHttp])]
  })
}

const ready = { primary: readyAsActive, backup: readyAsPassive } as const

/** A pair of which the primary is active. */
const startPair = (place: Place, options: Options = {}) =>
  Effect.gen(function*() {
    const pair = { primary: yield* start("primary", place, options), backup: yield* start("backup", place, options) }
    yield* Effect.all(roles.map((role) => pair[role].waitForLine(ready[role])))
    return pair
  })

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs an operator's command to its end. */
const operate = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = { BSTAR_HTTP_TOKEN: token }) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* bstar(args, env)
    const { code } = yield* command.exit
    const ended: Ended = { code, stdout: command.stdout(), stderr: command.stderr() }
    assert.notMatch(ended.stdout + ended.stderr, /\n\s+at |the-token-of/, "a stack trace or a secret")
    return ended
  }))

const http = ({ http }: Place) => ["--http", http.primary, "--http", http.backup]

interface StatusJson {
  readonly health: string
  readonly message: string
  readonly servers: ReadonlyArray<
    { readonly address: string; readonly status: NodeStatus | null; readonly error: string | null }
  >
  readonly findings: ReadonlyArray<Finding>
}

const statusOf = (args: ReadonlyArray<string>) =>
  Effect.map(operate(["status", "--json", ...args]), ({ code, stdout }) => ({
    code,
    ...JSON.parse(stdout) as StatusJson
  }))

class NotYet extends Data.TaggedError("NotYet")<{ readonly message: string }> {}

/** Repeats until the outcome is as expected: the status is a little behind the events. */
const until = <A, E>(effect: Effect.Effect<A, E>, holds: (a: A) => boolean) =>
  effect.pipe(
    Effect.filterOrFail(holds, (last) => new NotYet({ message: `not so: ${JSON.stringify(last, undefined, 2)}` })),
    Effect.retry({
      schedule: Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurUpTo(eventTimeout)),
      while: (error) => error instanceof NotYet
    })
  )

/** Repeats a command until it ends with an exit code and an output. */
const ends = (code: number, output: RegExp, args: ReadonlyArray<string>, env?: NodeJS.ProcessEnv) =>
  until(operate(args, env), (ended) => ended.code === code && output.test(ended.stdout + ended.stderr))

/** Sends requests until a server replies. */
const answered = (frontend: string) =>
  Effect.gen(function*() {
    const { replies, request } = yield* dealer(frontend)
    const requests = yield* Effect.fork(Effect.repeat(request("", "hello"), Schedule.spaced("20 millis")))
    yield* replies.find(() => true)
    yield* requests.interruptAsFork(yield* Effect.fiberId)
  })

describe("bstar status", () => {
  it.scopedLive("F6 bstar status: an active primary that receives ACTIVE from a peer without a status server is two actives", () =>
    Effect.gen(function*() {
      const place = yield* free
      const peer = yield* foreignPeer("backup", place.at)
      const server = yield* start("primary", place, { peerHttp: undefined })
      yield* peer.subscribed
      yield* peer.publishUntil("2", server.waitForLine(ready.primary))
      yield* Effect.fork(peer.heartbeats("3"))
      const http = ["--http", place.http.primary]
      const status = yield* until(statusOf(http), ({ health }) => health === "two actives")
      assert.strictEqual(status.code, 3)
      const found = status.findings.find(({ check }) => check === "active")
      assert.strictEqual(found?.severity, "error")
      assert.match(found?.remedy ?? "", /stop one of them/)
      assert.strictEqual((yield* operate(["doctor", ...http])).code, 1)
    }))

  it.scopedLive("bstar status: a passive backup with a peer without a status server is healthy", () =>
    Effect.gen(function*() {
      const place = yield* free
      const peer = yield* foreignPeer("primary", place.at)
      const server = yield* start("backup", place, { peerHttp: undefined })
      yield* peer.subscribed
      yield* Effect.fork(peer.heartbeats("3"))
      yield* server.waitForLine(ready.backup)
      const http = ["--http", place.http.backup]
      yield* until(statusOf(http), ({ code, health }) => code === 0 && health === "healthy")
      assert.notMatch((yield* operate(["doctor", ...http])).stdout, /promote/)
    }))

  it.scopedLive("bstar status: prints both servers, and the exit code is the health of the pair", () =>
    Effect.gen(function*() {
      const place = yield* free
      const pair = yield* startPair(place)

      const healthy = yield* ends(0, /\nhealthy: primary is active, backup stands by\n$/, ["status", ...http(place)])
      assert.match(healthy.stdout, /^ +primary +backup\n/)
      assert.match(healthy.stdout, /\nstate +ACTIVE for \S+ \S+ +PASSIVE for /)
      assert.notInclude(healthy.stdout, "\x1b")

      // The second server is found through the first one. Addresses may come from the environment.
      const both = yield* statusOf(["--http", place.http.backup])
      assert.deepStrictEqual(
        both.servers.map(({ address, status }) => [address, status?.role]),
        [[`http://${place.http.backup}`, "backup"], [`http://${place.http.primary}`, "primary"]]
      )
      yield* ends(0, /healthy/, ["status"], { BSTAR_HTTP_SERVERS: Object.values(place.http).join() })

      // The active server is killed, without a vote.
      yield* pair.primary.kill("SIGKILL")
      yield* pair.primary.exit
      const none = yield* until(
        statusOf(http(place)),
        ({ servers }) => servers[1]?.status?.peer.isExpired === true
      )
      assert.strictEqual(none.code, 2)
      assert.strictEqual(none.health, "no active")
      assert.match(none.message, /backup takes over with the next request; \S+ cannot be reached/)
      assert.match(none.servers[0]!.error!, /connection refused/)

      yield* answered(place.at.backup.frontend)
      const alone = yield* ends(1, /\ndegraded: backup is active, but \S+ cannot be reached/, [
        "status",
        ...http(place)
      ])
      assert.match(alone.stdout, /failover successful, ready as active \(.*\)/)
    }))

  it.scopedLive("bstar status: two active primaries are two actives", () =>
    Effect.gen(function*() {
      // Each is alone in its pair.
      const [one, two] = [yield* free, yield* free]
      const nodes = [
        yield* start("primary", one, { policy: "classic" }),
        yield* start("primary", two, { policy: "classic" })
      ]
      yield* Effect.all(nodes.map((node) => node.waitForLine(/Primary active/)))
      const report = yield* until(
        statusOf(["--http", one.http.primary, "--http", two.http.primary]),
        ({ servers }) => servers.every(({ status }) => status !== null)
      )
      assert.strictEqual(report.code, 3)
      assert.strictEqual(report.health, "two actives")
      assert.include(report.findings.map(({ check }) => check), "roles")
    }))

  it.scopedLive("bstar status --watch: repeats until it is interrupted", () =>
    Effect.gen(function*() {
      const place = yield* free
      const pair = yield* startPair(place)
      const watching = yield* bstar(["status", ...http(place), "--json", "--watch", "100ms"])
      yield* watching.waitForLine(/"health":"healthy"/)
      yield* pair.backup.kill("SIGKILL")
      yield* watching.waitForLine(/"health":"degraded"/)
      assert.isTrue(watching.lines.every((line) => (JSON.parse(line) as StatusJson).servers.length === 2))
      yield* watching.kill("SIGINT")
      assert.deepStrictEqual(yield* watching.exit, { code: 0, signal: null })
    }))

  it.scopedLive("bstar status: the error of an invalid option names the option and the remedy", () =>
    Effect.gen(function*() {
      for (
        const [message, ...args] of [
          [/--http HOST:PORT, once or twice, or BSTAR_HTTP_SERVERS/],
          [/a pair has two servers/, "--http", ":1", "--http", ":2", "--http", ":3"],
          [/expected the address of a status server .*, got "tcp:\/\/x:1"/, "--http", "tcp://x:1"],
          [/interval: only with --watch/, "--http", ":1", "2 seconds"],
          [/interval: expected a duration/, "--http", ":1", "--watch", "often"]
        ] as const
      ) {
        const ended = yield* operate(["status", ...args])
        assert.strictEqual(ended.code, 78, ended.stderr)
        assert.match(ended.stderr, message)
      }
    }))
})

describe("bstar switchover", () => {
  it.scopedLive("bstar switchover: makes the peer active, and prints how long clients waited", () =>
    Effect.gen(function*() {
      const place = yield* free
      yield* startPair(place)
      const { stdout } = yield* ends(0, /./, ["switchover", ...http(place), "--reason", "new kernel"])
      assert.match(stdout, /^primary \(\S+\) hands over\n/)
      assert.match(stdout, /clients waited for \d+ ms\n/)
      assert.match(stdout, /\nbackup \(\S+\) is active now\n$/)
      yield* ends(0, /backup is active, primary stands by/, ["status", ...http(place)])

      // And back, given only the address of the passive server.
      yield* ends(0, /\nprimary \(\S+\) is active now\n$/, [
        "switchover",
        "--http",
        place.http.primary,
        "--reason",
        "and back"
      ])

      const history = yield* operate(["history", ...http(place), "--json"])
      const entries = JSON.parse(history.stdout) as ReadonlyArray<HistoryEntry & { readonly server: string }>
      assert.deepStrictEqual(
        [...entries].sort((a, b) => a.at < b.at ? -1 : 1).map(({ at }) => at),
        entries.map(({ at }) => at)
      )
      const handedOver = entries.filter(({ to }) => to === "HANDING_OVER")
      assert.deepStrictEqual(handedOver.map(({ reason, server }) => [server, reason]), [
        ["primary", "new kernel"],
        ["backup", "and back"]
      ])
      const latest = yield* operate(["history", ...http(place), "--limit", "1"])
      assert.strictEqual(latest.code, 0)
      assert.strictEqual(latest.stdout.trim().split("\n").length, 2)
      assert.include(latest.stdout, entries.at(-1)!.at)
    }))

  it.scopedLive("bstar switchover: the error of a rejected command names the reason", () =>
    Effect.gen(function*() {
      const place = yield* free
      const { backup } = yield* startPair(place)
      const command = ["switchover", ...http(place), "--reason", "why not"]

      assert.strictEqual((yield* operate(["switchover", ...http(place)])).code, 64)

      yield* ends(1, /E: .*commands need the server's token: --token-file/, command, {})
      yield* ends(1, /E: .*the token is not that of this server/, command, { BSTAR_HTTP_TOKEN: "of-another-server" })

      yield* backup.kill("SIGKILL")
      yield* backup.exit
      yield* ends(1, /E: .*not handed over: the peer is not ready as passive/, command)

      const inactive = yield* operate(["switchover", "--http", place.http.backup, "--reason", "why not"])
      assert.strictEqual(inactive.code, 1)
      assert.match(inactive.stderr, /there is no active server that could hand over: .*connection refused/)
    }))

  it.scopedLive("bstar switchover: servers without a token accept no commands", () =>
    Effect.gen(function*() {
      const place = yield* free
      yield* startPair(place, { env: {} })
      for (const command of ["switchover", "pause"]) {
        yield* ends(1, /accepts no commands: it was started without a token/, [
          command,
          ...http(place),
          "--reason",
          "why not"
        ])
      }
    }))
})

describe("bstar pause and resume", () => {
  it.scopedLive("bstar pause: blocks both servers until bstar resume, with a token from a file", () =>
    Effect.gen(function*() {
      const place = yield* free
      const { backup } = yield* startPair(place)
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-"))),
        (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
      )
      const file = path.join(directory, "token")
      fs.writeFileSync(file, `${token}\n`)
      const send = (...args: ReadonlyArray<string>) => operate([...args, ...http(place), "--token-file", file], {})

      const paused = yield* send("pause", "--reason", "new disk")
      assert.strictEqual(paused.code, 0, paused.stdout + paused.stderr)
      assert.match(paused.stdout, /^primary \(\S+\): .+\nbackup \(\S+\): .+\n$/)
      const blocked = yield* until(statusOf(http(place)), ({ message }) => message.startsWith("primary is active"))
      assert.strictEqual(blocked.code, 1)
      assert.deepStrictEqual(blocked.servers.map(({ status }) => status?.takeoverBlock?.kind), ["paused", "paused"])
      assert.match(blocked.message, /primary is active, but primary is paused; backup is paused/)
      assert.match((yield* operate(["status", ...http(place)])).stdout, /backup: paused since \S+, because: new disk/)

      assert.strictEqual((yield* send("resume")).code, 0)
      yield* ends(0, /healthy/, ["status", ...http(place)])

      yield* backup.kill("SIGKILL")
      yield* backup.exit
      const half = yield* send("pause", "--reason", "new disk")
      assert.strictEqual(half.code, 1)
      assert.match(half.stdout, /^primary \(\S+\): .+\n$/)
      assert.match(half.stderr, /^E: \S+: no process listens there/)
      assert.strictEqual((yield* statusOf(http(place))).servers[0]?.status?.takeoverBlock?.kind, "paused")
    }))
})

describe("bstar promote", () => {
  it.scopedLive("bstar promote: the remedy of bstar doctor makes a lone backup active", () =>
    Effect.gen(function*() {
      const place = yield* free
      const backup = yield* start("backup", place)
      yield* backup.waitForLine(/Backup passive/)
      const examine = Effect.map(
        operate(["doctor", "--http", place.http.backup, "--json"]),
        ({ code, stdout }) => ({ code, ...JSON.parse(stdout) as { readonly findings: ReadonlyArray<Finding> } })
      )
      const { code, findings } = yield* until(
        examine,
        ({ findings }) => findings.some(({ check }) => check === "lone-backup")
      )
      assert.strictEqual(code, 1)
      assert.include(
        findings.find(({ check }) => check === "lone-backup")!.remedy,
        `bstar promote --http http://${place.http.backup} --reason`
      )

      const both = yield* operate(["promote", ...http(place), "--reason", "which one?"])
      assert.strictEqual(both.code, 78)
      assert.match(both.stderr, /choose the server to promote/)

      const promoted = yield* operate(["promote", "--http", place.http.backup, "--reason", "the primary is lost"])
      assert.strictEqual(promoted.code, 0, promoted.stderr)
      yield* answered(place.at.backup.frontend)
      const history = yield* operate(["history", "--http", place.http.backup])
      // The history of the primary cannot be requested.
      assert.strictEqual(history.code, 1)
      assert.match(
        history.stdout,
        /BACKUP +REJOINING +- +Promote +promoted by an operator.*because: the primary is lost\n/
      )
      assert.match(
        history.stdout,
        /REJOINING +ACTIVE +\S+ +Promote +promoted by an operator.*because: the primary is lost\n/
      )
    }))

  it.scopedLive("bstar promote: rejected while the peer is active", () =>
    Effect.gen(function*() {
      const place = yield* free
      yield* startPair(place)
      yield* ends(
        1,
        /^E: \S+: not promoted: the peer is alive and has not handed over \(bstar switchover makes it hand over\)\n$/,
        [
          "promote",
          "--http",
          place.http.backup,
          "--reason",
          "why not"
        ]
      )
    }))
})

describe("bstar doctor", () => {
  it.scopedLive("bstar doctor: finds nothing in a healthy pair", () =>
    Effect.gen(function*() {
      const place = yield* free
      yield* startPair(place)
      yield* ends(0, /^reached primary at \S+\nreached backup at \S+\nnothing found\n$/, ["doctor", ...http(place)])
      // The check of the token has sent no command.
      yield* ends(0, /healthy/, ["status", ...http(place)])
    }))

  it.scopedLive("bstar doctor: different settings have a finding and a remedy each", () =>
    Effect.gen(function*() {
      const place = yield* free
      const primary = yield* start("primary", place, { peerHttp: undefined, heartbeatMillis: 1200 })
      const backup = yield* start("backup", place, {
        policy: "classic",
        env: {},
        // No status server listens there.
        peerHttp: (yield* freeAddresses).primary
      })
      yield* Effect.all([primary.waitForLine(ready.primary), backup.waitForLine(ready.backup)])
      const { code, stdout } = yield* operate(["doctor", ...http(place), "--json"])
      assert.strictEqual(code, 1)
      const { findings } = JSON.parse(stdout) as { readonly findings: ReadonlyArray<Finding> }
      assert.deepStrictEqual(
        findings.map(({ check, severity }) => `${severity} ${check}`),
        [
          "error settings",
          "error settings",
          "warning peer-http",
          "warning settings",
          "warning token",
          "warning peer-http"
        ]
      )
      assert.isTrue(findings.every(({ remedy, what }) => remedy.length > 0 && what.length > 0))
    }))

  it.scopedLive("bstar doctor: finds that the servers are of two pairs", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* free, yield* free]
      yield* startPair(one)
      yield* startPair(two)
      const { code, stdout } = yield* operate(["doctor", "--http", one.http.primary, "--http", two.http.backup])
      assert.strictEqual(code, 1)
      assert.match(stdout, /error +primary connects to \S+, but backup publishes on /)
      assert.match(stdout, /error +--peer-http of primary \(\S+\) leads to a backup on \S+, which is not backup\n/)
    }))
})
