import * as PgClient from "@effect/sql-pg/PgClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import { Witness } from "../../src/ports/Witness.ts"
import * as SqlWitness from "../../src/witness/SqlWitness.ts"
import { Engine, recordOf, witnessSuite } from "../ports/witnessSuite.ts"
import { makeCertificates, opensslIsMissing } from "../support/certificates.ts"
import { makeLossyProxy, makeSilentServer } from "../support/lossyProxy.ts"
import { password, postgresIsMissing, startPostgres } from "../support/postgres.ts"
import { eventually } from "../support/sockets.ts"
import { connect, failure, layerAt } from "./support.ts"

/** The table, and a user that may do with it what a member does. */
const prepared = [
  SqlWitness.createTable,
  `CREATE ROLE member LOGIN PASSWORD '${password}'`,
  "GRANT SELECT, INSERT, UPDATE ON bstar_witness TO member"
]

const suite = (
  name: string,
  layerOf: (port: number, pair: string) => Layer.Layer<Witness, unknown>,
  { scheduler }: { readonly scheduler?: Layer.Layer<never> } = {}
) =>
  witnessSuite(
    name,
    Layer.scoped(
      Engine,
      Effect.gen(function*() {
        const { execute, kill, pause, port, resume, start } = yield* startPostgres()
        yield* execute(...prepared)
        return {
          makeRegister: Effect.sync(() => {
            const layer = layerOf(port, crypto.randomUUID())
            return {
              layers: { primary: layer, backup: layer },
              pause,
              resume,
              crash: { kill, start },
              executesLate: true
            }
          })
        }
      })
    ),
    { crashes: true, missing: postgresIsMissing, scheduler }
  )

/** A client as a user of the library provides it: it connects when it is built, and fails without its server. */
const clientAt = (port: number, connectTimeout: Duration.DurationInput = "5 seconds") =>
  PgClient.layer({
    connectTimeout,
    host: "127.0.0.1",
    port,
    database: "postgres",
    username: "member",
    password: Redacted.make(password),
    maxConnections: 4
  })

const urlOf = (port: number, name: string, more = "") =>
  `postgres://member@127.0.0.1:${port}/postgres?pair=${name}${more}`

suite("in PostgreSQL", (port, name) => SqlWitness.layer({ name }, clientAt(port)))

suite("in PostgreSQL, as the program connects", (port, name) => layerAt(urlOf(port, name), { password }), {
  scheduler: BinaryStar.layerScheduler
})

const create = (witness: Witness["Type"], number: number) =>
  Effect.map(witness.swap(Option.none(), recordOf(number)), (result) => {
    assert.strictEqual(result._tag, "Swapped")
    return Option.some((result as typeof result & { readonly _tag: "Swapped" }).version)
  })

const numberAt = (witness: Witness["Type"]) =>
  Effect.map(witness.look, (seen) => Option.getOrUndefined(seen)?.record.number)

