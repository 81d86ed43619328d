import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Pending } from "../../src/client/pending.ts"

interface Item {
  readonly id: string
  previous: Item | undefined
  next: Item | undefined
}

const add = (pending: Pending<Item>): Item => {
  const item = { id: pending.nextId(), previous: undefined, next: undefined }
  pending.add(item)
  return item
}

const action = FastCheck.record({
  what: FastCheck.constantFrom("add", "delete", "move"),
  nth: FastCheck.nat(2000)
})

describe("pending requests", () => {
  it.prop(
    "are found by their ids, and are in the order in which they were added or moved to the end",
    { before: FastCheck.nat(600), script: FastCheck.array(action, { maxLength: 60 }) },
    ({ before, script }) => {
      const pending = new Pending<Item>()
      const all = Array.from({ length: before }, () => add(pending))
      let expected: Array<Item> = [...all]
      for (const { nth, what } of script) {
        const item = all[nth % all.length]
        if (what === "add" || item === undefined) {
          const added = add(pending)
          all.push(added)
          expected.push(added)
        } else if (what === "delete") {
          pending.delete(item)
          expected = expected.filter((other) => other !== item)
        } else {
          pending.moveToEnd(item)
          expected = expected.includes(item) ? [...expected.filter((other) => other !== item), item] : expected
        }
      }
      assert.deepStrictEqual(pending.toArray().map(({ id }) => id), expected.map(({ id }) => id))
      assert.strictEqual(pending.size, expected.length)
      assert.strictEqual(new Set(all.map(({ id }) => id)).size, all.length)
      for (const item of all) {
        assert.strictEqual(pending.find(item.id), expected.includes(item) ? item : undefined)
        assert.strictEqual(pending.has(item), expected.includes(item))
      }
    }
  )

  it("skip the places of requests that stay", () => {
    const pending = new Pending<Item>()
    const stays = add(pending)
    for (let i = 0; i < 10_000; i++) {
      const item = add(pending)
      assert.strictEqual(pending.find(item.id), item)
      pending.delete(item)
    }
    assert.strictEqual(pending.find(stays.id), stays)
  })

  it("are not found by what is not exactly their id", () => {
    const pending = new Pending<Item>()
    const { id } = add(pending)
    for (const other of ["", "x", "-1", `${id}.0`, ` ${id}`, "1e999", "NaN", "0.5", String(2 ** 60)]) {
      assert.isUndefined(pending.find(other), other)
    }
  })
})
