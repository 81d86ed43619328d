import { assert, describe, it } from "@effect/vitest"
import * as Counters from "../../src/member/Counters.ts"
import type { Limits } from "../../src/member/Requests.ts"
import { Requests } from "../../src/member/Requests.ts"
import type { Completion, Outbox, Responder } from "../../src/member/Responder.ts"
import type * as Frames from "../../src/wire/Frames.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const request = (name: string): Frames.Frames => [encoder.encode(name[0]), encoder.encode(name)]

const nameOf = (frames: Frames.Frames): string => decoder.decode(frames[1])

/** A handler that replies at once to requests whose names end in `!`, and to others when the test completes them. */
class FakeResponder {
  readonly running: Array<Frames.Frames> = []
  readonly responder: Responder = {
    handle: (frames, _state, _at, outbox) => {
      if (nameOf(frames).endsWith("!")) {
        reply(outbox, "reply", frames)
      } else {
        this.running.push(frames)
      }
    },
    complete: ({ exit: _exit, task }, outbox) => reply(outbox, "reply", task.owner.message),
    reject: (frames, outbox) => reply(outbox, "reject", frames),
    limit: (frames, { status }, outbox) => reply(outbox, status, frames),
    running: () => this.running.length,
    runningOf: (frames) => this.running.filter((one) => one[0]![0] === frames[0]![0]).length,
    endTerm: undefined!
  }
}

const reply = (outbox: Outbox, status: string, frames: Frames.Frames): void => {
  outbox.replies.push([frames[0]!, encoder.encode(`${status} ${nameOf(frames)}`)])
}

class Rig {
  readonly fake = new FakeResponder()
  readonly counters = Counters.make(1000)
  readonly requests: Requests
  taken = 0

  constructor(limits: Partial<Limits> = {}) {
    this.requests = new Requests(
      { concurrency: 1, maxFrames: 10, maxPerClient: Number.POSITIVE_INFINITY, ...limits },
      this.fake.responder,
      this.counters
    )
  }

  offer(...names: ReadonlyArray<string>): void {
    this.requests.offer(names.map(request), 0, () => this.taken++)
  }

  /** A turn of the member's fiber; returns what is sent. */
  turn(isAccepted = true): ReadonlyArray<string> {
    this.requests.gather()
    this.requests.serve({ isAccepted, state: "ACTIVE" }, () => 0, 1)
    this.requests.gather()
    return this.sent()
  }

  sent(): ReadonlyArray<string> {
    return this.requests.takeOutbox()?.replies.map(nameOf) ?? []
  }

  /** The handler of the request that has been running for longest ends. */
  complete(): ReadonlyArray<string> {
    const message = this.fake.running.shift()!
    const owner = { message, envelopeLength: 1, period: 0, stamp: undefined, at: 0 }
    this.requests.complete([{ task: { owner }, exit: undefined } as unknown as Completion])
    return this.sent()
  }

  handled(): ReadonlyArray<string> {
    return this.fake.running.map(nameOf)
  }
}

describe("back-pressure", () => {
  it("a free data plane reads a full batch, a busy one what its queue can take, but at least one", () => {
    const rig = new Rig({ concurrency: 2 })
    assert.strictEqual(rig.requests.demand(), 256)
    rig.offer("a1", "a2", "a3")
    rig.turn()
    assert.strictEqual(rig.requests.demand(), 3)
    rig.offer("a4", "a5", "a6")
    rig.turn()
    rig.offer("a7")
    rig.turn()
    assert.strictEqual(rig.requests.demand(), 1)
  })

  it("a batch is taken only while the queue has capacity", () => {
    const rig = new Rig()
    rig.offer("a1", "a2", "a3")
    rig.turn()
    assert.deepStrictEqual(rig.handled(), ["a1"])
    rig.offer("b1")
    rig.turn()
    assert.strictEqual(rig.taken, 1, "the queue is full")
    rig.complete()
    rig.turn()
    assert.strictEqual(rig.taken, 2)
  })

  it("batches are small while a client is dominant", () => {
    const rig = new Rig()
    rig.offer(...Array.from({ length: 20 }, () => "a!"))
    rig.turn()
    assert.strictEqual(rig.requests.demand(), 16)
    rig.offer(...Array.from({ length: 10 }, () => ["a!", "b!"]).flat())
    rig.turn()
    assert.strictEqual(rig.requests.demand(), 256)
  })
})

