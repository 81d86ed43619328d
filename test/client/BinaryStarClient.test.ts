import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import { RequestError } from "../../src/client/RequestError.ts"
import * as ClientLink from "../../src/ports/ClientLink.ts"
import { SocketError } from "../../src/ports/SocketError.ts"
import * as Envelope from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { settle } from "../support/nodes.ts"
import { freshEndpoint, quiet, runOf, texts } from "../support/sockets.ts"

const [a, b] = ["inproc://a", "inproc://b"] as const

interface Received {
  readonly server: string
  readonly at: number
  readonly text: string
  readonly envelope: Frames.Frames
  /** Replies as the server does: the envelope unchanged, then another body. */
  readonly reply: (text?: string) => void
  /** Reports a status as a server of this library does. */
  readonly report: (status: Envelope.ReplyStatus, detail?: string) => void
  /** Sends the client any messages. */
  readonly send: (...messages: ReadonlyArray<Frames.Frames>) => void
}

/** A client whose servers handle each message with `onRequest`. All are connected, except those in `away`. */
const makeClient = (
  onRequest: (received: Received) => void,
  options: BinaryStarClient.Options = {},
  { away = [], isFull = () => false, isUnknown = () => false }: {
    readonly away?: ReadonlyArray<string>
    /** Whether a server has no room for a further message. */
    readonly isFull?: (server: string) => boolean
    readonly isUnknown?: (server: string) => boolean
  } = {}
) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const received: Array<Received> = []
    const logged: Array<string> = []
    const isAway = new Set(away)
    const events = new Map<string, Mailbox.Mailbox<"connected" | "lost">>()
    const link = Layer.succeed(ClientLink.ClientLink, {
      connect: (server) =>
        Effect.gen(function*() {
          if (isUnknown(server)) {
            return yield* new SocketError({ reason: "UnknownHost", operation: "connect", endpoint: server })
          }
          const scoped = <A>() => Effect.acquireRelease(Mailbox.make<A>(), (mailbox) => mailbox.shutdown)
          const messages = yield* scoped<ReadonlyArray<Frames.Frames>>()
          const emitted = yield* scoped<"connected" | "lost">()
          events.set(server, emitted)
          if (!isAway.has(server)) {
            emitted.unsafeOffer("connected")
          }
          return {
            send: () => Effect.die("a client does not wait for a message to be sent"),
            sendNow: (message, onUnsent) => {
              if (isFull(server)) {
                return queueMicrotask(onUnsent)
              }
              const [id, delimiter, ...body] = message
              const one: Received = {
                server,
                at: clock.unsafeCurrentTimeMillis(),
                text: Frames.toString(body),
                envelope: [id!, delimiter!],
                reply: (text = one.text) => one.send([id!, delimiter!, ...Frames.make(text)]),
                report: (status, detail) =>
                  one.send(Envelope.status([Frames.delimiter, id!], status, Frames.make(detail ?? [])).slice(1)),
                send: (...batch) => messages.unsafeOffer(batch)
              }
              received.push(one)
              onRequest(one)
            },
            events: Mailbox.toStream(emitted),
            run: runOf(Mailbox.toStream(messages))
          }
        })
    })
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => logged.push(String(message))))
    const { request } = yield* BinaryStarClient.make({ servers: [a, b], ...options }).pipe(
      Effect.provide(link),
      Effect.provide(logger)
    )
    yield* settle
    const emit = (server: string, event: "connected" | "lost") =>
      Effect.suspend(() => {
        isAway[event === "lost" ? "add" : "delete"](server)
        events.get(server)!.unsafeOffer(event)
        return settle
      })
    return {
      request: (text: string, options?: BinaryStarClient.RequestOptions) =>
        Effect.provide(Effect.map(request(text, options), Frames.toString), logger),
      received,
      /** Sent requests: server, text, time in milliseconds. */
      sent: () => received.map(({ at, server, text }) => [server, text, at]),
      logged,
      connect: (server: string) => emit(server, "connected"),
      lose: (server: string) => emit(server, "lost")
    }
  })

