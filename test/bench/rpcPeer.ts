/**
 * A server or client of the RPC benchmark as a process: `rpcPeer.ts server|client plain|primary|backup ENDPOINT...`. The same
 * group, handlers and serialization over the TCP socket protocol of `@effect/rpc`, and over a pair.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { Effect, Layer, Schema } from "effect"
import { BinaryStar, BinaryStarClient, Zmq, ZmqClientLink } from "effect-binary-star"
import * as BinaryStarRpc from "effect-binary-star/BinaryStarRpc"

export interface Job {
  /** The number of pending calls, and the duration. */
  readonly window: number
  readonly seconds: number
}

export interface Result {
  readonly callsPerSecond: number
  /** Latency in microseconds. */
  readonly p50: number
  readonly p99: number
  /** Waits of more than 5 ms between two answers: their end, in milliseconds since 1970, and their length. */
  readonly waits: ReadonlyArray<{ readonly until: number; readonly millis: number }>
}

class Group extends RpcGroup.make(
  Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.String }).annotate(BinaryStarRpc.Resend, true)
) {}

const [, , end, name, endpoint = "", state = "", peer = "", other] = process.argv
const tcp = { host: new URL(endpoint).hostname, port: Number(new URL(endpoint).port) }
const pair = {
  role: name === "backup" ? "backup" : "primary",
  policy: "hardened",
  frontend: endpoint,
  stateEndpoint: state,
  peerEndpoint: peer
} as const

const served = RpcServer.layer(Group).pipe(
  Layer.provide(Group.toLayer({ Echo: ({ text }) => Effect.succeed(text) }))
)

const server = name === "plain"
  ? Layer.launch(
    Layer.provide(served, RpcServer.layerProtocolSocketServer).pipe(
      Layer.provide(NodeSocketServer.layer(tcp)),
      Layer.provide(RpcSerialization.layerMsgPack)
    )
  ).pipe(Effect.orDie)
  : Layer.launch(
    Layer.provide(served, BinaryStarRpc.layerProtocolServer(pair)).pipe(
      Layer.provide(Zmq.layer(pair)),
      Layer.provide(RpcSerialization.layerMsgPack)
    )
  ).pipe(Effect.provide(BinaryStar.layerScheduler), Effect.orDie)

const connection = name === "plain"
  ? Layer.provide(RpcClient.layerProtocolSocket(), NodeSocket.layerNet(tcp)).pipe(Layer.orDie)
  : BinaryStarRpc.layerProtocolClient(Group).pipe(
    Layer.provide(BinaryStarClient.layer({ servers: other === undefined ? [endpoint] : [endpoint, other] })),
    Layer.provide(ZmqClientLink.layer),
    Layer.orDie
  )

const client = Effect.gen(function*() {
  const { Echo } = yield* RpcClient.make(Group)
  const text = "x".repeat(32)
  const work = ({ seconds, window }: Job) =>
    Effect.gen(function*() {
      const latencies: Array<number> = []
      const begin = performance.now() + 100
      const end = begin + seconds * 1000
      let last = performance.now()
      const waits: Array<Result["waits"][number]> = []
      const one = Effect.suspend(() => {
        const before = performance.now()
        return Effect.map(Echo({ text }), (answer) => {
          if (answer !== text) {
            throw new Error(`not an echo: ${answer}`)
          }
          const now = performance.now()
          if (now - last > 5) {
            waits.push({ until: performance.timeOrigin + now, millis: now - last })
          }
          last = now
          if (now > begin && now < end) {
            latencies.push((now - before) * 1000)
          }
          return now < end
        })
      })
      yield* Effect.all(
        Array.from({ length: window }, () => Effect.repeat(one, { while: (goesOn) => goesOn })),
        { concurrency: "unbounded", discard: true }
      )
      latencies.sort((a, b) => a - b)
      const at = (share: number) => latencies[Math.floor(share * latencies.length)] ?? NaN
      return { callsPerSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99), waits }
    })
  yield* Effect.retry(Echo({ text }), { times: 100 })
  process.send!("ready")
  yield* Effect.async<never>(() => {
    process.on("message", (job: Job) => {
      Effect.runPromise(work(job)).then((result: Result) => process.send!(result))
    })
  })
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.provide(connection, RpcSerialization.layerMsgPack)),
  Effect.orDie
)

NodeRuntime.runMain(end === "server" ? server : client)
