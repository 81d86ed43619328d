import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarConfig, Handler, Zmq } from "effect-binary-star"
import * as EtcdWitness from "effect-binary-star/EtcdWitness"
import * as SqlWitness from "effect-binary-star/SqlWitness"

const InPostgres = SqlWitness.layer(
  { name: "orders" },
  PgClient.layerConfig({ url: Config.redacted("database"), connectTimeout: Config.succeed("5 seconds") })
)

const OnEtcd = Layer.unwrapEffect(Effect.gen(function*() {
  const urls = yield* Config.array(Config.string(), "etcd")
  return EtcdWitness.layer({ urls, name: "orders" }).pipe(Layer.provide(NodeHttpClient.layerUndici))
}))

const serverWith = (witness: typeof InPostgres | typeof OnEtcd) =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const options = yield* BinaryStarConfig.config
    return BinaryStar.layer({ ...options, policy: "witnessed" }, Handler.echo).pipe(
      Layer.provide(Layer.merge(Zmq.layer(options), witness))
    )
  }))

const program = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(serverWith(process.argv[2] === "etcd" ? OnEtcd : InPostgres)),
  Effect.provide(BinaryStar.layerScheduler)
)

program.pipe(
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
