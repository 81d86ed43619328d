import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, ConfigProvider, Console, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarClient, BinaryStarConfig, Frames, Handler, Zmq, ZmqClientLink } from "effect-binary-star"
import * as Curve from "effect-binary-star/Curve"

const Server = Layer.unwrapEffect(Effect.gen(function*() {
  const options = yield* BinaryStarConfig.config
  const security = Curve.server(yield* Config.string("keys"), options.role)
  return BinaryStar.layer(options, Handler.echo).pipe(Layer.provide(Zmq.layer({ ...options, security })))
}))

const Client = Layer.unwrapEffect(Effect.gen(function*() {
  const servers = yield* Config.array(Config.string(), "servers")
  const security = Curve.client(yield* Config.string("keys"))
  return BinaryStarClient.layer({ servers }).pipe(Layer.provide(ZmqClientLink.layerCurve(security)))
}))

const serve = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(Effect.provide(Server))

const client = Effect.gen(function*() {
  const client = yield* BinaryStarClient.BinaryStarClient
  yield* Console.log(Frames.toString(yield* client.request("hello")))
}).pipe(Effect.provide(Client))

const program = Effect.gen(function*() {
  yield* process.argv[2] === "serve" ? serve : client
})

program.pipe(
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
