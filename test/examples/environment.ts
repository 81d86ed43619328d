import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarConfig, Frames, Zmq } from "effect-binary-star"

/** A store of keys and values: `key` gets, `key value` sets. Configured by BSTAR_ROLE, BSTAR_POLICY, BSTAR_FRONTEND ... */
const values = new Map<string, string>()

const Pair = BinaryStar.layerConfig(BinaryStarConfig.config, ({ body }) => {
  const [key = "", value] = Frames.toString(body).split(" ")
  if (value !== undefined) {
    values.set(key, value)
  }
  return values.get(key) ?? ""
}).pipe(Layer.provide(Zmq.layerConfig(BinaryStarConfig.config)))

const environment = ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)

Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(Pair),
  Effect.withConfigProvider(environment),
  NodeRuntime.runMain
)
