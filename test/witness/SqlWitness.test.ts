import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import * as SqlWitness from "../../src/witness/SqlWitness.ts"
import { Engine, witnessSuite } from "../ports/witnessSuite.ts"
import { password, postgresIsMissing, startPostgres } from "../support/postgres.ts"

const engine = Layer.scoped(
  Engine,
  Effect.gen(function*() {
    const { execute, kill, pause, port, resume, start } = yield* startPostgres()
    yield* execute(
      SqlWitness.createTable,
      `CREATE ROLE member LOGIN PASSWORD '${password}'`,
      "GRANT SELECT, INSERT, UPDATE ON bstar_witness TO member"
    )
    const client = PgClient.layer({
      host: "127.0.0.1",
      port,
      database: "postgres",
      username: "member",
      password: Redacted.make(password),
      connectTimeout: "2 seconds",
      maxConnections: 4
    })
    return {
      makeRegister: Effect.sync(() => {
        const layer = SqlWitness.layer({ name: crypto.randomUUID() }, client)
        return { layers: { primary: layer, backup: layer }, pause, resume, crash: { kill, start }, executesLate: true }
      })
    }
  })
)

witnessSuite("in PostgreSQL", engine, { crashes: true, missing: postgresIsMissing })
