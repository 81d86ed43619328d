// A member of a pair whose handler is an Effect: `effectServer.mjs FRONTEND STATE PEER`.
import { Effect, Layer, Logger } from "effect"
import { BinaryStar, Zmq } from "effect-binary-star"

const [, , frontend, state, peer] = process.argv
const options = { role: "primary", policy: "classic", frontend, stateEndpoint: state, peerEndpoint: peer }
const handler = ({ body }) =>
  Effect.gen(function*() {
    return yield* Effect.succeed(body)
  })

Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(BinaryStar.layer(options, handler).pipe(Layer.provide(Zmq.layer(options)))),
  Effect.provide(BinaryStar.layerScheduler),
  Effect.provide(Logger.remove(Logger.defaultLogger)),
  Effect.runFork
)
console.log("ready")
