/**
 * An RPC service on a pair, and its client.
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened npx tsx rpc.ts serve
 *     BSTAR_ROLE=backup BSTAR_POLICY=hardened npx tsx rpc.ts serve
 *     npx tsx rpc.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
import { Config, ConfigProvider, Console, Effect, Layer, Schema, Stream } from "effect"
import { BinaryStar, BinaryStarClient, BinaryStarConfig, Zmq, ZmqClientLink } from "effect-binary-star"
import * as BinaryStarRpc from "effect-binary-star/BinaryStarRpc"

class Words extends RpcGroup.make(
  // Looking a word up twice does no harm, so that the call is sent again when its server is lost.
  Rpc.make("Length", { payload: { word: Schema.String }, success: Schema.Number }).annotate(BinaryStarRpc.Resend, true),
  Rpc.make("Letters", { payload: { word: Schema.String }, success: Schema.String, stream: true })
) {}

const handlers = Words.toLayer({
  Length: ({ word }) => Effect.succeed(word.length),
  Letters: ({ word }) => Stream.fromIterable(word)
})

const Protocol = Layer.unwrapEffect(
  Effect.map(
    BinaryStarConfig.config,
    (options) => BinaryStarRpc.layerProtocolServer(options).pipe(Layer.provide(Zmq.layer(options)))
  )
)

const Server = RpcServer.layer(Words).pipe(Layer.provide(handlers), Layer.provideMerge(Protocol))

const serve = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(Effect.provide(Server))

const Client = Layer.unwrapEffect(Effect.map(
  Config.withDefault(Config.array(Config.string(), "servers"), BinaryStarClient.defaults.servers),
  (servers) => BinaryStarRpc.layerProtocolClient(Words).pipe(Layer.provide(BinaryStarClient.layer({ servers })))
)).pipe(Layer.provide(ZmqClientLink.layer))

const client = Effect.gen(function*() {
  const words = yield* RpcClient.make(Words)
  yield* Console.log(yield* words.Length({ word: "star" }))
  yield* Stream.runForEach(words.Letters({ word: "star" }), Console.log)
}).pipe(Effect.scoped, Effect.provide(Client))

const program = Effect.gen(function*() {
  yield* process.argv[2] === "serve" ? serve : client
})

program.pipe(
  Effect.provide(RpcSerialization.layerMsgPack),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
