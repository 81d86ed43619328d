import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Frames from "../../src/wire/Frames.ts"
import { PeerMessage } from "../../src/wire/PeerMessage.ts"

const decode = Schema.decodeUnknownEither(PeerMessage)
const encode = Schema.encodeSync(PeerMessage)
const bytes = FastCheck.uint8Array({ maxLength: 4 })

describe("PeerMessage", () => {
  it.each([["PRIMARY", "1"], ["BACKUP", "2"], ["ACTIVE", "3"], ["PASSIVE", "4"]] as const)(
    "%s is %s",
    (state, text) => {
      assert.deepStrictEqual(encode(state), Frames.make(text))
      assert.deepStrictEqual(decode([Buffer.from(text)]), Either.right(state))
    }
  )

  it.each([
    ["no frame", []],
    ["an empty frame", [""]],
    ["0", ["0"]],
    ["5", ["5"]],
    ["03", ["03"]],
    ["a space behind", ["3 "]],
    ["junk", ["junk"]],
    ["two frames", ["3", "3"]],
    ["a frame too many", ["3", ""]],
    ["1 MiB", ["3".repeat(1 << 20)]]
  ])("%s is malformed", (_, frames) => {
    const decoded = decode(frames.map((frame) => Buffer.from(frame)))
    assert.isTrue(Either.isLeft(decoded))
    // The reason goes into the log, so it must not carry what was sent.
    assert.isBelow(String(Either.getLeft(decoded)).length, 1000)
  })

  it.prop(
    "decodes what is one digit from 1 to 4 and nothing else",
    { frames: FastCheck.array(bytes) },
    ({ frames }) => {
      const valid = frames.length === 1 && ["1", "2", "3", "4"].includes(Buffer.from(frames[0]!).toString("latin1"))
      assert.strictEqual(Either.isRight(decode(frames)), valid)
    },
    { fastCheck: { numRuns: 5000 } }
  )
})
