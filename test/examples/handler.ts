/**
 * A handler with failures that its clients receive. Start two servers, and send `ping`, `21` or `hello` with a client of yours:
 *
 *     BSTAR_ROLE=primary BSTAR_POLICY=hardened npx tsx handler.ts
 *     BSTAR_ROLE=backup BSTAR_POLICY=hardened npx tsx handler.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ConfigProvider, Effect, Option } from "effect"
import { BinaryStar, BinaryStarConfig, Frames, Handler, Term, Zmq } from "effect-binary-star"

const handler: Handler.Handler = ({ body, client, term }) => {
  const text = Frames.toString(body)
  if (text === "ping") {
    return "pong"
  }
  return Effect.gen(function*() {
    if (!/^\d+$/.test(text)) {
      return yield* new Handler.RequestFailure({ reason: "Failed", body: "not a number" })
    }
    const token = Option.getOrElse(Option.map(term, Term.toToken), () => 0)
    yield* Effect.logInfo(`${text} of ${client}, token ${token}`)
    return String(2 * Number(text))
  })
}

Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(BinaryStar.layerConfig(BinaryStarConfig.config, handler)),
  Effect.provide(Zmq.layerConfig(BinaryStarConfig.config)),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