describe("order", () => {
  it("concurrency 1 keeps the order of one client", () => {
    const rig = new Rig()
    rig.offer("a1", "a2", "a3", "a4!")
    const sent = [...rig.turn()]
    while (rig.fake.running.length > 0) {
      sent.push(...rig.complete(), ...rig.turn())
    }
    assert.deepStrictEqual(sent, ["reply a1", "reply a2", "reply a3", "reply a4!"])
  })

  it("fair queue: a client with one request waits for one of a client with many", () => {
    const rig = new Rig()
    rig.offer("a1", "a2", "a3", "a4", "b1")
    rig.turn()
    const order = [...rig.handled()]
    while (rig.fake.running.length > 0) {
      rig.complete()
      rig.turn()
      order.push(...rig.handled())
    }
    assert.deepStrictEqual(order, ["a1", "a2", "b1", "a3", "a4"])
  })

  it("the outbox keeps the order of decisions, and is empty once taken", () => {
    const rig = new Rig({ maxFrames: 0, concurrency: 2 })
    rig.offer("a!")
    assert.deepStrictEqual(rig.turn(), ["Failed a!"])
    assert.isUndefined(rig.requests.takeOutbox())
    const other = new Rig({ concurrency: 2 })
    other.offer("a!", "b1", "c!")
    assert.deepStrictEqual(other.turn(), ["reply a!", "reply c!"])
  })

  it("the rest of a batch is left to the next slice", () => {
    const rig = new Rig()
    rig.offer("a!", "b!")
    rig.requests.gather()
    rig.requests.serve({ isAccepted: true, state: "ACTIVE" }, () => 2, 1)
    assert.deepStrictEqual(rig.sent(), ["reply a!"])
    assert.isTrue(rig.requests.isReady(true))
  })
})

describe("limits", () => {
  it("maxPerClient counts running and queued requests", () => {
    const rig = new Rig({ maxPerClient: 2 })
    rig.offer("a1", "a2", "a3", "b1")
    assert.deepStrictEqual(rig.turn(), ["Busy a3"])
    assert.strictEqual(rig.counters.limited, 1)
  })

  it("requests of a member that does not accept them are rejected, busy or not", () => {
    const rig = new Rig()
    rig.offer("a1", "a2")
    rig.turn()
    assert.deepStrictEqual(rig.turn(false), ["reject a2"])
    assert.strictEqual(rig.counters.rejected, 1)
  })
})

describe("closing", () => {
  it("requests received before are handled, later ones rejected", () => {
    const rig = new Rig()
    rig.offer("a1", "a2")
    rig.turn()
    rig.requests.close(true)
    rig.turn()
    rig.offer("b1", "b2")
    assert.deepStrictEqual(rig.turn(), ["reject b1", "reject b2"])
    assert.deepStrictEqual(rig.complete(), ["reply a1"])
    assert.deepStrictEqual(rig.turn(), [])
    assert.deepStrictEqual(rig.handled(), ["a2"])
  })

  it("the queue continues when a handler completes during the rejection of a late batch", () => {
    const rig = new Rig()
    rig.offer("a1", "a2!")
    rig.turn()
    rig.turn()
    rig.requests.close(true)
    rig.offer("b1")
    rig.requests.gather()
    rig.complete()
    rig.requests.serve({ isAccepted: true, state: "ACTIVE" }, () => 0, 1)
    assert.deepStrictEqual(rig.sent(), ["reject b1", "reply a2!"])
  })

  it("rejectAll rejects the queue behind a late batch, and offered batches", () => {
    const rig = new Rig()
    rig.offer("a1", "a2")
    rig.turn()
    rig.turn()
    rig.requests.close(true)
    rig.offer("b1")
    rig.requests.gather()
    rig.offer("c1")
    rig.requests.rejectAll("ACTIVE")
    assert.deepStrictEqual(rig.sent(), ["reject b1", "reject a2", "reject c1"])
    assert.strictEqual(rig.taken, 3)
  })

  it("offered batches do not count as work", () => {
    const rig = new Rig()
    rig.requests.close(true)
    rig.offer("a1")
    assert.isTrue(rig.requests.isIdle())
  })

  it("a batch offered while closed and taken once open is not late", () => {
    const rig = new Rig()
    rig.requests.close(true)
    rig.offer("a!")
    rig.requests.close(false)
    assert.deepStrictEqual(rig.turn(), ["reply a!"])
  })

  it("nextClient is that of the next request", () => {
    const rig = new Rig({ concurrency: 2 })
    rig.offer("a1", "a2", "b1")
    rig.turn()
    rig.offer("c1")
    rig.requests.gather()
    assert.strictEqual(decoder.decode(rig.requests.nextClient()), "b")
  })
})
