import { assert, describe, it } from "@effect/vitest"
import { ClientTable } from "../../src/member/clientTable.ts"

const requestOf = (client: number) => [Uint8Array.of(client >> 8, client & 255), new Uint8Array(0)]

const makeTable = () =>
  new ClientTable<{ readonly name: number; count: number }>(
    ([id]) => ({ name: id![0]! * 256 + id![1]!, count: 0 }),
    ({ count }) => count === 0
  )

describe("the table of clients", () => {
  it("has one entry for each routing id", () => {
    const table = makeTable()
    assert.isUndefined(table.find(requestOf(1)))
    const client = table.get(requestOf(1))
    assert.strictEqual(client.name, 1)
    assert.strictEqual(table.get(requestOf(1)), client)
    assert.strictEqual(table.find(requestOf(1)), client)
    assert.notStrictEqual(table.get(requestOf(257)), client)
  })

  it("forgets idle clients when there are many, and never one that is not idle", () => {
    const table = makeTable()
    const busy = [3, 500, 2000].map((name) => table.get(requestOf(name)))
    busy.forEach((client) => client.count++)
    const clients = Array.from({ length: 5000 }, (_, name) => table.get(requestOf(name)))
    const known = clients.filter(({ name }) => table.find(requestOf(name)) !== undefined)
    assert.isAtMost(known.length, 256)
    assert.deepStrictEqual(busy.map(({ name }) => table.find(requestOf(name))), busy)
  })
})
