import { assert, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Heap from "../../../src/verify/simulation/heap.ts"

it("a heap pops events by time, and events of one instant in the order in which they were planned", () => {
  FastCheck.assert(FastCheck.property(FastCheck.array(FastCheck.nat({ max: 9 })), (times) => {
    const heap: Array<Heap.Planned> = []
    times.forEach((at, order) => Heap.push(heap, { at, order }))
    const popped = times.map(() => Heap.pop(heap))
    assert.deepStrictEqual(popped, [...popped].sort((a, b) => a.at - b.at || a.order - b.order))
    assert.deepStrictEqual(heap, [])
  }))
})
