/**
 * Fences: a store accepts a write only in the latest term that it has seen, so that a server that was active before cannot write
 * any more, however long it was paused and whatever it believes.
 *
 * Each write carries the term of its server, the fencing token. The store keeps the largest one, and compares it in the same
 * transaction as the write. That needs no clock and no lease, and holds where no lease can: between the moment a server checks that
 * it is active and the moment its write arrives.
 *
 * A term is given once only where a witness records it. Without one the numbers begin again when both servers are restarted: then
 * every transaction is `Stale` until the fence is reset by hand.
 *
 * This module needs `@effect/sql` and `@effect/platform`, and is imported by its own path.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { BinaryStar, term as currentTerm } from "../member/BinaryStar.ts"
import type { NoTerm } from "../member/MemberError.ts"
import * as Term from "../protocol/Term.ts"
import * as EtcdGateway from "../witness/EtcdGateway.ts"
import * as Etcd from "./etcd.ts"

export type { EtcdResult, EtcdTransaction } from "./etcd.ts"

/**
 * The store has seen a later term: another server has been active since. Nothing was written, and nothing may be repeated here: the
 * client has to send its request to the other server. `latest` is the term in the store: `undefined` if the store has lost it, and an
 * earlier one if the store was set back; the next transaction then takes the term again.
 *
 * @category errors
 */
export class Stale extends Data.TaggedError("Stale")<{
  readonly name: string
  readonly term: Term.Term
  readonly latest: Term.Term | undefined
}> {
  override get message(): string {
    const { latest, name, term } = this
    return latest === undefined
      ? `the fence ${name} is lost: its row or key was removed or overwritten`
      : `the fence ${name} has seen the term ${Term.format(latest)}, and this server is in ${Term.format(term)}`
  }
}

/**
 * A fence in an SQL database.
 *
 * @category models
 */
export interface Fence {
  /**
   * Runs an effect in a transaction that fails with `Stale` if the row of the fence has a later term than this server. The row is
   * locked in share mode until the transaction ends: transactions of one term run beside each other as without a fence, the first
   * one of the next term begins when they have ended, and terms never go back in the order of commits. Make it the outermost
   * transaction.
   *
   * In PostgreSQL the transaction ends with an error if the server does nothing in it for two heartbeats (1 second at least), so that
   * a server that is paused or whose host is lost does not keep the next one out. A commit that fails is a `SqlError`, too.
   */
  readonly transaction: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Stale | NoTerm | SqlError, R | BinaryStar>
}

/**
 * Options of a fence in an SQL database.
 *
 * @category models
 */
export interface SqlOptions {
  /** What is fenced, the same on both servers: the key of its row. Parts of the data that are independent may have a fence each. */
  readonly name: string
  /** The table of fences, which may be shared by many pairs. Defaults to `bstar_fence`. */
  readonly table?: string | undefined
}

/** Default table. */
const defaultTable = "bstar_fence"

/** The shortest time, in milliseconds, after which PostgreSQL ends a transaction in which nothing happens. */
const minIdleMillis = 1000

/**
 * Creates the table of fences, unless it exists. By hand:
 *
 * ```sql
 * CREATE TABLE IF NOT EXISTS bstar_fence (name VARCHAR(100) PRIMARY KEY, term BIGINT NOT NULL)
 * ```
 *
 * A server needs SELECT, INSERT and UPDATE on it.
 *
 * @category constructors
 */
export const createTable = (table: string = defaultTable): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.asVoid(
        sql`CREATE TABLE IF NOT EXISTS ${sql(table)} (name VARCHAR(100) PRIMARY KEY, term BIGINT NOT NULL)`
      )
  )

/** The row, if it has this term, locked until the end of the transaction. */
const lock = (sql: SqlClient.SqlClient, table: string, name: string, token: number, idleMillis: number) =>
  sql.onDialectOrElse({
    pg: () =>
      sql`SELECT set_config('idle_in_transaction_session_timeout', ${String(idleMillis)}, true)
        FROM ${sql(table)} WHERE name = ${name} AND term = ${token} FOR SHARE`,
    // Its transactions lock the whole database.
    sqlite: () => sql`SELECT name FROM ${sql(table)} WHERE name = ${name} AND term = ${token}`,
    orElse: () => sql`SELECT name FROM ${sql(table)} WHERE name = ${name} AND term = ${token} FOR SHARE`
  })

/** Large integers are read as text: drivers disagree about their type. */
const look = (sql: SqlClient.SqlClient, table: string, name: string): Effect.Effect<Term.Term | undefined, SqlError> =>
  Effect.map(
    sql<{ readonly term: string }>`SELECT CAST(term AS VARCHAR(20)) AS term FROM ${sql(table)} WHERE name = ${name}`,
    ([row]) => row && Term.ofToken(Number(row.term))
  )

/** `SqlClient.withTransaction` dies where a commit or a rollback fails, for example because the connection was lost. */
const orSqlError = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
  Effect.catchSomeDefect(
    effect,
    (defect) => defect instanceof SqlError ? Option.some(Effect.fail(defect)) : Option.none()
  )