/** Replies, except to requests whose text starts with `slow`. */
const unlessSlow = ({ reply, text }: Received) => {
  if (!text.startsWith("slow")) {
    reply()
  }
}

/** Advances the time until a fiber has ended, and no further. */
const joinInTime = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    Effect.repeat(TestClock.adjust("1 millis"), { until: () => fiber.unsafePoll() !== null }),
    Fiber.join(fiber)
  )

/** One of the servers replies. */
const only = (server: string) => (received: Received) => {
  if (received.server === server) {
    unlessSlow(received)
  }
}

describe("a request", () => {
  it.scoped("is sent to the first server only, as long as that replies", () =>
    Effect.gen(function*() {
      const { request, logged, sent } = yield* makeClient(unlessSlow)
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* request(String(i)), String(i))
        yield* TestClock.adjust("100 millis")
      }
      assert.deepStrictEqual(sent(), Array.from({ length: 20 }, (_, i) => [a, String(i), 100 * i]))
      assert.deepStrictEqual(logged, [
        `connecting to server at ${a}...`,
        `connecting to server at ${b}...`,
        `server at ${a} is active`
      ])
    }))

  it.scoped("runs beside many others, and receives its own reply", () =>
    Effect.gen(function*() {
      const held: Array<Received> = []
      const { received, request } = yield* makeClient((one) => {
        if (one.text === "first") {
          one.reply()
        } else if (held.push(one) === 1000) {
          held.reverse().forEach(({ reply, text }) => reply(`reply to ${text}`))
        }
      })
      yield* request("first")
      const requests = Array.from({ length: 1000 }, (_, i) => String(i))
      const replies = yield* Effect.forEach(requests, (text) => request(text), { concurrency: "unbounded" })
      assert.deepStrictEqual(replies, requests.map((text) => `reply to ${text}`))
      assert.strictEqual(received.length, 1001)
    }))

  it.scoped("carries the current span, unless that is not wanted", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {})
      yield* Effect.fork(Effect.withSpan(request("1"), "span"))
      yield* Effect.fork(Effect.withSpan(request("2", { trace: false }), "span"))
      yield* settle
      assert.deepStrictEqual(received.map(({ envelope }) => envelope[1]!.length), [55, 0])
    }))

  it.scoped("waits for the first connection", () =>
    Effect.gen(function*() {
      const { connect, request, sent } = yield* makeClient(unlessSlow, {}, { away: [a, b] })
      const replies = yield* Effect.fork(
        Effect.all([request("1"), request("2", { resend: false })], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(sent(), [])
      yield* connect(b)
      assert.deepStrictEqual(yield* joinInTime(replies), ["1", "2"])
    }))

  it.scoped("goes to the other server while the name of the first one cannot be resolved", () =>
    Effect.gen(function*() {
      let unknown = true
      const { lose, request, logged } = yield* makeClient(unlessSlow, {}, {
        isUnknown: (server) => unknown && server === a
      })
      assert.strictEqual(yield* request("1"), "1")
      yield* TestClock.adjust("10 seconds")
      assert.isAbove(logged.filter((line) => line.includes("cannot be looked up")).length, 5)
      unknown = false
      yield* TestClock.adjust("1 seconds")
      yield* lose(b)
      assert.strictEqual(yield* request("2"), "2")
      assert.include(logged, `server at ${a} is active`)
    }))
})

describe("a slow server", () => {
  it.scoped("receives a request again only after retryAfter; the other one receives votes meanwhile", () =>
    Effect.gen(function*() {
      const { received, request, sent } = yield* makeClient(only(a), { retryAfter: "1 second" })
      yield* request("first")
      const slow = yield* Effect.fork(request("slow"))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(sent().filter(([server]) => server === a), [[a, "first", 0], [a, "slow", 0]])
      assert.isAbove(sent().filter(([server]) => server === b).length, 10)
      yield* TestClock.adjust("1 seconds")
      const again = sent().filter(([server, , at]) => server === a && Number(at) > 0)
      assert.strictEqual(again.length, 1)
      assert.isAtMost(Number(again[0]![2]), 1100)
      received.filter(({ server }) => server === a)[1]!.reply("late")
      assert.strictEqual(yield* Fiber.join(slow), "late")
    }))

  it.scoped("stays the active one", () =>
    Effect.gen(function*() {
      const { request, logged, sent } = yield* makeClient(only(a))
      yield* request("first")
      yield* Effect.fork(Effect.ignore(request("slow")))
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("100 millis")
        yield* request(`quick ${i}`)
      }
      assert.deepStrictEqual(sent().filter(([, text]) => text !== "slow").map(([server]) => server), Array(21).fill(a))
      assert.strictEqual(logged.at(-1), `server at ${a} is active`)
    }))
})

