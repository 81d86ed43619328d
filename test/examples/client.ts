import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { BinaryStarClient, Frames, ZmqClientLink } from "effect-binary-star"

const Client = BinaryStarClient.layer().pipe(Layer.provide(ZmqClientLink.layer))

const program = Effect.gen(function*() {
  const client = yield* BinaryStarClient.BinaryStarClient
  const reply = yield* client.request("hello")
  yield* Console.log(Frames.toString(reply))
})

program.pipe(Effect.provide(Client), NodeRuntime.runMain)
