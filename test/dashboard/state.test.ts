import { assert, describe, it } from "@effect/vitest"
import type { Message } from "../../src/dashboard/page/state.ts"
import * as State from "../../src/dashboard/page/state.ts"
import { pairStatusOf, statusOf } from "./fakeStatus.ts"

const pairMessage = (status = pairStatusOf()): Message => ({ _tag: "Pair", status, receivedAt: 0 })

const transition = {
  at: "2026-01-31T12:59:50.000Z",
  from: "ACTIVE",
  to: "HANDING_OVER",
  cause: "HandOver",
  message: "handing over",
  explanation: null,
  term: null,
  reason: "ticket 7"
} as const

const after = (...messages: ReadonlyArray<Message>) => messages.reduce(State.update, State.initial)

describe("the state of the page", () => {
  it("is live with the first status, and keeps the last status when the connection is lost", () => {
    const live = after(pairMessage())
    assert.strictEqual(live.link, "live")
    const lost = after(pairMessage(), { _tag: "Lost" })
    assert.strictEqual(lost.link, "lost")
    assert.strictEqual(lost.pair?.health.level, "healthy")
    assert.strictEqual(State.update(lost, pairMessage()).link, "live")
  })

  it("a transition of this server and a change of its peer are announced, the history is not", () => {
    const started = after(pairMessage(), { _tag: "History", entries: [transition] })
    assert.strictEqual(started.announcement, "")
    assert.strictEqual(started.timeline.entries.length, 2)
    const moved = State.update(started, {
      _tag: "Transition",
      event: { ...transition, role: "primary", from: "PASSIVE" }
    })
    assert.strictEqual(moved.announcement, "The primary is now HANDING_OVER: handing over")
    const rejoining = statusOf("backup", { state: "REJOINING", message: "stalled", since: transition.at })
    const changed = State.update(moved, pairMessage(pairStatusOf(undefined, rejoining)))
    assert.strictEqual(changed.announcement, "The backup is now REJOINING: stalled")
  })

  it("history before the first status is ignored, because the role is not known yet", () => {
    assert.strictEqual(after({ _tag: "History", entries: [transition] }), State.initial)
  })
})