describe("a server that does not reply", () => {
  it.scoped("votes go to the other server at intervals that grow to 50 milliseconds", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(() => {})
      yield* Effect.fork(Effect.ignore(request("1")))
      yield* TestClock.adjust("500 millis")
      const votes = sent().filter(([server]) => server === b).map(([, , at]) => Number(at))
      const gaps = votes.map((at, i) => Math.round(at - (votes[i - 1] ?? 0)))
      assert.isAtMost(gaps[0]!, 10)
      assert.deepStrictEqual(gaps, [...gaps].sort((one, other) => one - other))
      assert.deepStrictEqual(gaps.slice(-5), [50, 50, 50, 50, 50])
    }))

  it.scoped("votes follow the given schedule", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(() => {}, { votes: Schedule.spaced("1 seconds") })
      yield* Effect.fork(Effect.ignore(request("1")))
      yield* TestClock.adjust("3500 millis")
      const votes = sent().filter(([server]) => server === b).map(([, , at]) => Number(at))
      assert.deepStrictEqual(votes.map((at) => at - votes[0]!), [0, 1000, 2000, 3000])
    }))

  it.scoped("all pending requests follow at once when the other server replies", () =>
    Effect.gen(function*() {
      const { request, logged, sent } = yield* makeClient(only(b))
      const texts = Array.from({ length: 100 }, (_, i) => String(i))
      const replies = yield* Effect.fork(
        Effect.forEach(texts, (text) => request(text), { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(yield* joinInTime(replies), texts)
      assert.sameMembers(sent().filter(([server]) => server === b).map(([, text]) => text), texts)
      assert.strictEqual(logged.at(-1), `server at ${b} is active`)
      yield* request("next")
      assert.deepStrictEqual(sent().at(-1)!.slice(0, 2), [b, "next"])
    }))

  it.scoped("requests vote in turn when the active server stops replying", () =>
    Effect.gen(function*() {
      let answers = only(a)
      const { request, sent } = yield* makeClient((received) => answers(received))
      yield* request("first")
      answers = () => {}
      const waiting = yield* Effect.fork(Effect.all(["1", "2", "3"].map((text) => request(text)), {
        concurrency: "unbounded"
      }))
      yield* TestClock.adjust("300 millis")
      const votes = sent().filter(([server]) => server === b).map(([, text]) => text)
      assert.deepStrictEqual(votes.slice(0, 6), ["1", "2", "3", "1", "2", "3"])
      answers = only(b)
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["1", "2", "3"])
    }))

  it.scoped("a request without a reply from any server does not keep the others from voting", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(only(b))
      const lost = yield* Effect.fork(Effect.flip(request("slow")))
      yield* TestClock.adjust("1 millis")
      const quick = yield* Effect.fork(request("quick"))
      yield* TestClock.adjust("60 millis")
      assert.strictEqual(yield* Fiber.join(quick), "quick")
      assert.isAbove(sent().filter(([server, text]) => server === b && text === "slow").length, 0)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(lost)).reason, "NoReply")
    }))

  for (const [when, millis] of [["at once", 0], ["after the request was sent there again", 200]] as const) {
    it.scoped(`a late reply, ${when}, does not make its server active again`, () =>
      Effect.gen(function*() {
        const { received, request, logged, sent } = yield* makeClient(only(b))
        const slow = yield* Effect.fork(request("slow"))
        yield* settle
        const quick = yield* Effect.fork(request("quick"))
        assert.strictEqual(yield* joinInTime(quick), "quick")
        assert.strictEqual(logged.at(-1), `server at ${b} is active`)
        yield* TestClock.adjust(millis)
        received[0]!.reply("late")
        assert.strictEqual(yield* Fiber.join(slow), "late")
        assert.strictEqual(logged.at(-1), `server at ${b} is active`)
        yield* request("next")
        assert.strictEqual(sent().at(-1)![0], b)
      }))
  }

  it.scoped("a request fails when its time is over, and is not sent any more", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {}, { timeout: "2 seconds" })
      const lost = yield* Effect.fork(Effect.flip(request("1")))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* Fiber.poll(lost))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(lost)
      assert.instanceOf(error, RequestError)
      assert.strictEqual(error.reason, "NoReply")
      assert.deepStrictEqual(error.servers, [a, b])
      assert.strictEqual(error.attempts, received.length)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(error.attempts, received.length)
    }))

  it.scoped("an interrupted request is not sent any more", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {})
      for (const millis of [0, 5, 10, 100]) {
        const one = yield* Effect.fork(request("1"))
        yield* TestClock.adjust(millis)
        yield* Fiber.interrupt(one)
        const { length } = received
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(received.length, length)
      }
    }))

  it.scoped("a request in an uninterruptible region waits for its reply", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {})
      let reply: string | undefined
      const one = yield* Effect.fork(Effect.uninterruptible(Effect.map(request("1"), (text) => reply = text)))
      yield* settle
      yield* Fiber.interruptFork(one)
      yield* settle
      received[0]!.reply()
      yield* Fiber.await(one)
      assert.strictEqual(reply, "1")
    }))

  for (const resend of [true, false]) {
    it.scoped(`a request for which a queue has no room is sent with a later vote (resend: ${resend})`, () =>
      Effect.gen(function*() {
        let isFull = true
        const { received, request } = yield* makeClient(({ reply }) => reply(), {}, { isFull: () => isFull })
        const one = yield* Effect.fork(request("1", { resend }))
        yield* TestClock.adjust("20 millis")
        assert.lengthOf(received, 0)
        isFull = false
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(yield* Fiber.join(one), "1")
      }))
  }

  it.scoped("fails without an attempt if no queue has room in time", () =>
    Effect.gen(function*() {
      const { request } = yield* makeClient(() => {}, { timeout: "1 second" }, { isFull: () => true })
      const one = yield* Effect.fork(Effect.flip(request("1", { resend: false })))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(one), { reason: "NoReply", attempts: 0 })
    }))
})

