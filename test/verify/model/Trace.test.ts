import { assert, describe, it } from "@effect/vitest"
import * as Trace from "../../../src/verify/model/Trace.ts"
import { classic, exhaust } from "./explorations.ts"

describe("a counterexample", () => {
  it("a trace is printed event by event", () => {
    const { model, result } = exhaust(classic({ kills: 1 }))
    const lines = Trace.linesOf(model, result.violations[0]!).map(({ subject, text, tick }) =>
      `${tick} ${subject} ${text}`
    )
    assert.deepStrictEqual(lines, [
      "0 primary starts as PRIMARY",
      "0 backup starts as BACKUP",
      "0 primary is being connected to its peer",
      "0 backup is being connected to its peer",
      "0 primary is connected to its peer",
      "0 backup is connected to its peer",
      "0 primary has subscribed to its peer",
      "0 backup has a subscriber, publishes BACKUP",
      `0 primary receives BACKUP, becomes ACTIVE, publishes ACTIVE: "connected to backup (passive), ready as active"`,
      "0 backup has subscribed to its peer",
      "0 primary has a subscriber, publishes ACTIVE",
      `0 backup receives ACTIVE, becomes PASSIVE, publishes PASSIVE: "connected to primary (active), ready as passive"`,
      "0 primary is killed",
      "0 backup has lost the connection to its peer",
      "0 primary starts as PRIMARY",
      "0 backup is being connected to its peer",
      "0 backup is connected to its peer",
      "0 backup has subscribed to its peer",
      "0 primary has a subscriber, publishes PRIMARY",
      `0 backup receives PRIMARY, becomes ACTIVE, publishes ACTIVE: "primary (passive) is restarting, ready as active"`,
      "0 primary answers a client",
      "0 backup answers a client"
    ])
  })
})
