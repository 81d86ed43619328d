/** A witness in a table of an SQL database, through the `SqlClient` of `@effect/sql`. Tested with PostgreSQL. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Witness, WitnessError } from "../ports/Witness.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { validate } from "../settings/Validation.ts"
import * as WitnessEndpoint from "../wire/WitnessEndpoint.ts"
import { problemOf } from "./problem.ts"
import * as register from "./register.ts"
import * as session from "./session.ts"

/**
 * Options of a witness in a database.
 *
 * @category models
 */
export interface Options {
  /** The name of the pair, the same on both members: the key of its row. */
  readonly name: string
  /** The database for people, without secrets. Defaults to `sql`. */
  readonly endpoint?: string | undefined
}

/**
 * The statement that creates the table. A member itself needs no more than SELECT, INSERT and UPDATE on it.
 *
 * @category constructors
 */
export const createTable =
  "CREATE TABLE IF NOT EXISTS bstar_witness (name VARCHAR(100) PRIMARY KEY, version BIGINT NOT NULL, record TEXT NOT NULL)"

const Name = Schema.Struct({
  name: Schema.String.pipe(Schema.filter(WitnessEndpoint.isName, {
    message: ({ actual }) => `expected a name such as "orders", got ${JSON.stringify(actual)}`
  }))
})

interface Row {
  readonly version: string
  readonly record: string
}

const storedOf = ([row]: ReadonlyArray<Row>): Option.Option<register.Stored> =>
  Option.map(Option.fromNullable(row), ({ record, version }) => ({ version, json: record }))

/** Large integers are read as text: drivers disagree about their type. */
const lookUp = (sql: SqlClient.SqlClient, name: string) =>
  Effect.map(
    sql<Row>`SELECT CAST(version AS VARCHAR(20)) AS version, record FROM bstar_witness WHERE name = ${name}`,
    storedOf
  )

/** One statement, which returns the new version if it has replaced or created the row. */
const store = (sql: SqlClient.SqlClient, name: string, expected: Option.Option<string>, json: string) =>
  Option.match(expected, {
    onNone: () =>
      sql<Pick<Row, "version">>`INSERT INTO bstar_witness (name, version, record) VALUES (${name}, 1, ${json})
        ON CONFLICT DO NOTHING RETURNING CAST(version AS VARCHAR(20)) AS version`,
    onSome: (version) =>
      sql<Pick<Row, "version">>`UPDATE bstar_witness SET version = version + 1, record = ${json}
        WHERE name = ${name} AND version = CAST(${version} AS BIGINT)
        RETURNING CAST(version AS VARCHAR(20)) AS version`
  })

const swap = (sql: SqlClient.SqlClient, name: string, expected: Option.Option<string>, json: string) =>
  Effect.gen(function*() {
    const [row] = yield* store(sql, name, expected, json)
    return row === undefined
      ? { _tag: "Conflict", stored: yield* lookUp(sql, name), mayBeOwn: false } as const
      : { _tag: "Swapped", version: row.version } as const
  })

/**
 * Makes a witness in a database. Its client is built when it is first needed, and built anew after it could not be built and after
 * a request was interrupted, so that no later request waits behind one that is not answered. It should be a client of its own: while
 * a pool is exhausted by an application, the witness would not answer. It needs a timeout for connections of a few seconds (the
 * `connectTimeout` of `PgClient`, which has none by default): without one each interrupted request leaves a connection open as long
 * as the database stands still. Fails only if the options are invalid.
 *
 * @category constructors
 */
export const make = <E, R>(
  options: Options,
  client: Layer.Layer<SqlClient.SqlClient, E, R>
): Effect.Effect<Witness["Type"], InvalidConfig, R | Scope.Scope> =>
  Effect.gen(function*() {
    const { name } = yield* validate(Name, { name: options.name })
    const endpoint = options.endpoint ?? "sql"
    const fail = (error: unknown): WitnessError =>
      new WitnessError({ reason: reasonOf(error), endpoint, problem: problemOf(error), cause: error })
    const run = yield* session.make(SqlClient.SqlClient, client)
    return register.make({
      endpoint,
      place: `the row ${name} of the table bstar_witness`,
      look: Effect.mapError(run((sql) => lookUp(sql, name)), fail),
      swap: (expected, json) => Effect.mapError(run((sql) => swap(sql, name, expected, json)), fail)
    })
  })

/**
 * An error with a code of five characters is an answer of the database, unless it is one about the connection or a shutdown. Those of
 * the operating system, such as `EPIPE`, begin with `E`, as no class of SQLSTATE does.
 */
const reasonOf = (error: unknown): WitnessError["reason"] => {
  for (let cause = error; typeof cause === "object" && cause !== null; cause = (cause as { cause?: unknown }).cause) {
    const code = (cause as { readonly code?: unknown }).code
    if (typeof code === "string") {
      return /^(?!08|57P|E)[0-9A-Z]{5}$/.test(code) ? "Refused" : "NoAnswer"
    }
  }
  return "NoAnswer"
}

/**
 * A witness in a database. See {@link make}.
 *
 * @example
 * ```ts
 * import * as PgClient from "@effect/sql-pg/PgClient"
 * import * as SqlWitness from "effect-binary-star/SqlWitness"
 *
 * const client = PgClient.layer({ host: "10.0.0.3", database: "bstar", username: "bstar", connectTimeout: "5 seconds" })
 *
 * export const Witness = SqlWitness.layer({ name: "orders" }, client)
 * ```
 *
 * @category layers
 */
export const layer = <E, R>(
  options: Options,
  client: Layer.Layer<SqlClient.SqlClient, E, R>
): Layer.Layer<Witness, InvalidConfig, Exclude<R, Scope.Scope>> => Layer.scoped(Witness, make(options, client))
