import { assert, describe, it } from "@effect/vitest"
import { because, columns, printable, printableJson } from "../../src/cli/text.ts"

describe("F22 foreign text", () => {
  it("is printed on one line and steers no terminal", () => {
    assert.strictEqual(
      printable("a\nI: forged\r\t\x1b[2J\x07\x00\x7f\x9b2J\u2028\u202eb"),
      "a\\nI: forged\\r\\t\\x1b[2J\\x07\\x00\\x7f\\x9b2J\\u2028\\u202eb"
    )
    assert.strictEqual(printable("Zürich 東京 👍 C:\\n"), "Zürich 東京 👍 C:\\n")
  })

  it("in JSON means the same, without such a character", () => {
    const value = { text: "\x1b[2J\x9b\u202e\n\x7f", "\x85": 1 }
    const json = printableJson(JSON.stringify(value, undefined, 2))
    assert.deepStrictEqual(JSON.parse(json), value)

    assert.notMatch(json, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  })

  it("in a table is as wide as it is printed", () => {
    assert.deepStrictEqual(columns([["a\n", "b"], ["a", "\x1b"]]), ["a\\n  b", "a    \\x1b"])
  })
})

describe("the reason of a transition", () => {
  it("is added to a message that does not have it", () => {
    assert.strictEqual(because("promoted by an operator", "new kernel"), ", because: new kernel")
    assert.strictEqual(because("took over by switchover: new kernel, ready as active", "new kernel"), "")
    assert.strictEqual(because("failover successful", null), "")
  })
})
