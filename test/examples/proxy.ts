/**
 * A pair that forwards requests to workers in any language, such as worker.py: the command `bstar proxy` within an application.
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened BSTAR_BACKEND=tcp://*:5005 npx tsx proxy.ts
 *     BSTAR_ROLE=backup BSTAR_POLICY=hardened BSTAR_BACKEND=tcp://*:5006 npx tsx proxy.ts
 *     python3 worker.py tcp://localhost:5005 tcp://localhost:5006
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarConfig, Proxy, Zmq, ZmqBackend } from "effect-binary-star"

const settings = Config.all([BinaryStarConfig.config, Config.string("backend")])

const Pair = Layer.unwrapEffect(Effect.map(settings, ([options, backend]) =>
  Proxy.layer(options).pipe(
    Layer.provide(Layer.merge(Zmq.layer(options), ZmqBackend.layer({ backend })))
  )))

Effect.flatMap(Proxy.Proxy, ({ join }) => join).pipe(
  Effect.provide(Pair),
  Effect.provide(BinaryStar.layerScheduler),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
