import { assert, describe, it } from "@effect/vitest"
import * as Frames from "../../src/wire/Frames.ts"
import { message } from "../support/sockets.ts"

describe("Frames", () => {
  it("are made of a text, of bytes and of frames", () => {
    const bytes = Uint8Array.of(1, 2)
    assert.deepStrictEqual(Frames.make("é"), [Uint8Array.of(0xc3, 0xa9)])
    assert.deepStrictEqual(Frames.make(bytes), [bytes])
    assert.deepStrictEqual(Frames.make([bytes, bytes]), [bytes, bytes])
    assert.strictEqual(Frames.toString(message("a", "", "b")), "a  b")
  })

  it.each([
    [["client"], 1],
    [["client", "body"], 1],
    [["client", "", "body"], 2],
    [["client", "id", "", "", "body"], 3],
    [["", "body"], 1]
  ])("%j has an envelope of %i frames", (frames, length) => {
    assert.strictEqual(Frames.envelopeLength(message(...frames)), length)
  })
})
