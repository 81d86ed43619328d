import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as VirtualTime from "../../../src/verify/simulation/VirtualTime.ts"

describe("virtual time", () => {
  it("performs actions at their time, unless they were cancelled", async () => {
    const time = VirtualTime.make()
    const done: Array<string> = []
    time.after(2, () => done.push(`second at ${time.now()}`))
    time.after(1, () => done.push(`first at ${time.now()}`))
    time.after(1, () => done.push("cancelled"))()
    await time.runUntil(3, () => {})
    assert.deepStrictEqual(done, ["first at 1", "second at 2"])
    assert.strictEqual(time.now(), 3)
  })

  it("a paused process runs nothing until it is resumed", async () => {
    const time = VirtualTime.make()
    const process = time.makeProcess()
    const wokenAt: Array<number> = []
    const sleep = Effect.zipRight(Effect.sleep("1 millis"), Effect.sync(() => wokenAt.push(time.now())))
    Effect.runFork(Effect.withClock(sleep, time.clock(() => 0)), { scheduler: process.scheduler })
    await time.runUntil(0.5, () => {})
    process.pause()
    time.after(4.5, process.resume)
    await time.runUntil(10, () => {})
    assert.deepStrictEqual(wokenAt, [5])
  })
})