/**
 * Makes a fence in the database of the `SqlClient`, and its row. Fails if the table does not exist (see {@link createTable}) or the
 * database does not answer. Tested with PostgreSQL.
 *
 * @example
 * ```ts
 * import { SqlClient } from "@effect/sql"
 * import { Effect } from "effect"
 * import * as Fence from "effect-binary-star/Fence"
 *
 * export const insert = (order: { readonly id: number; readonly item: string }) =>
 *   Effect.gen(function*() {
 *     const sql = yield* SqlClient.SqlClient
 *     const fence = yield* Fence.sql({ name: "orders" })
 *     yield* fence.transaction(sql`INSERT INTO orders ${sql.insert(order)}`)
 *   })
 * ```
 *
 * @category constructors
 */
export const sql = (
  { name, table = defaultTable }: SqlOptions
): Effect.Effect<Fence, SqlError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`INSERT INTO ${sql(table)} (name, term) VALUES (${name}, 0) ON CONFLICT DO NOTHING`
    const oneAtATime = Effect.unsafeMakeSemaphore(1).withPermits(1)
    let announced = 0

    /** Puts a term into the row once. Waits for the transactions of earlier terms. */
    const announce = (token: number): Effect.Effect<void, SqlError> =>
      oneAtATime(Effect.suspend(() =>
        announced === token ? Effect.void : Effect.map(
          sql`UPDATE ${sql(table)} SET term = ${token} WHERE name = ${name} AND term < ${token}`,
          () => {
            announced = token
          }
        )
      ))

    const check = (term: Term.Term, idleMillis: number): Effect.Effect<void, SqlError | Stale> =>
      Effect.gen(function*() {
        const rows = yield* lock(sql, table, name, Term.toToken(term), idleMillis)
        if (rows.length === 0) {
          // The announcement may have been rolled back, or the database set back.
          announced = 0
          return yield* new Stale({ name, term, latest: yield* look(sql, table, name) })
        }
      })

    return {
      transaction: (effect) =>
        Effect.gen(function*() {
          const { config, term: currentTerm } = yield* BinaryStar
          // Before the transaction begins, which may take long: what it writes belongs to this term.
          const term = yield* currentTerm
          const idleMillis = Math.ceil(Math.max(config.peerTimeoutMillis, minIdleMillis))
          yield* announce(Term.toToken(term))
          return yield* sql.withTransaction(Effect.zipRight(check(term, idleMillis), effect))
        }).pipe(orSqlError)
    }
  })

/**
 * etcd did not execute a transaction, or did not answer. `NoAnswer`: whether it was executed is not known. `Refused`: etcd has
 * answered that it was not, for example because it denied access. `cause` is what the driver reports.
 *
 * @category errors
 */
export class EtcdError extends Data.TaggedError("EtcdError")<{
  readonly reason: "NoAnswer" | "Refused"
  readonly endpoint: string
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `etcd at ${this.endpoint} ${this.reason === "NoAnswer" ? "does not answer" : "refused"}: ${this.problem}`
  }
}

/**
 * A fence in etcd.
 *
 * @category models
 */
export interface EtcdFence {
  /**
   * Executes a transaction if the key of the fence has no later term than this server, and puts its term there. It fails with
   * `Stale` otherwise, and then executes neither branch. The comparisons and operations are those of the JSON gateway.
   */
  readonly transaction: (
    transaction: Etcd.EtcdTransaction
  ) => Effect.Effect<Etcd.EtcdResult, Stale | NoTerm | EtcdError, BinaryStar>
}

/**
 * Options of a fence in etcd.
 *
 * @category models
 */
export interface EtcdOptions {
  /** What is fenced, the same on both servers: the key is `bstar-fence/NAME`. */
  readonly name: string
  /** The JSON gateway, such as `http://10.0.0.3:2379`. */
  readonly endpoint: string
  /**
   * Whom etcd authenticates, where its authentication is enabled. The role needs `readwrite` on the key of the fence, and on those
   * of the transactions. Tokens are renewed.
   */
  readonly user?: EtcdGateway.User | undefined
}

/**
 * Makes a fence in etcd (3.4 or newer), and its key. Certificates for TLS are those of the `HttpClient`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Fence from "effect-binary-star/Fence"
 *
 * // Keys and values are in Base64.
 * export const put = (key: string, value: string) =>
 *   Effect.gen(function*() {
 *     const fence = yield* Fence.etcd({ name: "orders", endpoint: "http://10.0.0.3:2379" })
 *     yield* fence.transaction({ success: [{ request_put: { key, value } }] })
 *   })
 * ```
 *
 * @category constructors
 */
export const etcd = (
  { endpoint, name, user }: EtcdOptions
): Effect.Effect<EtcdFence, EtcdError, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const request = yield* EtcdGateway.make({ urls: [endpoint], user })
    const key = Etcd.keyOf(name)
    const execute = <A, I>(transaction: Etcd.EtcdTransaction, schema: Schema.Schema<A, I>) =>
      request("/v3/kv/txn", transaction, schema).pipe(
        Effect.mapBoth({
          onFailure: ({ cause, problem, reason }) => new EtcdError({ reason, endpoint, problem, cause }),
          onSuccess: ({ answer }) => answer
        })
      )
    yield* execute(Etcd.create(key), Etcd.Result)
    return {
      transaction: (transaction) =>
        Effect.gen(function*() {
          const term = yield* currentTerm
          const answer = yield* execute(Etcd.guard(key, Term.toToken(term), transaction), Etcd.Guarded)
          if (answer.succeeded) {
            return answer.responses[1].response_txn
          }
          const kept = Etcd.keptToken(answer.responses[0].response_range)
          return yield* new Stale({ name, term, latest: kept === undefined ? undefined : Term.ofToken(kept) })
        })
    }
  })
