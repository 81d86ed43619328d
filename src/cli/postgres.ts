/** A witness in PostgreSQL, by the settings of the program. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as net from "node:net"
import type { ConnectionOptions } from "node:tls"
import Pg from "pg"
import * as Names from "../internal/Names.ts"
import { WitnessError } from "../ports/Witness.ts"
import * as WitnessEndpoint from "../wire/WitnessEndpoint.ts"
import * as SqlWitness from "../witness/SqlWitness.ts"
import type { Access, Connection } from "./engine.ts"

type PostgresAccess = Access<WitnessEndpoint.Postgres>

/** How long a connection may take to be made, and to be closed. */
const connectTimeout = Duration.seconds(5)
const closeTimeout = Duration.seconds(1)

/** As in libpq; where no mode is given, a certificate of an authority or of this server asks for the strictest. */
const tlsOf = ({ ca, cert, endpoint, key }: PostgresAccess): false | ConnectionOptions => {
  const mode = endpoint.sslMode ?? (ca === undefined && cert === undefined ? "disable" : "verify-full")
  return mode === "disable" ? false : {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key: Redacted.value(key) }),
    rejectUnauthorized: mode !== "require" || ca !== undefined,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined })
  }
}

/** The system's own look-up of a name would delay the end of this process while a name server does not answer. */
const makeSocket = (): net.Socket => {
  const socket = new net.Socket()
  const connect = socket.connect.bind(socket)
  return Object.assign(socket, {
    connect: (port: number, host: string) => connect({ port, host, lookup: Names.lookup })
  })
}

const noPassword = () => {
  throw new Error("the server asks for a password: BSTAR_WITNESS_PASSWORD, or --witness-password-file")
}

/** A pool connects when it is used, and recovers by itself. */
const makePool = (access: PostgresAccess) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { endpoint: { database, host, port, user }, password } = access
      const pool = new Pg.Pool({
        host,
        port,
        database,
        user,
        // Otherwise the driver would take one from its own variable or file.
        password: password === undefined ? noPassword : Redacted.value(password),
        stream: makeSocket,
        ssl: tlsOf(access),
        max: 2,
        connectionTimeoutMillis: Duration.toMillis(connectTimeout),
        application_name: "bstar"
      })
      // An idle connection that is lost is no failure of a request.
      return pool.on("error", () => {})
    }),
    (pool) =>
      Effect.promise(() => pool.end()).pipe(Effect.interruptible, Effect.disconnect, Effect.timeoutOption(closeTimeout))
  )

const quoted = (identifier: string): string => `"${identifier.replaceAll("\"", "\"\"")}"`

/** Settings of the server with which it may forget a committed transaction, or a replica that is behind. */
const doubtful = `SELECT
  current_setting('fsync') = 'off' AS "fsync is off: a crash may lose what was committed",
  current_setting('synchronous_commit') = 'off' AS "synchronous_commit is off: a crash may lose what was committed",
  pg_is_in_recovery() AS "this is a replica, which may be behind and cannot be written"`

/** The first record of a pair is inserted. The server checks the right for that although there is no row. */
const probe = "INSERT INTO bstar_witness (name, version, record) SELECT '', 0, '' WHERE false"

export const connect = (access: PostgresAccess): Connection => {
  const { endpoint } = access
  const name = WitnessEndpoint.format(endpoint)
  const client = PgClient.layerFromPool({ acquire: makePool(access) })
  const run = (statement: string) =>
    Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement)).pipe(
      Effect.provide(client),
      Effect.mapError(({ cause, message }) =>
        new WitnessError({
          reason: "Refused",
          endpoint: name,
          problem: cause instanceof Error && cause.message !== "" ? cause.message : message,
          cause
        })
      )
    )
  return {
    layer: SqlWitness.layer({ name: endpoint.name, endpoint: name }, client),
    prepare: Effect.as(run(SqlWitness.createTable), "the table bstar_witness was created"),
    preparation: [
      `${SqlWitness.createTable};`,
      `GRANT SELECT, INSERT, UPDATE ON bstar_witness TO ${quoted(endpoint.user)};`
    ].join("\n"),
    probe: Effect.asVoid(run(probe)),
    doubts: Effect.map(
      run(doubtful),
      ([row]) =>
        Object.entries(row ?? {}).flatMap(([doubt, holds]) =>
          holds === true ? [`the witness may forget what it has answered: ${doubt}`] : []
        )
    )
  }
}
