/** What the RPC client's protocol requests of the pair's client. */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { RequestOptions } from "../../src/client/BinaryStarClient.ts"
import { BinaryStarClient } from "../../src/client/BinaryStarClient.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"
import * as ControlFrame from "../../src/rpc/controlFrame.ts"
import { MessageCodec, readRequest } from "../../src/rpc/messages.ts"
import type * as Frames from "../../src/wire/Frames.ts"

class Group extends RpcGroup.make(
  Rpc.make("Name", { success: Schema.String }).annotate(BinaryStarRpc.Resend, true)
) {}

/** A client whose server replies to a request, or to a batch, once `open` is done. */
const connected = Effect.gen(function*() {
  const open = yield* Deferred.make<void>()
  const requests: Array<{ readonly size: number; readonly options: RequestOptions | undefined }> = []
  const codec = new MessageCodec(RpcSerialization.json)
  const replyTo = (body: Frames.Frames): Frames.Frames => {
    const incoming = readRequest(codec, body)
    const messages = incoming._tag === "Message"
      ? [incoming.message]
      : incoming._tag === "Batch"
      ? incoming.messages
      : []
    const replies = messages.map((message) =>
      codec.encode({
        _tag: "Exit",
        requestId: message._tag === "Request" ? message.id : "",
        exit: { _tag: "Success", value: "name" }
      })
    )
    return replies.length === 1 ? replies[0]! : ControlFrame.batch(replies)
  }
  const client = Layer.succeed(BinaryStarClient, {
    request: (body, options) => {
      requests.push({ size: (body as Frames.Frames).length, options })
      return Effect.as(Deferred.await(open), replyTo(body as Frames.Frames))
    }
  })
  const context = yield* Layer.build(
    BinaryStarRpc.layerProtocolClient(Group).pipe(
      Layer.provide(client),
      Layer.provide(RpcSerialization.layerJson)
    )
  )
  const { Name } = yield* Effect.provide(RpcClient.make(Group), context)
  return { call: Name(), open, requests }
})

describe("requests of the pair", () => {
  it.scopedLive("the only call is sent at once, those that are made meanwhile together", () =>
    Effect.gen(function*() {
      const { call, open, requests } = yield* connected
      const calls = yield* Effect.fork(Effect.all([call, call, call, call], { concurrency: "unbounded" }))
      yield* Effect.sleep("10 millis")
      assert.deepStrictEqual(requests.map(({ size }) => size), [1, 3])
      yield* Deferred.succeed(open, undefined)
      assert.deepStrictEqual(yield* Fiber.join(calls), ["name", "name", "name", "name"])
      assert.strictEqual(yield* call, "name")
      assert.deepStrictEqual(requests.map(({ size }) => size), [1, 3, 1])
    }))

  it.scopedLive("a call sends its span in its message, and not in the envelope", () =>
    Effect.gen(function*() {
      const { call, open, requests } = yield* connected
      yield* Deferred.succeed(open, undefined)
      yield* Effect.all([call, call, call], { concurrency: "unbounded" })
      assert.deepStrictEqual(requests.map(({ options }) => options?.trace), [false, false])
    }))
})
