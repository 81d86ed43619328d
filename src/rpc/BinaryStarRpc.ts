/**
 * `@effect/rpc` over a pair: the two protocols by which any `RpcGroup`, its handlers and its client run as they are.
 *
 * Every message of an RPC client has one answer, so that each is a request of the pair. Who answers, what is sent again
 * and what is not is the pair's affair:
 *
 * - What was called and not answered when a server is lost fails at once with `RpcClientError`; its `cause` is the
 *   `RequestError` of the pair. It may have been executed.
 * - What is annotated with {@link Resend} is sent again, to whichever server is active: it may be executed twice.
 * - A stream goes on at one server or not at all. When that is lost or stops, it ends with `RpcClientError`.
 * - A planned stop answers all calls that have come in, for as long as `drain` at the most.
 *
 * This module needs `@effect/rpc`, which is an optional peer dependency, and is therefore imported by itself.
 *
 * @since 0.1.0
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
 * Whether a procedure may be executed more than once, so that its calls are sent again when their answer is lost. Has no
 * effect on streams. Defaults to `false`.
 *
 * @example
 * ```ts
 * Rpc.make("Get", { payload: { key: Schema.String }, success: Schema.String }).annotate(BinaryStarRpc.Resend, true)
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class Resend extends Context.Reference<Resend>()("effect-binary-star/BinaryStarRpc/Resend", {
  defaultValue: constFalse
}) {}

/**
 * A member of a pair that hands its requests to an RPC server, and the protocol for that server. The member stops when the
 * RPC server does, and calls that have come in by then are still answered; streams are ended.
 *
 * `concurrency` bounds how many calls and streams are open at a time, by default 1024; a stream that is idle counts as well.
 * What comes beyond that waits with the clients. A server answers at the latest after 5 seconds, if only that the call still
 * runs, so the `timeout` of requests does not cut calls short unless it is below that. The calls of a client that has not
 * been heard of for 15 seconds are interrupted.
 *
 * All that handlers do, with all that they have forked but daemons, has ended before the member says that it is not active
 * any more. With the policy `classic` a primary also answers while it has not heard of its peer; if it then learns that
 * the peer is active, what runs is interrupted but not waited for, and a stream may last 15 seconds longer.
 *
 * @since 0.1.0
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
 * The protocol of an RPC client that calls the procedures of `group`, of which it wants to know what they are annotated
 * with. It shares the pair's client with whoever else uses it. Give that a `timeout` of more than 5 seconds, which is how
 * long a server may take to tell that a call still runs; calls may take as long as they like.
 *
 * @since 0.1.0
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
