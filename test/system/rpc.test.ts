import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { authentication, Group } from "../rpc/rpcGroup.ts"
import type { Endpoints, Role } from "../support/processes.ts"
import { freeEndpoints, other, root, run } from "../support/processes.ts"
import { eventually, quiet } from "../support/sockets.ts"

const serve = (role: Role, at: Endpoints) =>
  run(process.execPath, ["--import", "tsx", path.join(root, "test/system/rpcServer.ts")], {
    env: {
      BSTAR_ROLE: role,
      BSTAR_POLICY: "hardened",
      BSTAR_FRONTEND: at[role].frontend,
      BSTAR_STATE: at[role].state,
      BSTAR_PEER: at[other(role)].state
    }
  })

/** Both servers, a client, and a call of each kind that runs at the primary. */
const busy = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const primary = yield* serve("primary", at)
  const backup = yield* serve("backup", at)
  yield* backup.waitForLine(/ready as passive/)
  const context = yield* Layer.build(
    BinaryStarRpc.layerProtocolClient(Group).pipe(
      Layer.provide(BinaryStarClient.layer({ servers: [at.primary.frontend, at.backup.frontend] })),
      Layer.provide([ZmqClientLink.layer, RpcSerialization.layerMsgPack, quiet]),
      Layer.merge(authentication(undefined))
    )
  )
  const call = yield* Effect.provide(RpcClient.make(Group), context)
  // Connects to the primary first: a call without Resend fails if it was sent to the backup meanwhile.
  yield* call.Twice({ n: 1 })
  let receivedCount = 0
  const pending = yield* Effect.fork(Effect.all([
    Effect.flip(call.Hold({ name: "held" })),
    Effect.flip(Stream.runDrain(call.Idle({ name: "idle" }))),
    Effect.flip(
      Stream.runForEach(call.Endless({ name: "endless" }), () => Effect.delay(Effect.sync(() => receivedCount++), 1))
    )
  ], { concurrency: "unbounded" }))
  yield* eventually(Effect.sync(() => receivedCount > 10))
  return { primary, backup, call, pending }
})

describe("RPC over two processes", () => {
  it.scopedLive(
    "RPC kill -9: calls with Resend continue, other pending calls fail, later calls are answered",
    () =>
      Effect.gen(function*() {
        const { backup, call, primary, pending } = yield* busy
        let answered = 0
        const calls = yield* Effect.fork(Effect.forever(Effect.map(call.Twice({ n: 2 }), (n) => {
          assert.strictEqual(n, 4)
          answered++
        })))
        yield* eventually(Effect.sync(() => answered > 10))
        yield* primary.kill("SIGKILL")
        for (const error of yield* Fiber.join(pending)) {
          assert.instanceOf(error, RpcClientError)
          assert.include(error.message, "may have been executed")
        }
        const before = answered
        yield* eventually(Effect.sync(() => answered > before + 10))
        assert.isNull(calls.unsafePoll())
        assert.strictEqual((yield* call.Get({ id: "1" })).name, "user 1")
        yield* backup.waitForLine(/failover successful|ready as active/)
      })
  )

  it.scopedLive("RPC SIGSTOP: no call hangs", () =>
    Effect.gen(function*() {
      const { call, primary, pending } = yield* busy
      yield* primary.kill("SIGSTOP")
      assert.strictEqual(yield* call.Twice({ n: 2 }), 4)
      for (const error of yield* Fiber.join(pending)) {
        assert.instanceOf(error, RpcClientError)
      }
      assert.strictEqual((yield* Stream.runCollect(call.Range({ from: 1, to: 9, chunk: 2 }))).length, 9)
      yield* primary.kill("SIGCONT")
      assert.strictEqual(yield* call.Twice({ n: 3 }), 6)
    }))
})