describe("a lost connection", () => {
  it.scoped("sends all its requests to the other server at once", () =>
    Effect.gen(function*() {
      let answers = only(a)
      const { lose, request, logged, sent } = yield* makeClient((received) => answers(received))
      yield* TestClock.adjust("1 seconds")
      yield* request("first")
      answers = only(b)
      const waiting = yield* Effect.fork(Effect.all(["1", "2", "3"].map((text) => request(text)), {
        concurrency: "unbounded"
      }))
      yield* TestClock.adjust("1 millis")
      yield* lose(a)
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["1", "2", "3"])
      assert.sameDeepMembers(sent().filter(([server]) => server === b), [[b, "1", 1001], [b, "2", 1001], [
        b,
        "3",
        1001
      ]])
      assert.strictEqual(logged.at(-3), `lost the server at ${a}`)
      assert.sameMembers(logged.slice(-2), [`connecting to server at ${a}...`, `server at ${b} is active`])
    }))

  it.scoped("is used again when it is back and the other one is lost", () =>
    Effect.gen(function*() {
      const { connect, lose, request, sent } = yield* makeClient(unlessSlow)
      for (const [from, to] of [[a, b], [b, a], [a, b]] as const) {
        yield* TestClock.adjust("1 seconds")
        yield* lose(from)
        assert.strictEqual(yield* request("x"), "x")
        assert.strictEqual(sent().at(-1)![0], to)
        yield* connect(from)
        assert.strictEqual(yield* request("x"), "x")
        assert.strictEqual(sent().at(-1)![0], to)
      }
    }))

  it.scoped("lets requests wait for either server when both are lost", () =>
    Effect.gen(function*() {
      const { connect, lose, request } = yield* makeClient(unlessSlow)
      yield* lose(a)
      yield* lose(b)
      const waiting = yield* Effect.fork(request("x"))
      yield* TestClock.adjust("9 seconds")
      yield* connect(a)
      assert.strictEqual(yield* Fiber.join(waiting), "x")
    }))
})

