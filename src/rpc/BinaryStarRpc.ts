/**
 * `@effect/rpc` over a pair: the two protocols by which any `RpcGroup`, its handlers and its client run unchanged.
 *
 * Each message of an RPC client has one reply, and is a request of the pair, which retries and fails over:
 *
 * - A call whose server is lost fails at once with `RpcClientError`; its `cause` is the `RequestError` of the pair. The call
 *   may have been executed.
 * - A call annotated with {@link Resend} is sent again, to whichever server is active. It may be executed twice.
 * - A stream stays at one server. If that is lost or stops, the stream ends with `RpcClientError`.
 * - A planned stop completes all calls that were accepted, for as long as `drain` at most.
 *
 * This module needs `@effect/rpc`, an optional peer dependency, and is imported by its own path.
 */
import type * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { constFalse } from "effect/Function"
import * as Layer from "effect/Layer"
import type { BinaryStarClient } from "../client/BinaryStarClient.ts"
import * as BinaryStar from "../member/BinaryStar.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Client from "./client.ts"
import type { Procedure } from "./clientCalls.ts"
import * as Server from "./server.ts"

/**
 * Whether a procedure may be executed more than once: its calls are then sent again if their reply is lost. Without effect on
 * streams. Defaults to `false`.
 *
 * @example
 * ```ts
 * import { Rpc } from "@effect/rpc"
 * import { Schema } from "effect"
 * import * as BinaryStarRpc from "effect-binary-star/BinaryStarRpc"
 *
 * export const Get = Rpc.make("Get", { payload: { key: Schema.String }, success: Schema.String }).annotate(
 *   BinaryStarRpc.Resend,
 *   true
 * )
 * ```
 *
 * @category tags
 */
export class Resend extends Context.Reference<Resend>()("effect-binary-star/BinaryStarRpc/Resend", {
  defaultValue: constFalse
}) {}

/**
 * A member of a pair that passes its requests to an RPC server, and the protocol of that server. The member stops with the
 * RPC server: it completes the calls that it has accepted, and ends streams.
 *
 * `concurrency` bounds the calls and streams that are open at a time, idle streams included; further ones wait at the
 * clients. Defaults to 1024. A server replies after 5 seconds at the latest, if only that a call still runs, so a `timeout` of
 * more than that does not limit calls. The calls of a client are interrupted 15 seconds after its last message.
 *
 * A member does not report that it is no longer active before all handlers have ended, with all fibers that they forked except
 * daemons. With the policy `classic` a primary also accepts calls before it has received a heartbeat of its peer. If
 * it then learns that the peer is active, those calls are interrupted but not awaited, and a stream may last 15 seconds longer.
 *
 * @example
 * ```ts
 * import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"
 * import { Effect, Layer, Schema } from "effect"
 * import { Zmq } from "effect-binary-star"
 * import * as BinaryStarRpc from "effect-binary-star/BinaryStarRpc"
 *
 * class Words extends RpcGroup.make(
 *   Rpc.make("Length", { payload: { word: Schema.String }, success: Schema.Number })
 * ) {}
 *
 * const options = { role: "primary", policy: "hardened" } as const
 *
 * export const Server = RpcServer.layer(Words).pipe(
 *   Layer.provide(Words.toLayer({ Length: ({ word }) => Effect.succeed(word.length) })),
 *   Layer.provideMerge(BinaryStarRpc.layerProtocolServer(options)),
 *   Layer.provide([Zmq.layer(options), RpcSerialization.layerMsgPack])
 * )
 * ```
 *
 * @category layers
 */
export const layerProtocolServer = (options: BinaryStarConfig.Options): Layer.Layer<
  RpcServer.Protocol | BinaryStar.BinaryStar,
  InvalidConfig,
  Frontend | PeerLink | RpcSerialization.RpcSerialization
> =>
  Layer.scopedContext(
    Effect.map(Server.make(options), ({ member, protocol }) =>
      Context.make(RpcServer.Protocol, protocol).pipe(Context.add(BinaryStar.BinaryStar, member)))
  )

/**
 * The protocol of an RPC client for the procedures of `group`, whose annotations it reads. It shares the pair's client with
 * all other users. That client needs a `timeout` of more than 5 seconds, within which a server replies that a call still
 * runs; the duration of calls is not limited.
 *
 * @example
 * ```ts
 * import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "@effect/rpc"
 * import { Effect, Layer, Schema } from "effect"
 * import { BinaryStarClient, ZmqClientLink } from "effect-binary-star"
 * import * as BinaryStarRpc from "effect-binary-star/BinaryStarRpc"
 *
 * // Looking it up twice does no harm, so that the call is sent again when its server is lost.
 * class Words extends RpcGroup.make(
 *   Rpc.make("Length", { payload: { word: Schema.String }, success: Schema.Number }).annotate(BinaryStarRpc.Resend, true)
 * ) {}
 *
 * const Client = BinaryStarRpc.layerProtocolClient(Words).pipe(
 *   Layer.provide([BinaryStarClient.layer(), RpcSerialization.layerMsgPack]),
 *   Layer.provide(ZmqClientLink.layer)
 * )
 *
 * export const program = RpcClient.make(Words).pipe(
 *   Effect.flatMap((words) => words.Length({ word: "star" })),
 *   Effect.scoped,
 *   Effect.provide(Client)
 * )
 * ```
 *
 * @category layers
 */
export const layerProtocolClient = <Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>): Layer.Layer<
  RpcClient.Protocol,
  never,
  BinaryStarClient | RpcSerialization.RpcSerialization
> => {
  const procedures = new Map<string, Procedure>()
  for (const rpc of group.requests.values()) {
    const { _tag, annotations, successSchema } = rpc as unknown as Rpc.AnyWithProps
    procedures.set(_tag, {
      isStream: RpcSchema.isStreamSchema(successSchema),
      resend: Context.get(annotations, Resend)
    })
  }
  return Layer.scoped(
    RpcClient.Protocol,
    Client.make((tag) => procedures.get(tag) ?? { isStream: false, resend: false })
  )
}
