import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import * as Fence from "../../src/fence/Fence.ts"
import { NoTerm } from "../../src/member/MemberError.ts"
import type { Term } from "../../src/protocol/Term.ts"
import { owner, password, postgresIsMissing, startPostgres } from "../support/postgres.ts"
import { eventually } from "../support/sockets.ts"
import { first, inTerm, second, third } from "./support.ts"

const client = (port: number, maxConnections = 20) =>
  PgClient.layer({
    host: "127.0.0.1",
    port,
    database: "postgres",
    username: owner,
    password: Redacted.make(password),
    maxConnections
  })

/** A database with the table of fences, and one that fenced transactions write to. */
const database = Layer.unwrapScoped(Effect.gen(function*() {
  const { execute, kill, port, start } = yield* startPostgres()
  yield* execute(
    "CREATE TABLE written (sequence SERIAL, fence TEXT, term TEXT, what TEXT)",
    "ALTER SYSTEM SET track_commit_timestamp = on"
  )
  yield* Effect.zipRight(kill, start)
  return Layer.tap(client(port), (context) => Effect.provide(Fence.createTable(), context))
}))

const makeFence = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const name = crypto.randomUUID()
  const fence = yield* Fence.sql({ name })
  const write = (what: string) => Effect.asVoid(sql`INSERT INTO written (fence, what) VALUES (${name}, ${what})`)
  return {
    sql,
    name,
    fence,
    /** A fenced write of a member in a term. */
    write: (term: Term | undefined, what: string) => fence.transaction(write(what)).pipe(inTerm(term)),
    insert: write,
    /** What was committed. */
    written: Effect.map(
      sql<{ readonly what: string }>`SELECT what FROM written WHERE fence = ${name} ORDER BY sequence`,
      (rows) => rows.map(({ what }) => what)
    )
  }
})