describe.skipIf(postgresIsMissing !== undefined)(`PostgreSQL ${postgresIsMissing ?? ""}`, () => {
  it.scopedLive("what is missing is named: the table, the permission, the password, the user", () =>
    Effect.gen(function*() {
      const { execute, port } = yield* startPostgres()
      const member = yield* connect(urlOf(port, "orders"), { password })
      assert.match(yield* failure(member.look), /^(Refused|NoAnswer): (password authentication failed|role "member")/)
      yield* execute(prepared[1]!)
      assert.match(yield* failure(member.look), /^Refused: relation "bstar_witness" does not exist/)
      yield* execute(prepared[0]!)
      assert.match(yield* failure(member.look), /^Refused: permission denied for table bstar_witness/)
      yield* execute(prepared[2]!)
      yield* create(member, 1)

      const wrong = yield* connect(urlOf(port, "orders"), { password: "wrong" })
      assert.match(yield* failure(wrong.look), /^Refused: password authentication failed for user "member"/)
      const none = yield* connect(urlOf(port, "orders"))
      assert.match(yield* failure(none.look), /^NoAnswer: the server asks for a password: BSTAR_WITNESS_PASSWORD/)
      const nowhere = yield* connect(urlOf(port, "orders").replace("/postgres?", "/nowhere?"), { password })
      assert.match(yield* failure(nowhere.look), /^Refused: database "nowhere" does not exist/)
    }))

  it.scopedLive("a record that somebody else has written is refused, and neither read nor replaced", () =>
    Effect.gen(function*() {
      const { execute, port } = yield* startPostgres()
      yield* execute(...prepared, "INSERT INTO bstar_witness VALUES ('orders', 1, 'something else')")
      const witness = yield* connect(urlOf(port, "orders"), { password })
      const expected =
        "Refused: the row orders of the table bstar_witness contains something else than a record of a pair"
      assert.strictEqual(yield* failure(witness.look), expected)
      assert.strictEqual(yield* failure(witness.swap(Option.none(), recordOf(1))), expected)
    }))

  it.scopedLive("a swap whose answer is lost is executed, and not reported as a conflict", () =>
    Effect.gen(function*() {
      const { execute, port } = yield* startPostgres()
      yield* execute(...prepared)
      const proxy = yield* makeLossyProxy(port)
      const direct = yield* connect(urlOf(port, "orders"), { password })
      const witness = yield* connect(urlOf(proxy.port, "orders"), { password })
      let version = yield* create(direct, 1)
      for (const [number, fate] of [[2, "reset"], [3, "lost"], [4, "lost"]] as const) {
        yield* proxy.answers("pass")
        yield* witness.look
        yield* proxy.answers(fate)
        const swap = witness.swap(version, recordOf(number))
        if (fate === "lost") {
          assert.isTrue(Option.isNone(yield* Effect.timeoutOption(swap, "500 millis")))
        } else {
          assert.match(yield* failure(swap), /^NoAnswer: /)
        }
        yield* eventually(Effect.map(numberAt(direct), (found) => found === number))
        version = Option.map(yield* direct.look, (seen) => seen.version)
      }
    }))

  it.scopedLive("after a cut the next request has a new connection, and no connection stays behind", () =>
    Effect.gen(function*() {
      const { execute, port } = yield* startPostgres()
      yield* execute(...prepared)
      const proxy = yield* makeLossyProxy(port)
      const witness = yield* connect(urlOf(proxy.port, "orders"), { password })
      yield* create(witness, 1)
      yield* proxy.answers("lost")
      for (let i = 0; i < 20; i++) {
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(witness.look, "50 millis")))
      }
      yield* proxy.answers("pass")
      assert.strictEqual(yield* numberAt(witness), 1)
      yield* eventually(Effect.sync(() => proxy.openCount() <= 2))
    }))

  it.scopedLive("an engine that stands still keeps no connection of a request that was given up for longer than connectTimeout", () =>
    Effect.gen(function*() {
      const { openCount, port } = yield* makeSilentServer
      const layer = SqlWitness.layer({ name: "orders" }, clientAt(port, "1 second"))
      const { look } = Context.get(yield* Layer.build(layer), Witness)
      for (let i = 0; i < 10; i++) {
        assert.isTrue(Option.isNone(yield* Effect.timeoutOption(look, "20 millis")))
      }
      yield* eventually(Effect.sync(() => openCount() > 0))
      yield* eventually(Effect.sync(() => openCount() === 0))
    }))

  it.scopedLive("a client that cannot be built keeps nobody from starting, and is built when the database is there", () =>
    Effect.gen(function*() {
      const server = yield* startPostgres()
      yield* server.execute(...prepared)
      yield* server.kill
      const layer = SqlWitness.layer({ name: "orders", endpoint: "the database" }, clientAt(server.port))
      const witness = Context.get(yield* Layer.build(layer), Witness)
      for (let i = 0; i < 3; i++) {
        assert.match(yield* failure(witness.look), /^NoAnswer: .*ECONNREFUSED/)
      }
      assert.match((yield* Effect.flip(witness.look)).message, /^the witness at the database does not answer: /)
      yield* server.start
      assert.deepStrictEqual(yield* Effect.retry(witness.look, Schedule.spaced("20 millis")), Option.none())
    }))

  it.scopedLive("an error of the operating system is no answer", () =>
    Effect.gen(function*() {
      for (const [code, reason] of [["EPIPE", "NoAnswer"], ["42501", "Refused"], ["08006", "NoAnswer"]] as const) {
        const cause = Object.assign(new Error(`failed by ${code}`), { code })
        const { look } = yield* SqlWitness.make({ name: "orders" }, Layer.fail(new SqlError({ cause })))
        assert.strictEqual(yield* failure(look), `${reason}: failed by ${code}`)
      }
    }))

  it.scopedLive("wrong options are named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SqlWitness.make({ name: "a b" }, clientAt(1)))
      assert.match(error.message, /name.*"a b"/)
    }))

  describe.skipIf(opensslIsMissing !== undefined)(`TLS ${opensslIsMissing ?? ""}`, () => {
    it.scopedLive("the certificate of the server is verified as sslmode says, and this server's is presented", () =>
      Effect.gen(function*() {
        const { authority, client, server, stranger } = yield* makeCertificates("member")
        const { execute, port } = yield* startPostgres({ tls: { ...server, authority } })
        yield* execute(...prepared)
        const read = (file: string) => fs.readFileSync(file, "utf8")
        const [ca, other] = [read(authority), read(stranger)]
        const own = { cert: read(client.certificate), key: read(client.key) }
        const look = (more: string, given: object, host = "127.0.0.1") =>
          Effect.flatMap(
            connect(urlOf(port, "orders", more).replace("127.0.0.1", host), { password, ...given }),
            ({ look }) => Effect.match(look, { onFailure: ({ problem }) => problem, onSuccess: () => "ok" })
          )
        assert.strictEqual(yield* look("", { ca, ...own }), "ok")
        assert.strictEqual(yield* look("&sslmode=verify-full", { ca }), "ok")
        assert.strictEqual(yield* look("&sslmode=require", {}), "ok")
        assert.match(yield* look("", { ca: other }), /certificate/)
        assert.match(yield* look("&sslmode=require", { ca: other }), /certificate/)
        assert.match(yield* look("&sslmode=verify-ca", {}), /certificate/)
        assert.strictEqual(yield* look("&sslmode=verify-ca", { ca }, "localhost"), "ok")
        assert.match(yield* look("&sslmode=verify-full", { ca }, "localhost"), /does not match certificate/)
        assert.match(yield* look("", {}), /no pg_hba.conf entry/)
      }))
  })
})
