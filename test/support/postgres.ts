/** A server of PostgreSQL. */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import type { Scope } from "effect"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Engine, EngineError, Host } from "./engine.ts"
import { runTool, startEngine, temporaryDirectory, thisHost, writeFile } from "./engine.ts"
import { freePorts } from "./ports.ts"

const versions = "/usr/lib/postgresql"

const bin = (fs.existsSync(versions) ? fs.readdirSync(versions) : [])
  .sort((a, b) => Number(b) - Number(a))
  .map((version) => path.join(versions, version, "bin"))
  .find((directory) => fs.existsSync(path.join(directory, "initdb")))

/** Why there is no PostgreSQL here. */
export const postgresIsMissing = bin === undefined
  ? "PostgreSQL is not installed: apt-get install postgresql"
  : undefined

/** The owner of the database, and the password of every user. */
export const owner = "owner"
export const password = "correct horse"

export interface Options {
  /** Files for TLS; with an authority, clients need a certificate. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly authority?: string }
  /** Defaults to this host. */
  readonly host?: Host
}

export interface Postgres extends Engine {
  /** Runs statements as the owner. */
  readonly execute: (...statements: ReadonlyArray<string>) => Effect.Effect<void>
}

const execute = (address: string, port: number, statements: ReadonlyArray<string>, ssl: boolean) =>
  Effect.gen(function*() {
    const client = yield* PgClient.make({
      host: address,
      port,
      username: owner,
      password: Redacted.make(password),
      database: "postgres",
      connectTimeout: "2 seconds",
      maxConnections: 1,
      ...(ssl ? { ssl: { rejectUnauthorized: false } } : {})
    })
    yield* Effect.forEach(statements, (statement) => client.unsafe(statement), { discard: true })
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

/** Starts PostgreSQL. It is ready. */
export const startPostgres = (
  { host = thisHost, tls }: Options = {}
): Effect.Effect<Postgres, EngineError, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const data = path.join(directory, "data")
    const passwordFile = path.join(directory, "password")
    writeFile(passwordFile, `${password}\n`)
    yield* runTool(
      path.join(bin!, "initdb"),
      ["-D", data, "-U", owner, `--pwfile=${passwordFile}`, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N"],
      directory
    )
    const settings = {
      listen_addresses: host.address,
      unix_socket_directories: "",
      shared_buffers: "16MB",
      max_connections: "60",
      ...(tls === undefined ? {} : { ssl: "on", ssl_cert_file: tls.certificate, ssl_key_file: tls.key }),
      ...(tls?.authority === undefined ? {} : { ssl_ca_file: tls.authority })
    }
    if (tls !== undefined) {
      writeFile(
        path.join(data, "pg_hba.conf"),
        `hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all ${owner} 127.0.0.1/32 scram-sha-256\n`
      )
    }
    if (host !== thisHost) {
      fs.appendFileSync(path.join(data, "pg_hba.conf"), "host all all samenet scram-sha-256\n")
    }
    const engine = yield* startEngine(directory, Effect.promise(() => freePorts(1)), ([port]) => ({
      command: path.join(bin!, "postgres"),
      args: [
        ...["-D", data, "-p", String(port)],
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
      ],
      isReady: execute(host.address, port!, ["SELECT 1"], false)
    }), host)
    return {
      ...engine,
      execute: (...statements) => Effect.orDie(execute(host.address, engine.port, statements, false))
    }
  })