describe("a request that must not be resent", () => {
  const once = { resend: false }

  it.scoped("is sent once, and fails with Unanswered when its time is over", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(() => {})
      const lost = yield* Effect.fork(Effect.flip(request("1", once)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(lost)
      assert.deepInclude({ ...error }, { reason: "Unanswered", attempts: 1 })
      assert.deepStrictEqual(sent(), [[a, "1", 0]])
    }))

  it.scoped("is sent once, and fails with Unanswered when the connection is lost", () =>
    Effect.gen(function*() {
      const { lose, request, sent } = yield* makeClient(only(b))
      const lost = yield* Effect.fork(Effect.flip(request("1", once)))
      yield* TestClock.adjust("5 millis")
      yield* lose(a)
      assert.deepInclude({ ...yield* Fiber.join(lost) }, { reason: "Unanswered", attempts: 1 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(sent(), [[a, "1", 0]])
    }))

  for (const server of [a, b]) {
    it.scoped(`is sent once, and fails with Unanswered when the client is closed while ${server} is active`, () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { request, sent } = yield* Scope.extend(makeClient(only(server)), scope)
        yield* Effect.flatMap(Effect.fork(request("first")), joinInTime)
        const lost = yield* Effect.fork(Effect.flip(request("slow", once)))
        yield* TestClock.adjust("1 millis")
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude({ ...yield* Fiber.join(lost) }, { reason: "Unanswered", attempts: 1 })
        assert.deepStrictEqual(sent().filter(([, text]) => text === "slow").map(([to]) => to), [server])
      }))
  }

  it.scoped("is sent once, and fails with Unanswered soon after the other server has replied", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(only(b))
      const slow = yield* Effect.fork(Effect.flip(request("slow", once)))
      const quick = yield* Effect.fork(request("quick"))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(quick), "quick")
      assert.isNull(slow.unsafePoll())
      yield* Effect.repeatN(TestClock.adjust("50 millis"), 20)
      assert.strictEqual((yield* Fiber.join(slow)).reason, "Unanswered")
      assert.strictEqual(received.filter(({ text }) => text === "slow").length, 1)
    }))

  for (const late of ["NotActive", "a reply"] as const) {
    it.scoped(`accepts from its own server, shortly after the other one has replied: ${late}`, () =>
      Effect.gen(function*() {
        const { received, request } = yield* makeClient((received) => {
          if (received.server === b) {
            received.reply(`${received.text} from b`)
          }
        })
        const slow = yield* Effect.fork(request("slow", once))
        const quick = yield* Effect.fork(request("quick"))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* Fiber.join(quick), "quick from b")
        const held = received.find(({ server, text }) => server === a && text === "slow")!
        if (late === "NotActive") {
          held.report("NotActive")
        } else {
          held.reply("slow from a")
        }
        yield* Effect.repeatN(TestClock.adjust("50 millis"), 4)
        assert.strictEqual(yield* Fiber.join(slow), late === "NotActive" ? "slow from b" : "slow from a")
      }))
  }

  it.scoped("fails with NoReply when it was never sent", () =>
    Effect.gen(function*() {
      const { request } = yield* makeClient(() => {}, {}, { away: [a, b] })
      const lost = yield* Effect.fork(Effect.flip(request("1", once)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(lost)
      assert.deepInclude({ ...error }, { reason: "NoReply", attempts: 0 })
      assert.strictEqual(error.message, `no reply from ${a} or ${b} after 0 attempts`)
    }))
})

