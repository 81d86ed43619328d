/** The example of a service with storage, under faults: what is in its database afterwards. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import type { Scope } from "effect"
import { BinaryStarClient, ZmqClientLink } from "effect-binary-star"
import * as path from "node:path"
import { Orders } from "../examples/orders/contract.ts"
import { owner, password, postgresIsMissing, startPostgres } from "../support/postgres.ts"
import type { Process, Role } from "../support/processes.ts"
import { freeEndpoints, other, root, run } from "../support/processes.ts"
import * as Relay from "../support/relay.ts"
import { quiet } from "../support/sockets.ts"
import { steadyHeartbeatMillis } from "../support/times.ts"

const heartbeatMillis = steadyHeartbeatMillis

/** Longer than every right and guard, and than PostgreSQL leaves to a transaction in which nothing happens. */
const longPause = `${6 * heartbeatMillis} millis` as const

const clientCount = 4

/** Orders that each impatient client has under way: with those of all, more than a server handles at a time. */
const impatientCount = 8

/** How often each fault happens. */
const rounds = Number(process.env["BSTAR_ROUNDS"] ?? 1)

const frozenClock = path.join(root, "test/support/frozenClock.mjs")

/** Runs the example. With a frozen clock, a pause of its process is like that of a machine that is suspended. */
const program = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv, hasFrozenClock = false) =>
  run(process.execPath, [
    ...(hasFrozenClock ? ["--import", frozenClock] : []),
    "--import",
    "tsx",
    path.join(root, "test/examples/orders/main.ts"),
    ...args
  ], { env })

/** A pair and its database. The links between the servers, and from each of them to the database, can be cut. */
const makePair = Effect.gen(function*() {
  const { execute, kill, port, start: restart } = yield* startPostgres()
  yield* execute("ALTER SYSTEM SET track_commit_timestamp = on")
  yield* Effect.zipRight(kill, restart)
  const databaseAt = (endpoint: string) =>
    `postgres://${owner}:${encodeURIComponent(password)}@${endpoint.slice("tcp://".length)}/postgres`
  const BSTAR_DATABASE = databaseAt(`tcp://127.0.0.1:${port}`)
  const setup = yield* program(["setup"], { BSTAR_DATABASE })
  assert.strictEqual((yield* setup.exit).code, 0, setup.stdout() + setup.stderr())
  const at = yield* freeEndpoints
  const links = {
    primary: yield* Relay.make(at.backup.state, { delayMillis: 1, refuses: true }),
    backup: yield* Relay.make(at.primary.state, { delayMillis: 1, refuses: true })
  }
  const ways = {
    primary: yield* Relay.make(`tcp://127.0.0.1:${port}`, { delayMillis: 1 }),
    backup: yield* Relay.make(`tcp://127.0.0.1:${port}`, { delayMillis: 1 })
  }
  const database = yield* Layer.build(PgClient.layer({ url: Redacted.make(BSTAR_DATABASE), maxConnections: 2 }))
  const servers: { [R in Role]?: Process } = {}
  const all: Array<Process> = []
  const start = (role: Role, hasFrozenClock = false) =>
    Effect.gen(function*() {
      servers[role] = yield* program(["serve"], {
        BSTAR_DATABASE: databaseAt(ways[role].endpoint),
        BSTAR_ROLE: role,
        BSTAR_POLICY: "witnessed",
        BSTAR_HEARTBEAT: `${heartbeatMillis} millis`,
        BSTAR_FRONTEND: at[role].frontend,
        BSTAR_STATE: at[role].state,
        BSTAR_PEER: links[role].endpoint
      }, hasFrozenClock)
      all.push(servers[role])
      yield* servers[role].waitForLine(/waiting for/)
    })
  return {
    start,
    server: (role: Role) => servers[role]!,
    lastLines: () =>
      (["primary", "backup"] as const).map((role) => `${role}: ${servers[role]?.lines.slice(-20).join("\n")}`).join(
        "\n"
      ),
    /** Of all servers that there were. */
    countLines: (pattern: RegExp) => all.flatMap(({ lines }) => lines.filter((line) => pattern.test(line))).length,
    query: <A extends object>(text: string) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<A>(text)).pipe(Effect.provide(database)),
    frontends: [at.primary.frontend, at.backup.frontend],
    cut: Effect.zipRight(links.primary.cut, links.backup.cut),
    heal: Effect.zipRight(links.primary.heal, links.backup.heal),
    /** Between a server and the database. What is under way arrives when it is healed. */
    cutDatabase: (role: Role) => ways[role].cut,
    healDatabase: (role: Role) => ways[role].heal
  }
})

