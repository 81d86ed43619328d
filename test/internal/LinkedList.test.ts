import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Linked } from "../../src/internal/LinkedList.ts"
import { LinkedList } from "../../src/internal/LinkedList.ts"

class Item implements Linked<Item> {
  previous: Item | undefined
  next: Item | undefined
}

/** Whether an item is added, or else which one is deleted. */
const script = FastCheck.array(FastCheck.option(FastCheck.nat(20), { nil: undefined }), { maxLength: 60 })

describe("a linked list", () => {
  it.prop(
    "has its items in the order in which they were added, without those that were deleted",
    { script },
    ({ script }) => {
      const list = new LinkedList<Item>()
      const added: Array<Item> = []
      let expected: ReadonlyArray<Item> = []
      for (const index of script) {
        if (index === undefined) {
          const item = new Item()
          list.add(item)
          added.push(item)
          expected = [...expected, item]
        } else if (added.length > 0) {
          const item = added[index % added.length]!
          assert.strictEqual(list.delete(item), expected.includes(item))
          expected = expected.filter((other) => other !== item)
          // It must not keep others from being collected.
          assert.deepStrictEqual([item.previous, item.next], [undefined, undefined])
        }
        assert.isTrue(list.toArray().every((item, i) => item === expected[i]))
        assert.strictEqual(list.size, expected.length)
        assert.strictEqual(list.first, expected[0])
      }
    }
  )
})
