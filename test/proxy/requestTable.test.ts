import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Request } from "../../src/proxy/requestTable.ts"
import { makePrefix, RequestTable } from "../../src/proxy/requestTable.ts"
import * as Frames from "../../src/wire/Frames.ts"

const queueMillis = 1000

const makeTable = () => new RequestTable<string>(makePrefix(), queueMillis)

const reply = (message: Frames.Frames, body: string) => [...message.slice(0, 2), ...Frames.make(body)]

const received = (body: string, waiter = "waiter") => ({ _tag: "Reply", waiter, body: Frames.make(body) }) as const

/** Adds a request and has a worker take it. */
const sent = (table: RequestTable<string>) => {
  const request = table.add(Frames.make("x"), "waiter", 0)
  const { message } = request
  table.onSent(table.nextBatch(), [])
  return { request, message }
}

describe("a request of a proxy", () => {
  it("is sent with an envelope and an empty frame, and has a frame even without a body", () => {
    const table = makeTable()
    const { message } = table.add(Frames.make("x"), "waiter", 0)
    assert.deepStrictEqual(message.slice(1), [Frames.delimiter, ...Frames.make("x")])
    assert.strictEqual(message[0]!.length, 16)
    assert.deepStrictEqual(table.add([], "waiter", 0).message.slice(1), [Frames.delimiter, Frames.delimiter])
  })

  it("stays queued in its place while no worker has room for it", () => {
    const table = makeTable()
    const requests = ["1", "2", "3"].map((text) => table.add(Frames.make(text), text, 0))
    table.onSent(table.nextBatch(), [0, 2])
    assert.deepStrictEqual([table.queuedCount, table.atWorkersCount], [2, 1])
    table.add(Frames.make("4"), "4", 1)
    assert.deepStrictEqual(table.nextBatch().map(({ waiter }) => waiter), ["1", "3", "4"])
    assert.deepStrictEqual(requests.map(({ phase }) => phase), ["Sending", "AtWorker", "Sending"])
  })

  it("is sent in a batch of 256 at most", () => {
    const table = makeTable()
    Array.from({ length: 300 }, () => table.add([], "waiter", 0))
    const batch = table.nextBatch()
    assert.strictEqual(batch.length, 256)
    table.onSent(batch, [])
    assert.strictEqual(table.nextBatch().length, 44)
  })

  it("has one reply: a second one, one after its end, and one for another proxy are late", () => {
    const table = makeTable()
    const { message } = sent(table)
    assert.deepStrictEqual(table.onMessage(reply(message, "y")), received("y"))
    assert.deepStrictEqual(table.onMessage(reply(message, "y")), { _tag: "Late" })
    const cancelled = sent(table)
    table.cancel(cancelled.request, 0)
    assert.deepStrictEqual(table.onMessage(reply(cancelled.message, "y")), { _tag: "Late" })
    sent(table)
    assert.deepStrictEqual(table.onMessage(reply(message, "y")), { _tag: "Late" })
    assert.deepStrictEqual(table.onMessage(reply(sent(makeTable()).message, "y")), { _tag: "Late" })
    assert.deepStrictEqual({ ...table.counters }, { forwarded: 3, replied: 1, busy: 0, late: 4, malformed: 0 })
  })

  it("may have its reply before the backend has reported that a worker took it", () => {
    const table = makeTable()
    const request = table.add([], "waiter", 0)
    const batch = table.nextBatch()
    assert.deepStrictEqual(table.onMessage(reply(request.message, "y")), received("y"))
    table.onSent(batch, [])
    assert.deepStrictEqual([table.queuedCount, table.atWorkersCount], [0, 0])
  })

  it("that is cancelled may go to the other server only if no worker can have seen it", () => {
    const table = makeTable()
    assert.strictEqual(table.cancel(table.add([], "waiter", 0), queueMillis - 1), "NotSent")
    assert.strictEqual(table.cancel(table.add([], "waiter", 0), queueMillis), "Expired")
    assert.strictEqual(table.counters.busy, 1)
    const request = table.add([], "waiter", 0)
    table.nextBatch()
    assert.strictEqual(table.cancel(request, queueMillis), "MaybeSent")
    assert.strictEqual(table.cancel(sent(table).request, queueMillis), "MaybeSent")
  })

  it("that is with a worker keeps no frames", () => {
    const table = makeTable()
    assert.deepStrictEqual(sent(table).request.message, [])
  })

  it("expires in the queue, and not at a worker", () => {
    const table = makeTable()
    sent(table)
    const early = table.add([], "early", 0)
    table.add([], "late", 1)
    assert.deepStrictEqual(table.expire(queueMillis - 1), [])
    assert.deepStrictEqual(table.expire(queueMillis), [early])
    assert.deepStrictEqual([table.queuedCount, table.atWorkersCount, table.counters.busy], [1, 1, 1])
  })
})

describe("a message that is no reply", () => {
  it.each([[], ["junk"], ["junk", "", "x"], ["0123456789abcdef", "x", "y"], ["0123456789abcdef"], ["", "", ""]])(
    "is malformed: %s %s %s",
    (...texts) => {
      const table = makeTable()
      assert.deepStrictEqual(table.onMessage(texts.flatMap(Frames.make)), { _tag: "Malformed" })
      assert.strictEqual(table.counters.malformed, 1)
    }
  )
})

const actions = FastCheck.array(
  FastCheck.tuple(
    FastCheck.constantFrom("add", "add", "send", "reply", "reply", "cancel", "wait", "expire"),
    FastCheck.nat(400)
  ),
  { maxLength: 150, size: "max" }
)

describe("in any order of events", () => {
  it.prop("every request ends once, in one way, and the counts agree", { actions }, ({ actions }) => {
    const table = makeTable()
    const requests: Array<Request<string>> = []
    const messages: Array<Frames.Frames> = []
    const ends: Array<string> = []
    let sending: ReadonlyArray<Request<string>> | undefined
    let now = 0
    const act = (action: string, n: number) => {
      const request = requests[n % Math.max(requests.length, 1)]
      switch (action) {
        case "add":
          requests.push(table.add([], String(requests.length), now))
          return messages.push(requests.at(-1)!.message)
        case "send":
          // Every second time the backend reports what workers took.
          if (sending === undefined) {
            sending = table.nextBatch()
          } else {
            table.onSent(sending, sending.flatMap((_, index) => (n >> (index % 8)) % 2 === 0 ? [index] : []))
            sending = undefined
          }
          return
        case "wait":
          now += n
          return
        case "expire":
          return sending ?? table.expire(now).forEach(({ waiter }) => ends.push(waiter))
        case "cancel":
          if (request !== undefined && !ends.includes(request.waiter)) {
            table.cancel(request, now)
            ends.push(request.waiter)
          }
          return
        case "reply": {
          // Workers reply to what they were sent, at times twice.
          if (request !== undefined && request.phase !== "Queued") {
            const received = table.onMessage(reply(messages[Number(request.waiter)]!, "y"))
            ends.push(...received._tag === "Reply" ? [received.waiter] : [])
          }
        }
      }
    }
    for (const [action, n] of actions) {
      act(action, n)
      assert.strictEqual(table.queuedCount + table.atWorkersCount, requests.length - ends.length)
    }
    assert.strictEqual(new Set(ends).size, ends.length)
    // No worker ever replies to the rest: the member cancels it.
    requests.filter(({ waiter }) => !ends.includes(waiter)).forEach((request) => table.cancel(request, now))
    assert.deepStrictEqual([table.queuedCount, table.atWorkersCount], [0, 0])
  }, { fastCheck: { numRuns: 300 } })
})
