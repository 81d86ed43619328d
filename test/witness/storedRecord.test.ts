import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as StoredRecord from "../../src/witness/storedRecord.ts"

const record = { number: 3, step: 1, holder: "primary", life: "a1b2", isReleased: false } as const

const stored = (changed: object): string =>
  JSON.stringify({ ...JSON.parse(StoredRecord.encode(record, "3306feed")), ...changed })

describe("a record as an engine keeps it", () => {
  it("is read as it was written", () => {
    assert.deepStrictEqual(
      StoredRecord.decode("7", stored({})),
      Option.some({ register: "3306feed", seen: { version: "7", record } })
    )
  })

  for (
    const changed of [
      { number: 2 ** 37 },
      { number: 1.5 },
      { step: 65_536 },
      { step: -1 },
      { register: "my pair" },
      { register: "x".repeat(65) },
      { holder: "third" }
    ]
  ) {
    it(`is not read with ${JSON.stringify(changed)}, which no heartbeat could carry`, () => {
      assert.isTrue(Option.isNone(StoredRecord.decode("7", stored(changed))))
    })
  }
})