describe("a status", () => {
  const once = { resend: false }

  it.scoped("NotActive: the request goes to the other server, also if it must not be resent", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(({ report, reply, server }) =>
        server === a ? report("NotActive") : reply()
      )
      const reply = yield* Effect.fork(request("1", once))
      assert.strictEqual(yield* joinInTime(reply), "1")
      assert.deepStrictEqual(sent(), [[a, "1", 0], [b, "1", 5]])
      assert.strictEqual(yield* request("2", once), "2")
      assert.deepStrictEqual(sent().at(-1), [b, "2", 5])
    }))

  it.scoped("NotActive from both servers: the request alternates until one of them accepts it", () =>
    Effect.gen(function*() {
      let tries = 0
      const { received, request } = yield* makeClient(({ report, reply }) =>
        ++tries < 6 ? report("NotActive") : reply()
      )
      const reply = yield* Effect.fork(request("1", once))
      assert.strictEqual(yield* joinInTime(reply), "1")
      assert.deepStrictEqual(received.map(({ server }) => server), [a, b, a, b, a, b])
    }))

  it.scoped("NotActive: a later reply to an earlier request does not make the server active", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(({ report, server, text }) => {
        if (server === a && text !== "in hand") {
          report("NotActive")
        }
      })
      const inHand = yield* Effect.fork(request("in hand", once))
      yield* settle
      const late = yield* Effect.fork(request("late", once))
      yield* TestClock.adjust("20 millis")
      received[0]!.reply()
      assert.strictEqual(yield* Fiber.join(inHand), "in hand")
      yield* settle
      assert.isNull(late.unsafePoll())
      received.filter(({ server }) => server === b).at(-1)!.reply()
      assert.strictEqual(yield* Fiber.join(late), "late")
    }))

  it.scoped("Interrupted: the request is sent again if it may be, and fails at once otherwise", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(({ report, reply, server }) =>
        server === a ? report("Interrupted") : reply()
      )
      const error = yield* Effect.flip(request("1", once))
      assert.deepInclude({ ...error }, { reason: "Unanswered", attempts: 1 })
      const reply = yield* Effect.fork(request("2"))
      assert.strictEqual(yield* joinInTime(reply), "2")
      assert.deepStrictEqual(sent().at(-1), [b, "2", 5])
    }))

  for (const reason of ["Failed", "TimedOut", "Busy"] as const) {
    it.scoped(`${reason}: the request fails with this reason and its detail`, () =>
      Effect.gen(function*() {
        const { received, request } = yield* makeClient(({ report }) => report(reason, "because"))
        const error = yield* Effect.flip(request("1"))
        assert.strictEqual(error.reason, reason)
        assert.strictEqual(Frames.toString(error.detail!), "because")
        assert.strictEqual(received.length, 1)
      }))
  }

  it.scoped("a reply of an earlier term than the latest is dropped; requests carry the latest one", () =>
    Effect.gen(function*() {
      const tokens: Array<number | undefined> = []
      const { request } = yield* makeClient(({ envelope, send, server, text }) => {
        tokens.push(Envelope.parseReply(envelope)?.token)
        const token = server === a ? 65_536 : 131_072
        if (server === b || text !== "third") {
          send([...envelope.slice(0, -1), Envelope.stamp(token).frame, Frames.delimiter, ...Frames.make(server)])
        }
      })
      const ask = (text: string) => Effect.flatMap(Effect.fork(request(text)), joinInTime)
      assert.strictEqual(yield* ask("first"), a)
      assert.strictEqual(yield* ask("second"), a)
      assert.strictEqual(yield* ask("third"), b)
      assert.deepStrictEqual(tokens.slice(0, 2), [undefined, 65_536])
      assert.strictEqual(yield* ask("fourth"), b)
      assert.strictEqual(tokens.at(-1), 131_072)
    }))

  it.scoped("of an earlier attempt is ignored", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {})
      const reply = yield* Effect.fork(request("1"))
      yield* TestClock.adjust("1100 millis")
      const [first, ...later] = received.filter(({ server }) => server === a)
      assert.isAbove(later.length, 0)
      first!.report("Busy")
      first!.report("Interrupted")
      yield* settle
      assert.isNull(reply.unsafePoll())
      later.at(-1)!.reply()
      assert.strictEqual(yield* Fiber.join(reply), "1")
    }))
})

