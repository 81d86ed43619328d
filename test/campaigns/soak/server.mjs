// A server of the library whose handler is an effect, with metrics of its fibers and of the memory that is in use after a garbage
// collection, which it makes every five seconds. It has the arguments of `bstar`, such as --http and --peer-http. Commands need the token `soak`.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Logger, Metric, Redacted, RuntimeFlags } from "effect"
import { BinaryStar, Zmq } from "effect-binary-star"
import * as StatusServer from "effect-binary-star/StatusServer"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc")
const live = Metric.gauge("soak_live_mebibytes")

setInterval(() => {
  collect()
  const { external, heapUsed } = process.memoryUsage()
  Effect.runSync(Metric.set(live, (external + heapUsed) / 2 ** 20))
}, 5000).unref()

const text = { type: "string" }
const { values } = parseArgs({
  options: {
    "p": { type: "boolean", short: "p" },
    "b": { type: "boolean", short: "b" },
    "frontend": text,
    "state": text,
    "peer": text,
    "heartbeat": text,
    "policy": text,
    "log-format": text,
    "http": text,
    "peer-http": text
  }
})
const { frontend, heartbeat, http, peer, policy, state } = values
const options = {
  ...{ role: values.p ? "primary" : "backup", policy, frontend, stateEndpoint: state, peerEndpoint: peer, heartbeat },
  // So small that the abuse reaches the limits.
  ...{ maxMemory: 256, handshakeTimeout: "1 second", ping: "2 seconds" }
}

const Pair = BinaryStar.layer(options, ({ body }) => Effect.as(Effect.sleep(0), body)).pipe(
  Layer.provide(Zmq.layer(options))
)

Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
  Effect.provide(
    StatusServer.around(Pair, { http, peerHttp: values["peer-http"], token: Redacted.make("soak") })
  ),
  Effect.provide([
    BinaryStar.layerScheduler,
    Logger.replace(Logger.defaultLogger, Logger.jsonLogger.pipe(Logger.withConsoleLog)),
    RuntimeFlags.enableRuntimeMetrics
  ]),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true })
)
