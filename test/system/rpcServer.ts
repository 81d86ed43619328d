/** An RPC server as a process, configured by BSTAR_ROLE, BSTAR_POLICY, BSTAR_FRONTEND ... Calls of `Hold` never return. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"
import * as BinaryStarConfig from "../../src/settings/BinaryStarConfig.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import { Group, handlers, makeSeen } from "../rpc/rpcGroup.ts"

Effect.gen(function*() {
  const options = yield* BinaryStarConfig.config
  const server = RpcServer.layer(Group).pipe(
    Layer.provide(handlers(yield* makeSeen)),
    Layer.provide(BinaryStarRpc.layerProtocolServer(options)),
    Layer.provide(Zmq.layer(options)),
    Layer.provide(RpcSerialization.layerMsgPack)
  )
  return yield* Layer.launch(server)
}).pipe(
  Effect.provide(BinaryStar.layerScheduler),
  Effect.withConfigProvider(ConfigProvider.fromEnv().pipe(ConfigProvider.nested("BSTAR"), ConfigProvider.constantCase)),
  NodeRuntime.runMain
)
