/**
 * A server whose metrics go to OpenTelemetry, together with those of the application. Here they are written to the console
 * every second; an exporter of OTLP takes the place of `ConsoleMetricExporter`.
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened npx tsx telemetry.ts
 */
import * as Metrics from "@effect/opentelemetry/Metrics"
import * as Resource from "@effect/opentelemetry/Resource"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConsoleMetricExporter, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import { ConfigProvider, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarConfig, Handler, Zmq } from "effect-binary-star"
import * as MemberMetrics from "effect-binary-star/Metrics"

const Pair = BinaryStar.layerConfig(BinaryStarConfig.config, Handler.echo).pipe(
  Layer.provide(Zmq.layerConfig(BinaryStarConfig.config))
)

const Telemetry = Metrics.layer(() =>
  new PeriodicExportingMetricReader({
    exporter: new ConsoleMetricExporter(),
    exportIntervalMillis: 1000,
    exportTimeoutMillis: 1000
  })
).pipe(Layer.provide(Resource.layer({ serviceName: "echo" })))

Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => join).pipe(
  Effect.provide(Layer.provideMerge(Layer.merge(MemberMetrics.layer, Telemetry), Pair)),
  Effect.provide(BinaryStar.layerScheduler),
  Effect.withConfigProvider(
    ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)
  ),
  NodeRuntime.runMain
)