type Pair = Effect.Effect.Success<typeof makePair>

interface Order {
  readonly id: number
  readonly item: string
}

/** The orders that were acknowledged, by their keys. */
type Acknowledged = Map<string, Order>

/**
 * A client of the pair that places orders all the time. A patient one places each order twice at once under the same key, until it is
 * acknowledged. An impatient one sends an order once, and never again: so whatever a stale server still does with it can be seen.
 */
const makeClient = (
  { frontends }: Pair,
  name: string,
  acknowledged: Acknowledged,
  isPatient: boolean
): Effect.Effect<ReadonlyArray<Fiber.RuntimeFiber<never>>, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* Layer.build(
      BinaryStarClient.layer({ servers: frontends, timeout: "5 seconds" }).pipe(
        Layer.provide(ZmqClientLink.layer)
      )
    )
    const place = (key: string) =>
      Orders.request({ _tag: "Place", key, item: `of ${key}`, quantity: 1 }, { resend: isPatient }).pipe(
        Effect.provide(client)
      )
    const insist = (key: string) => Effect.orDie(Effect.retry(place(key), Schedule.spaced("50 millis")))
    let count = 0
    const patiently = Effect.suspend(() => {
      const key = `${name}-${count++}`
      return Effect.map(Effect.all([insist(key), insist(key)], { concurrency: 2 }), ([order, again]) => {
        assert.deepStrictEqual(again, order, "the same key, the same order")
        acknowledged.set(key, order)
      })
    })
    const impatiently = Effect.suspend(() => {
      const key = `${name}-${count++}`
      return Effect.matchEffect(place(key), {
        onFailure: () => Effect.sleep("20 millis"),
        onSuccess: (order) => Effect.sync(() => acknowledged.set(key, order))
      })
    })
    return yield* Effect.replicateEffect(
      Effect.forkScoped(Effect.forever(isPatient ? patiently : impatiently)),
      isPatient ? 1 : impatientCount
    )
  })

/** Waits until orders are acknowledged again. */
const untilServed = (acknowledged: Acknowledged) =>
  Effect.suspend(() => {
    const before = acknowledged.size
    return Effect.repeat(Effect.sync(() => acknowledged.size > before + 20), {
      until: (isServed) => isServed,
      schedule: Schedule.spaced("10 millis")
    }).pipe(Effect.timeout("60 seconds"), Effect.asVoid)
  })

/** The server that the witness has recorded. */
const activeRole = ({ query }: Pair): Effect.Effect<Role, unknown> =>
  Effect.map(
    query<{ readonly record: string }>("SELECT record FROM bstar_witness"),
    ([row]) => (JSON.parse(row!.record) as { readonly holder: Role }).holder
  )

/** A fault of a pair. `served` waits until orders are acknowledged anew, by whichever server can. */
type Fault = (
  pair: Pair,
  active: Role,
  served: Effect.Effect<void, unknown>
) => Effect.Effect<void, unknown, Scope.Scope>

