import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as FairQueue from "../../src/member/fairQueue.ts"

const requestOf = (client: number) => [Uint8Array.of(client)]

/** Clients that add a request, or `undefined` where the next request is removed. */
const script = FastCheck.array(FastCheck.option(FastCheck.integer({ min: 0, max: 4 }), { nil: undefined }), {
  maxLength: 80
})

/** What is removed between two turns of a client that has waited all the time. */
const othersBefore = (served: ReadonlyArray<number>, client: number): ReadonlyArray<number> => {
  const index = served.indexOf(client)
  return index < 0 ? served : served.slice(0, index)
}

describe("fair queue", () => {
  it.prop("first in first out within a client, and its sizes are right", { script }, ({ script }) => {
    const queue = FairQueue.make()
    const waiting = new Map<number, Array<number>>()
    for (const [at, client] of script.entries()) {
      if (client !== undefined) {
        queue.add({ request: requestOf(client), at })
        waiting.set(client, [...waiting.get(client) ?? [], at])
      } else {
        const first = queue.first()
        if (first !== undefined) {
          assert.strictEqual(waiting.get(first.request[0]![0]!)!.shift(), first.at)
        }
        queue.shift()
      }
      const sizes = [...waiting].map(([client, own]) => {
        assert.strictEqual(queue.sizeOf(requestOf(client)), own.length)
        return own.length
      })
      assert.strictEqual(queue.size(), sizes.reduce((sum, size) => sum + size, 0))
      assert.strictEqual(queue.first() === undefined, queue.size() === 0)
    }
  })

  it.prop("no client waits for more than one request of each other client", { script }, ({ script }) => {
    const queue = FairQueue.make()
    const served: Array<number> = []
    for (const client of script) {
      if (client !== undefined) {
        queue.add({ request: requestOf(client), at: 0 })
      }
    }
    for (let first = queue.first(); first !== undefined; first = queue.first()) {
      const waiting = [0, 1, 2, 3, 4].filter((client) => queue.sizeOf(requestOf(client)) > 0)
      served.push(first.request[0]![0]!)
      queue.shift()
      // Every client that waited then is served once before any is served twice.
      assert.isTrue(waiting.includes(served.at(-1)!))
    }
    const rounds = [0, 1, 2, 3, 4].map((client) => served.flatMap((one, index) => one === client ? [index] : []))
    for (const turns of rounds) {
      for (const [i, turn] of turns.entries()) {
        const others = othersBefore(served.slice(i === 0 ? 0 : turns[i - 1]! + 1), served[turn]!)
        assert.strictEqual(new Set(others).size, others.length)
      }
    }
  })

  it("a client is dominant if it sends more than all others together", () => {
    assert.isTrue(FairQueue.hasDominantClient([1, 1, 2].map(requestOf)))
    assert.isFalse(FairQueue.hasDominantClient([1, 1, 2, 3].map(requestOf)))
  })
})