describe.skipIf(postgresIsMissing !== undefined)(
  `a fence in PostgreSQL${postgresIsMissing ? ` (skipped: ${postgresIsMissing})` : ""}`,
  () => {
    layer(database, { timeout: "120 seconds", excludeTestServices: true })((it) => {
      it.scoped("a later term passes, and the same one again; an earlier one is stale, and nothing of it is written", () =>
        Effect.gen(function*() {
          const { name, write, written } = yield* makeFence
          yield* write(first, "1")
          yield* write(first, "1 again")
          yield* write(second, "2")
          const error = yield* Effect.flip(write(first, "too late"))
          assert.isTrue(error._tag === "Stale" && error.latest !== undefined)
          assert.strictEqual(error.message, `the fence ${name} has seen the term 1.1, and this server is in 1.0`)
          yield* write(third, "3")
          assert.strictEqual((yield* Effect.flip(write(second, "too late")))._tag, "Stale")
          assert.deepStrictEqual(yield* written, ["1", "1 again", "2", "3"])
        }))

      it.scoped("a member without a term begins no transaction", () =>
        Effect.gen(function*() {
          const { write, written } = yield* makeFence
          assert.instanceOf(yield* Effect.flip(write(undefined, "never")), NoTerm)
          assert.deepStrictEqual(yield* written, [])
        }))

      it.scoped("a transaction that fails is rolled back, and its error is that of the effect; its term remains", () =>
        Effect.gen(function*() {
          const { fence, insert, write, written } = yield* makeFence
          const failing = fence.transaction(Effect.zipRight(insert("never"), Effect.fail("no")))
          assert.strictEqual(yield* Effect.flip(inTerm(second)(failing)), "no")
          assert.strictEqual((yield* Effect.flip(write(first, "never")))._tag, "Stale")
          yield* write(second, "2")
          assert.deepStrictEqual(yield* written, ["2"])
        }))

      it.scoped("fences of other names are independent", () =>
        Effect.gen(function*() {
          const [a, b] = [yield* makeFence, yield* makeFence]
          yield* a.write(third, "a")
          yield* b.write(first, "b")
          assert.deepStrictEqual([yield* a.written, yield* b.written], [["a"], ["b"]])
        }))

      it.scoped("a later term waits for the transaction of an earlier one: terms never go back in the order of commits", () =>
        Effect.gen(function*() {
          const { fence, insert, write, written } = yield* makeFence
          const [entered, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const early = yield* Effect.fork(
            inTerm(first)(fence.transaction(
              Effect.zipRight(Deferred.succeed(entered, undefined), Effect.zipRight(Deferred.await(go), insert("1")))
            ))
          )
          yield* Deferred.await(entered)
          const late = yield* Effect.fork(write(second, "2"))
          yield* Effect.sleep("100 millis")
          assert.isNull(late.unsafePoll())
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(early)
          yield* Fiber.join(late)
          assert.deepStrictEqual(yield* written, ["1", "2"])
        }))

      it.scoped(
        "a server that stands still in a transaction loses the lock, and what it did; its error is a SqlError",
        () =>
          Effect.gen(function*() {
            const { fence, insert, write, written } = yield* makeFence
            const [entered, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
            const paused = yield* Effect.fork(
              inTerm(first)(fence.transaction(
                insert("1").pipe(
                  Effect.zipRight(Deferred.succeed(entered, undefined)),
                  Effect.zipRight(Deferred.await(go))
                )
              ))
            )
            yield* Deferred.await(entered)
            yield* write(second, "2")
            yield* Deferred.succeed(go, undefined)
            const exit = yield* Fiber.await(paused)
            assert.isTrue(Exit.isFailure(exit))
            const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
            assert.instanceOf(error, SqlError)
            assert.isTrue(Exit.isFailure(exit) && Cause.isFailType(exit.cause), "no defect")
            assert.strictEqual((yield* Effect.flip(write(first, "again")))._tag, "Stale")
            assert.deepStrictEqual(yield* written, ["2"])
          }),
        30_000
      )

      it.scoped("at random, with all servers at once, terms never go back in the order of commits", () =>
        Effect.gen(function*() {
          const { fence, sql, name } = yield* makeFence
          const results = yield* Effect.forEach(
            Array.from({ length: 300 }, (_, i) => Math.floor(i / 10) + Math.floor(10 * Math.random())),
            (step) =>
              fence.transaction(
                sql`INSERT INTO written (fence, term) VALUES (${name}, ${String(step).padStart(4, "0")})`
              ).pipe(inTerm({ number: 1, step }), Effect.either),
            { concurrency: 16 }
          )
          const rows = yield* sql<{ readonly term: string }>`
          SELECT term FROM written WHERE fence = ${name} ORDER BY pg_xact_commit_timestamp(xmin)`
          const terms = rows.map(({ term }) => term)
          assert.deepStrictEqual(terms, [...terms].sort())
          assert.strictEqual(rows.length, results.filter(({ _tag }) => _tag === "Right").length)
          assert.isTrue(results.every((one) => one._tag === "Right" || one.left._tag === "Stale"))
          assert.isAbove(results.length, rows.length)
        }))

      it.scoped("transactions of one term run beside each other", () =>
        Effect.gen(function*() {
          const { fence, insert, written } = yield* makeFence
          const [a, b] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          // Each waits for the other one, within its transaction.
          yield* Effect.all([
            fence.transaction(Effect.zipRight(Deferred.succeed(a, undefined), Deferred.await(b))),
            fence.transaction(
              Effect.zipRight(Deferred.succeed(b, undefined), Effect.zipRight(Deferred.await(a), insert("b")))
            )
          ], { concurrency: 2 }).pipe(inTerm(first))
          assert.deepStrictEqual(yield* written, ["b"])
        }))

      it.scoped("a fence whose row is that of an old backup takes the term again", () =>
        Effect.gen(function*() {
          const { name, sql, write, written } = yield* makeFence
          yield* write(second, "2")
          yield* sql`UPDATE bstar_fence SET term = 0 WHERE name = ${name}`
          assert.strictEqual((yield* Effect.flip(write(second, "never")))._tag, "Stale")
          yield* write(second, "2 again")
          assert.deepStrictEqual(yield* written, ["2", "2 again"])
        }))

      it.scoped(
        "many servers that stand still in transactions are no obstacle for longer than one",
        () =>
          Effect.gen(function*() {
            const { fence, insert, write, written } = yield* makeFence
            const entered = Effect.unsafeMakeSemaphore(8)
            yield* entered.take(8)
            const paused = yield* Effect.fork(
              Effect.all(
                Array.from({ length: 8 }, (_, i) =>
                  Effect.exit(
                    fence.transaction(
                      Effect.zipRight(insert(`${i}`), Effect.zipRight(entered.release(1), Effect.sleep("5 seconds")))
                    )
                  )),
                { concurrency: "unbounded" }
              ).pipe(inTerm(first))
            )
            yield* entered.take(8)
            const startedAt = performance.now()
            yield* write(second, "2")
            assert.isBelow(performance.now() - startedAt, 4000)
            yield* Fiber.join(paused)
            assert.deepStrictEqual(yield* written, ["2"])
          }),
        60_000
      )

      it.scoped("a row that was removed is reported, and made again with the next fence of that name", () =>
        Effect.gen(function*() {
          const { name, sql, write } = yield* makeFence
          yield* sql`DELETE FROM bstar_fence WHERE name = ${name}`
          const error = yield* Effect.flip(write(first, "never"))
          assert.strictEqual(error.message, `the fence ${name} is lost: its row or key was removed or overwritten`)
          yield* Fence.sql({ name })
          yield* write(first, "1")
        }))

      it.scoped("a fence may be in another table; without the table there is no fence", () =>
        Effect.gen(function*() {
          assert.instanceOf(yield* Effect.flip(Fence.sql({ name: "a", table: "fences" })), SqlError)
          yield* Fence.createTable("fences")
          yield* Fence.createTable("fences")
          const sql = yield* SqlClient.SqlClient
          const fence = yield* Fence.sql({ name: "a", table: "fences" })
          yield* inTerm(second)(fence.transaction(Effect.void))
          const rows = yield* sql`SELECT name, CAST(term AS VARCHAR(20)) AS term FROM fences`
          assert.deepStrictEqual(rows, [{ name: "a", term: "65537" }])
        }))
    })

    it.scopedLive("what a fence has seen survives a crash of the database", () =>
      Effect.gen(function*() {
        const { execute, kill, port, start } = yield* startPostgres()
        yield* execute("CREATE TABLE written (sequence SERIAL, fence TEXT, term TEXT, what TEXT)")
        yield* Effect.gen(function*() {
          yield* Fence.createTable()
          const { write, written } = yield* makeFence
          yield* write(second, "2")
          yield* kill
          assert.instanceOf(yield* Effect.flip(write(second, "down")), SqlError)
          yield* start
          yield* eventually(
            Effect.map(Effect.either(write(first, "late")), (one) => one._tag === "Left" && one.left._tag === "Stale")
          )
          yield* write(second, "2 again")
          assert.deepStrictEqual(yield* written, ["2", "2 again"])
        }).pipe(Effect.provide(client(port)))
      }), 120_000)
  }
)