const faults: { readonly [name: string]: Fault } = {
  "kill -9 of the active server": (pair, active) =>
    Effect.gen(function*() {
      yield* pair.server(active).kill("SIGKILL")
      yield* pair.server(active).exit
      yield* pair.start(active)
    }),
  "kill -9 of the other server": (pair, active) =>
    Effect.gen(function*() {
      const passive = other(active)
      yield* pair.server(passive).kill("SIGKILL")
      yield* pair.server(passive).exit
      yield* pair.start(passive)
    }),
  "a pause of the active server, longer than every lease": (pair, active, served) =>
    Effect.gen(function*() {
      yield* pair.server(active).kill("SIGSTOP")
      yield* Effect.zipRight(Effect.sleep(longPause), served)
      yield* pair.server(active).kill("SIGCONT")
    }),
  "a suspended machine: the active server goes on where it was, and does not know": (pair, active, served) =>
    Effect.gen(function*() {
      yield* pair.server(active).kill("SIGKILL")
      yield* pair.server(active).exit
      yield* pair.start(active, true)
      yield* served
      // The one with the frozen clock becomes active.
      yield* pair.server(other(active)).kill("SIGTERM")
      yield* pair.server(other(active)).exit
      yield* pair.start(other(active))
      yield* served
      yield* pair.server(active).kill("SIGSTOP")
      yield* Effect.zipRight(Effect.sleep(longPause), served)
      yield* pair.server(active).kill("SIGCONT")
    }),
  "the active server cut off, from its peer and the database: what it has sent arrives late": (pair, active, served) =>
    Effect.gen(function*() {
      yield* Effect.zipRight(pair.cut, pair.cutDatabase(active))
      yield* Effect.zipRight(Effect.sleep(longPause), served)
      yield* Effect.zipRight(pair.healDatabase(active), pair.heal)
    }),
  "a cut link": (pair) => Effect.zipRight(pair.cut, Effect.zipRight(Effect.sleep(longPause), pair.heal)),
  "a cut link, and a pause of the active server": (pair, active, served) =>
    Effect.gen(function*() {
      yield* pair.cut
      yield* pair.server(active).kill("SIGSTOP")
      yield* Effect.zipRight(Effect.sleep(longPause), served)
      yield* pair.server(active).kill("SIGCONT")
      yield* Effect.sleep(longPause)
      yield* pair.heal
    }),
  "SIGTERM of the active server": (pair, active) =>
    Effect.gen(function*() {
      yield* pair.server(active).kill("SIGTERM")
      assert.strictEqual((yield* pair.server(active).exit).code, 0)
      yield* pair.start(active)
    })
}

/** What was committed, in the order of the commits. */
interface Committed {
  readonly id: number
  readonly key: string
  readonly item: string
  readonly term: string
}

const check = (committed: ReadonlyArray<Committed>, acknowledged: Acknowledged): void => {
  const terms = committed.map(({ term }) => Number(term))
  const back = committed.filter((_, i) => i > 0 && terms[i]! < terms[i - 1]!)
  assert.deepStrictEqual(
    back,
    [],
    "no server has written after a later one: terms never go back in the order of commits"
  )
  assert.strictEqual(new Set(committed.map(({ key }) => key)).size, committed.length, "each key once")
  const orders = new Map(committed.map((order) => [order.key, order]))
  for (const [key, { id, item }] of acknowledged) {
    assert.deepInclude(orders.get(key), { id, item }, `no acknowledged order is lost: ${key}`)
  }
}

describe.skipIf(postgresIsMissing !== undefined)(
  `the example orders${postgresIsMissing === undefined ? "" : `: ${postgresIsMissing}`}`,
  () => {
    it.scopedLive(
      "orders: no write of a stale server, no acknowledged order lost, each key once, whatever happens",
      () =>
        Effect.gen(function*() {
          const pair = yield* makePair
          yield* pair.start("backup")
          yield* pair.start("primary")
          const acknowledged: Acknowledged = new Map()
          const clients = yield* Effect.forEach(
            Array.from({ length: clientCount }, (_, i) => `client${i}`),
            (name, i) => makeClient(pair, name, acknowledged, i % 2 === 0)
          )
          yield* untilServed(acknowledged)
          for (const [name, inject] of Array.from({ length: rounds }, () => Object.entries(faults)).flat()) {
            const served = untilServed(acknowledged)
            yield* Effect.zipRight(inject(pair, yield* activeRole(pair), served), served).pipe(
              Effect.tapErrorCause(() => Console.log(`${name}\n${pair.lastLines()}`))
            )
            yield* Effect.sleep("500 millis")
          }
          yield* Fiber.interruptAll(clients.flat())
          const committed = yield* pair.query<Committed>(
            "SELECT CAST(id AS INTEGER) AS id, key, item, CAST(term AS TEXT) AS term FROM orders " +
              "ORDER BY pg_xact_commit_timestamp(xmin), id"
          )
          check(committed, acknowledged)
          const termCount = new Set(committed.map(({ term }) => term)).size
          assert.isAbove(termCount, 2 * rounds)
          yield* Console.log(
            `${acknowledged.size} orders acknowledged, ${committed.length} committed, in ${termCount} terms; ` +
              `${pair.countLines(/the fence orders has seen/)} transactions of a stale server were rejected`
          )
        }).pipe(Effect.provide(quiet)),
      600_000
    )
  }
)
