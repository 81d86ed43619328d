import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { PendingMessage } from "../../src/rpc/sendBuffer.ts"
import { isSmall, SendBuffer } from "../../src/rpc/sendBuffer.ts"
import * as Frames from "../../src/wire/Frames.ts"

const message = (text: string, resend = false): PendingMessage => ({ body: Frames.make(text), resend })

describe("a send buffer", () => {
  it("the first message requires a flush at the end of the turn, the 32nd at once", () => {
    const buffer = new SendBuffer()
    const added = Array.from({ length: 32 }, (_, i) => buffer.add(message(`${i}`)))
    assert.deepStrictEqual([added[0], added[1], added[30], added[31]], ["First", "Added", "Added", "Full"])
    assert.deepStrictEqual(buffer.takeBatches().map(({ length }) => length), [32])
    assert.strictEqual(buffer.add(message("next")), "First")
  })

  it("large messages and those of several frames are sent alone", () => {
    assert.isTrue(isSmall(message("x".repeat(4096))))
    assert.isFalse(isSmall(message("x".repeat(4097))))
    assert.isFalse(isSmall({ body: [Frames.delimiter, Frames.delimiter], resend: false }))
  })

  it.prop(
    "every message that is not deleted is in one batch, in order, and no batch mixes what may be resent with the rest",
    {
      sent: FastCheck.array(FastCheck.record({ resend: FastCheck.boolean(), isDeleted: FastCheck.boolean() }), {
        size: "max",
        maxLength: 200
      })
    },
    ({ sent }) => {
      const buffer = new SendBuffer<PendingMessage>()
      const messages = sent.map(({ resend }, i) => message(`${i}`, resend))
      messages.forEach((message) => buffer.add(message))
      messages.filter((_, i) => sent[i]!.isDeleted).forEach((message) => buffer.delete(message))
      const batches = buffer.takeBatches()
      assert.deepStrictEqual(
        batches.flat(),
        [false, true].flatMap((resend) =>
          messages.filter((message, i) => message.resend === resend && !sent[i]!.isDeleted)
        )
      )
      for (const batch of batches) {
        assert.isTrue(batch.length > 0 && batch.length <= 32)
        assert.strictEqual(new Set(batch.map(({ resend }) => resend)).size, 1)
      }
      assert.deepStrictEqual(buffer.takeBatches(), [])
    }
  )
})
