/**
 * A key-value service with typed messages. Start two servers, and use them:
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened npx tsx keyValue.ts serve
 *     BSTAR_ROLE=backup BSTAR_POLICY=hardened npx tsx keyValue.ts serve
 *     npx tsx keyValue.ts set color red
 *     npx tsx keyValue.ts get color
 *
 * The pair does not replicate the state of its active server. Keep it in a store that both servers reach.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, ConfigProvider, Console, Effect, Layer, Schema } from "effect"
import { BinaryStar, BinaryStarClient, BinaryStarConfig, Contract, Zmq, ZmqClientLink } from "effect-binary-star"

const Get = Schema.TaggedStruct("Get", { key: Schema.NonEmptyString })
const Set = Schema.TaggedStruct("Set", { key: Schema.NonEmptyString, value: Schema.String })
class NoSuchKey extends Schema.TaggedError<NoSuchKey>()("NoSuchKey", { key: Schema.String }) {}

const KeyValue = Contract.make({
  request: Schema.Union(Get, Set),
  reply: Schema.Struct({ value: Schema.String }),
  error: NoSuchKey
})

const values = new Map<string, string>()

const handler = KeyValue.handler((request) => {
  if (request._tag === "Set") {
    values.set(request.key, request.value)
  }
  const value = values.get(request.key)
  return value === undefined ? Effect.fail(new NoSuchKey({ key: request.key })) : Effect.succeed({ value })
})

const serve = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(BinaryStar.layerConfig(BinaryStarConfig.config, handler)),
  Effect.provide(Zmq.layerConfig(BinaryStarConfig.config))
)

const Client = Layer.unwrapEffect(Effect.map(
  Config.withDefault(Config.array(Config.string(), "servers"), BinaryStarClient.defaults.servers),
  (servers) => BinaryStarClient.layer({ servers })
)).pipe(Layer.provide(ZmqClientLink.layer))

const send = (request: typeof Get.Type | typeof Set.Type) =>
  KeyValue.request(request).pipe(
    Effect.flatMap(({ value }) => Console.log(value)),
    Effect.catchTag("NoSuchKey", ({ key }) => Console.log(`there is no ${key}`)),
    Effect.provide(Client)
  )

const [command, key = "", value = ""] = process.argv.slice(2)
const program = Effect.gen(function*() {
  yield* command === "serve" ? serve : send(command === "set" ? Set.make({ key, value }) : Get.make({ key }))
})

program.pipe(
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
