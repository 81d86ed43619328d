import type * as RpcMessage from "@effect/rpc/RpcMessage"
import { assert, describe, it } from "@effect/vitest"
import { RequestError } from "../../src/client/RequestError.ts"
import type { Procedure } from "../../src/rpc/clientCalls.ts"
import { ClientCalls } from "../../src/rpc/clientCalls.ts"
import * as ControlFrame from "../../src/rpc/controlFrame.ts"
import * as Frames from "../../src/wire/Frames.ts"

const request = Frames.make("request")
const ack = Frames.make("ack")

const start = (calls: ClientCalls, procedure: Partial<Procedure> = {}, id = "1") =>
  calls.start(id, "Tag", { isStream: false, resend: false, ...procedure }, request)

const chunk: RpcMessage.FromServerEncoded = { _tag: "Chunk", requestId: "1", values: [1] }
const last: RpcMessage.FromServerEncoded = {
  _tag: "Exit",
  requestId: "1",
  exit: { _tag: "Success", value: undefined }
}

describe("a client's call", () => {
  it("polls while the server reports that it still runs, and delivers the last response", () => {
    const calls = new ClientCalls()
    const call = start(calls)
    assert.strictEqual(call.next, request)
    assert.deepStrictEqual(calls.onControlFrame(call, "Poll"), { _tag: "Send" })
    assert.deepStrictEqual(call.next, ControlFrame.make("Poll", "1"))
    assert.deepStrictEqual(calls.onResponse(call, last), { _tag: "DeliverLast", response: last })
    assert.isFalse(calls.end(call))
  })

  it("that its server does not know is sent again if it may be, and fails otherwise", () => {
    const calls = new ClientCalls()
    const resent = start(calls, { resend: true })
    calls.onControlFrame(resent, "Poll")
    assert.deepStrictEqual(calls.onControlFrame(resent, "Unknown"), { _tag: "Send" })
    assert.strictEqual(resent.next, request)
    for (const procedure of [{ resend: false }, { resend: true, isStream: true }]) {
      const call = start(calls, procedure)
      assert.strictEqual(calls.onControlFrame(call, "Unknown")._tag, "Fail")
      assert.isFalse(calls.end(call))
    }
  })

  it("fails on replies that are no responses", () => {
    const calls = new ClientCalls()
    for (const kind of ["Ok", "Batch", "Malformed", "Stream", "KeepAlive"] as const) {
      assert.strictEqual(calls.onControlFrame(start(calls), kind)._tag, "Fail")
    }
    assert.deepStrictEqual(calls.onResponse(start(calls), undefined), {
      _tag: "Fail",
      message: "Tag: the server's reply cannot be read (does it use the same serialization?)"
    })
  })

  it("reports of a failed request whether it may have been executed", () => {
    const calls = new ClientCalls()
    const error = (reason: RequestError["reason"], attempts: number) =>
      new RequestError({ reason, attempts, servers: [] })
    const messageOf = (call: ReturnType<typeof start>, failure: RequestError) => {
      const step = calls.onRequestError(call, failure)
      return step._tag === "Fail" ? step.message : step._tag
    }
    assert.include(messageOf(start(calls), error("NoReply", 0)), "was not executed")
    assert.include(messageOf(start(calls), error("Busy", 1)), "was not executed")
    assert.include(messageOf(start(calls), error("NoReply", 1)), "may have been executed")
    const polled = start(calls)
    calls.onControlFrame(polled, "Poll")
    assert.include(messageOf(polled, error("NoReply", 0)), "may have been executed")
  })

  it("requests the next chunk once its reader has acknowledged the last one, and is kept alive until then", () => {
    const calls = new ClientCalls()
    const call = start(calls, { isStream: true })
    assert.deepStrictEqual(call.next, ControlFrame.make("Stream", ...request))
    assert.deepStrictEqual(calls.onResponse(call, chunk), { _tag: "DeliverChunk", response: chunk })
    assert.deepStrictEqual(calls.delivering, ["1"])
    calls.acknowledge("1")
    assert.deepStrictEqual(calls.onDelivered(call, () => ack), { _tag: "Send" })
    assert.strictEqual(call.next, ack)
    assert.deepStrictEqual(calls.delivering, [])
  })

  it("is interrupted at the server if its reader wants no more", () => {
    const calls = new ClientCalls()
    const call = start(calls, { isStream: true })
    calls.onResponse(call, chunk)
    assert.deepStrictEqual(calls.onDelivered(call, () => ack), { _tag: "End" })
    assert.isTrue(calls.end(call))
    assert.isFalse(calls.end(call))
  })

  it("drops its responses after a defect of another call, and is not interrupted", () => {
    const calls = new ClientCalls()
    const other = start(calls, {}, "2")
    const defect: RpcMessage.FromServerEncoded = { _tag: "Defect", defect: "fatal" }
    assert.deepStrictEqual(calls.onResponse(start(calls), defect), { _tag: "DeliverLast", response: defect })
    assert.deepStrictEqual(calls.onResponse(other, defect), { _tag: "End" })
    assert.isFalse(calls.end(other))
    assert.strictEqual(calls.onResponse(start(calls, {}, "3"), last)._tag, "DeliverLast")
  })

  it("is returned once by endAll if its server has to be sent an interrupt", () => {
    const calls = new ClientCalls()
    const open = start(calls, {}, "1")
    calls.onResponse(start(calls, {}, "2"), last)
    assert.deepStrictEqual(calls.endAll(), [open])
    assert.deepStrictEqual(calls.endAll(), [])
    assert.isFalse(calls.end(open))
  })
})
