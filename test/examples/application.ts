/**
 * A pair inside an application that already has an HttpServer. Both applications answer HTTP. The active one answers the clients
 * of the pair, and has the report: a layer that exists while this server is active.
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened PORT=8080 npx tsx application.ts
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, ConfigProvider, Console, Effect, Layer } from "effect"
import { BinaryStar, BinaryStarConfig, Frames, Zmq } from "effect-binary-star"
import { createServer } from "node:http"

const Pair = BinaryStar.layerConfig(
  BinaryStarConfig.config,
  ({ body }) => Effect.succeed(`hello ${Frames.toString(body)}`)
).pipe(Layer.provide(Zmq.layerConfig(BinaryStarConfig.config)))

const Report = BinaryStar.layerWhileActive(Layer.scopedDiscard(Effect.acquireRelease(
  Console.log("report: open"),
  () => Console.log("report: closed")
)))

const router = HttpRouter.empty.pipe(
  HttpRouter.get("/", HttpServerResponse.text("hello")),
  HttpRouter.get(
    "/active",
    Effect.gen(function*() {
      const member = yield* BinaryStar.BinaryStar
      const state = yield* member.state
      return yield* HttpServerResponse.json({ role: member.role, state }, { status: state === "ACTIVE" ? 200 : 503 })
    })
  )
)

const Http = Layer.unwrapEffect(Effect.map(
  Config.integer("PORT"),
  (port) =>
    HttpServer.serve(router).pipe(
      HttpServer.withLogAddress,
      Layer.provide(NodeHttpServer.layer(createServer, { port }))
    )
))

const environment = ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)

Layer.build(Layer.merge(Http, Report)).pipe(
  Effect.zipRight(Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join)),
  Effect.scoped,
  Effect.provide(Pair),
  Effect.provide(BinaryStar.layerScheduler),
  Effect.withConfigProvider(ConfigProvider.orElse(environment, ConfigProvider.fromEnv)),
  NodeRuntime.runMain
)
