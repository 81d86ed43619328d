/**
 * A job that runs on a schedule, on one of two machines: `BSTAR_ROLE=primary BSTAR_POLICY=hardened npx tsx singleton.ts`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Console, Effect, Layer, Schedule } from "effect"
import { BinaryStar, BinaryStarConfig, Handler, Zmq } from "effect-binary-star"

const job = Effect.acquireUseRelease(
  Console.log("job: here"),
  () => Effect.repeat(Console.log("job: cleaning up"), Schedule.cron("* * * * * *")),
  () => Console.log("job: ended")
)

const Singleton = Layer.unwrapEffect(Effect.map(BinaryStarConfig.config, (config) => {
  const options = { ...config, vote: "self" } as const
  return BinaryStar.layer(options, Handler.echo).pipe(Layer.provide(Zmq.layerWithoutClients(options)))
}))

BinaryStar.whileActive(job).pipe(
  Effect.provide(Singleton),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