describe("replies", () => {
  it.scoped("are dropped if they are late, duplicate, unsolicited or malformed", () =>
    Effect.gen(function*() {
      const { received, request } = yield* makeClient(() => {})
      const abandoned = yield* Effect.fork(request("abandoned"))
      yield* settle
      yield* Fiber.interrupt(abandoned)
      for (const text of ["1", "2"]) {
        const waiting = yield* Effect.fork(request(text))
        yield* settle
        received[0]!.reply("late")
        const one = received.at(-1)!
        one.send([], Frames.make(""), [...Frames.make("7777"), Frames.delimiter, ...Frames.make("unsolicited")])
        one.send(Frames.make("2"), [...Frames.make("2"), ...Frames.make("no delimiter")])
        one.reply()
        one.reply("doubled")
        assert.strictEqual(yield* Fiber.join(waiting), text)
      }
    }))

  it.scoped("without a pending request do not make their server active", () =>
    Effect.gen(function*() {
      const { received, request, logged } = yield* makeClient(({ send, server }) => {
        if (server === b) {
          send([...Frames.make("7777"), Frames.delimiter, ...Frames.make("unsolicited")])
        }
      })
      const waiting = yield* Effect.fork(request("x"))
      yield* TestClock.adjust("200 millis")
      assert.isAbove(received.filter(({ server }) => server === b).length, 1)
      assert.strictEqual(logged.length, 2)
      received[0]!.reply()
      yield* Fiber.join(waiting)
      assert.strictEqual(logged.at(-1), `server at ${a} is active`)
    }))
})

describe("a client", () => {
  it.scoped("fails pending and later requests when it is closed", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { received, request } = yield* Scope.extend(makeClient(() => {}), scope)
      const waiting = yield* Effect.fork(Effect.flip(request("1")))
      yield* TestClock.adjust("1 seconds")
      yield* Scope.close(scope, Exit.void)
      const { length } = received
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "NoReply")
      assert.strictEqual((yield* Effect.flip(request("2"))).reason, "NoReply")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(received.length, length)
    }))

  it.scoped("rejects invalid options and names their fields", () =>
    Effect.gen(function*() {
      const fieldsOf = (options: unknown) =>
        makeClient(() => {}, options as BinaryStarClient.Options).pipe(
          Effect.flip,
          Effect.map(({ issues }) => issues.map(({ field }) => field))
        )
      assert.deepStrictEqual(yield* fieldsOf({ servers: [] }), ["servers.0"])
      assert.deepStrictEqual(yield* fieldsOf({ servers: [a, "tcp://*:1"] }), ["servers.1"])
      assert.deepStrictEqual(yield* fieldsOf({ timeout: "soon", retryAfter: 0 }), ["timeout", "retryAfter"])
    }))
})

