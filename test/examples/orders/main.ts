/**
 * A service that survives the loss of either server, and never writes twice: orders in PostgreSQL. The same database is the witness
 * of the pair. It needs the two servers and the database to be three machines.
 *
 *     export BSTAR_DATABASE=postgres://orders:secret@10.0.0.3/orders
 *     npx tsx main.ts setup                                   # once: the tables
 *     BSTAR_ROLE=primary BSTAR_POLICY=witnessed npx tsx main.ts serve
 *     BSTAR_ROLE=backup BSTAR_POLICY=witnessed npx tsx main.ts serve
 *     npx tsx main.ts place order-1 "a star" 2
 *     npx tsx main.ts get order-1
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Config, ConfigProvider, Console, Effect, Layer, Schedule } from "effect"
import { BinaryStar, BinaryStarClient, BinaryStarConfig, Zmq, ZmqClientLink } from "effect-binary-star"
import * as SqlWitness from "effect-binary-star/SqlWitness"
import { Get, Orders, Place } from "./contract.ts"
import { createTables, layer } from "./service.ts"

const Database = PgClient.layerConfig({
  url: Config.redacted("database"),
  // Without one the driver waits for ever for a database that stands still.
  connectTimeout: Config.succeed("5 seconds")
})

/** It has connections of its own, so that it never waits for those of the service. */
const Witness = SqlWitness.layer({ name: "orders" }, Database)

const Server = Layer.unwrapEffect(Effect.map(
  BinaryStarConfig.config,
  (options) =>
    layer(options).pipe(
      // Only once the database answers.
      Layer.provide(Layer.retry(Database, Schedule.spaced("1 second"))),
      Layer.provide(Layer.merge(Zmq.layer(options), Witness))
    )
))

const serve = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(Effect.provide(Server))

const setup = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* createTables
  yield* sql.unsafe(SqlWitness.createTable)
}).pipe(Effect.provide(Database))

const Client = Layer.unwrapEffect(Effect.map(
  Config.withDefault(Config.array(Config.string(), "servers"), BinaryStarClient.defaults.servers),
  (servers) => BinaryStarClient.layer({ servers })
)).pipe(Layer.provide(ZmqClientLink.layer))

/** Under the same key, an order may be placed again as often as it takes. */
const send = (request: typeof Place.Type | typeof Get.Type) =>
  Orders.request(request).pipe(
    Effect.retry({
      while: ({ _tag }) => _tag === "Unavailable" || _tag === "RequestError",
      schedule: Schedule.spaced("1 second"),
      times: 10
    }),
    Effect.flatMap(({ id, item, quantity }) => Console.log(`order ${id}: ${quantity} x ${item}`)),
    Effect.provide(Client)
  )

const [command, key = "", item = "", quantity = "1"] = process.argv.slice(2)

const program = Effect.gen(function*() {
  switch (command) {
    case "serve":
      return yield* serve
    case "setup":
      return yield* setup
    case "place":
      return yield* send(Place.make({ key, item, quantity: Number(quantity) }))
    default:
      return yield* send(Get.make({ key }))
  }
})

program.pipe(
  Effect.provide(BinaryStar.layerScheduler),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