describe("a client over ZeroMQ", () => {
  /** A server that can be stopped and restarted on the same port, and the requests that it received. */
  const makeServer = Effect.gen(function*() {
    const endpoint = yield* freshEndpoint("tcp")
    const received = yield* Mailbox.make<string>()
    let scope = yield* Scope.make()
    const stop = Effect.suspend(() => Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => stop)
    const serve = (answers: (text: string) => boolean) =>
      Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter()
        yield* router.bind(endpoint)
        yield* Stream.runForEach(router.messages, (batch) => {
          const all = batch.map((request) => texts(request).at(-1)!)
          received.unsafeOfferAll(all)
          return router.sendAll(batch.filter((_, i) => answers(all[i]!)))
        }).pipe(Effect.forkScoped)
      })
    return {
      endpoint,
      received,
      stop,
      start: (answers: (text: string) => boolean) =>
        Effect.flatMap(Scope.make(), (next) => {
          scope = next
          return Scope.extend(serve(answers), scope)
        })
    }
  })

  const makeClient = (servers: ReadonlyArray<string>, options: BinaryStarClient.Options = {}) =>
    BinaryStarClient.make({ servers, timeout: "30 seconds", ...options }).pipe(
      Effect.provide([ZmqClientLink.layer, quiet]),
      Effect.map(({ request }) => (text: string, options?: BinaryStarClient.RequestOptions) =>
        Effect.provide(Effect.map(request(text, options), Frames.toString), quiet)
      )
    )

  const all = () => true
  const none = () => false

  it.scopedLive("receives its reply from the other server when the first one stops", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start((text) => text !== "outstanding")
      yield* second.start((text) => text === "outstanding" || text === "next")
      const request = yield* makeClient([first.endpoint, second.endpoint], {
        // No votes: only the loss of the connection can bring the request to the other server.
        votes: Schedule.spaced("1 hour")
      })
      // The first round of votes is over before the request that matters.
      yield* request("first")
      yield* Effect.repeat(first.received.take, { until: (text) => text === "first" })
      const outstanding = yield* Effect.fork(request("outstanding"))
      yield* Effect.repeat(first.received.take, { until: (text) => text === "outstanding" })
      yield* first.stop
      assert.strictEqual(yield* Fiber.join(outstanding), "outstanding")
      assert.strictEqual(yield* request("next"), "next")
    }))

  it.scopedLive("loses no request when its server stops, with more in flight than the queues hold", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start((text) => text === "first")
      yield* second.start(all)
      const request = yield* makeClient([first.endpoint, second.endpoint])
      yield* request("first")
      const sent = Array.from({ length: 2000 }, (_, i) => String(i))
      const replies = yield* Effect.fork(Effect.forEach(sent, (text) => request(text), { concurrency: "unbounded" }))
      yield* Effect.repeat(first.received.take, { until: (text) => text === "500" })
      yield* first.stop
      assert.deepStrictEqual(yield* Fiber.join(replies), sent)
    }))

  it.scopedLive("reconnects to a server that is restarted on the same port", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start(all)
      yield* second.start(all)
      const request = yield* makeClient([first.endpoint, second.endpoint])
      for (const [one, two] of [[first, second], [second, first], [first, second]] as const) {
        yield* request("both run")
        yield* one.stop
        assert.strictEqual(yield* request("one runs"), "one runs")
        yield* one.start(all)
        yield* two.stop
        assert.strictEqual(yield* request("the other runs"), "the other runs")
        yield* two.start(all)
      }
    }))

  it.scopedLive("waits for its servers to start", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      const request = yield* makeClient([first.endpoint, second.endpoint])
      const replies = yield* Effect.fork(
        Effect.all([request("1"), request("2", { resend: false })], { concurrency: "unbounded" })
      )
      yield* Effect.sleep("50 millis")
      yield* second.start(all)
      assert.deepStrictEqual(yield* Fiber.join(replies), ["1", "2"])
    }))

  it.scopedLive("sends a restarted server nothing that was queued for the one before", () =>
    Effect.gen(function*() {
      const only = yield* makeServer
      yield* only.start((text) => text === "first")
      const request = yield* makeClient([only.endpoint])
      yield* request("first")
      const waiting = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 1500 }, (_, i) => `stale ${i}`), (text) => request(text), {
          concurrency: "unbounded"
        })
      )
      const once = yield* Effect.fork(Effect.flip(request("once", { resend: false })))
      yield* Effect.repeat(only.received.take, { until: (text) => text === "once" })
      yield* only.stop
      assert.strictEqual((yield* Fiber.join(once)).reason, "Unanswered")
      yield* Fiber.interrupt(waiting)
      yield* only.received.clear
      yield* only.start(all)
      assert.strictEqual(yield* request("fresh"), "fresh")
      assert.deepStrictEqual([...yield* only.received.clear], ["fresh"])
    }))

  it.scopedLive("finds the first server that starts to reply", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start(none)
      yield* second.start(none)
      const request = yield* makeClient([first.endpoint, second.endpoint], { retryAfter: "50 millis" })
      const waiting = yield* Effect.fork(request("x"))
      yield* Effect.all([first.received.take, second.received.take])
      yield* second.stop
      yield* second.start(all)
      assert.strictEqual(yield* Fiber.join(waiting), "x")
    }))
})
