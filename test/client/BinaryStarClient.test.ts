import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
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

interface Asked {
  readonly server: string
  readonly at: number
  readonly text: string
  /** Answers as the server would: the envelope as it came, then another body. */
  readonly reply: (text?: string) => void
  /** Says as a server of this library why there is no reply. */
  readonly refuse: (status: Envelope.ReplyStatus, detail?: string) => void
  /** Gives the client whatever messages. */
  readonly send: (...messages: ReadonlyArray<Frames.Frames>) => void
}

/** A client whose servers do what `answer` says with each message that reaches them. They are there, but for `away`. */
const makeClient = (
  answer: (asked: Asked) => void,
  options: BinaryStarClient.Options = {},
  { away = [], isUnknown = () => false }: {
    readonly away?: ReadonlyArray<string>
    readonly isUnknown?: (server: string) => boolean
  } = {}
) =>
  Effect.gen(function*() {
    const asked: Array<Asked> = []
    const said: Array<string> = []
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
          const happened = yield* scoped<"connected" | "lost">()
          events.set(server, happened)
          if (!isAway.has(server)) {
            happened.unsafeOffer("connected")
          }
          return {
            send: (message) =>
              Effect.map(Clock.currentTimeMillis, (at) => {
                const [id, delimiter, ...body] = message
                const one: Asked = {
                  server,
                  at,
                  text: Frames.toString(body),
                  reply: (text = one.text) => one.send([id!, delimiter!, ...Frames.make(text)]),
                  refuse: (status, detail) =>
                    one.send(Envelope.status([Frames.delimiter, id!], status, Frames.make(detail ?? [])).slice(1)),
                  send: (...batch) => messages.unsafeOffer(batch)
                }
                asked.push(one)
                answer(one)
              }),
            events: Mailbox.toStream(happened),
            run: runOf(Mailbox.toStream(messages))
          }
        })
    })
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => said.push(String(message))))
    const { request } = yield* BinaryStarClient.make({ servers: [a, b], ...options }).pipe(
      Effect.provide(link),
      Effect.provide(logger)
    )
    yield* settle
    const happens = (server: string, event: "connected" | "lost") =>
      Effect.suspend(() => {
        isAway[event === "lost" ? "add" : "delete"](server)
        events.get(server)!.unsafeOffer(event)
        return settle
      })
    return {
      request: (text: string, options?: BinaryStarClient.RequestOptions) =>
        Effect.provide(Effect.map(request(text, options), Frames.toString), logger),
      asked,
      /** What was sent, in short: to whom, what, when. */
      sent: () => asked.map(({ at, server, text }) => [server, text, at]),
      said,
      comes: (server: string) => happens(server, "connected"),
      goes: (server: string) => happens(server, "lost")
    }
  })

/** Answers all but what is called `slow`. */
const unlessSlow = ({ reply, text }: Asked) => {
  if (!text.startsWith("slow")) {
    reply()
  }
}

/** Lets time go on until a fiber has ended, and no further. */
const joinInTime = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    Effect.repeat(TestClock.adjust("1 millis"), { until: () => fiber.unsafePoll() !== null }),
    Fiber.join(fiber)
  )

/** Only one of the servers answers. */
const only = (server: string) => (asked: Asked) => {
  if (asked.server === server) {
    unlessSlow(asked)
  }
}

describe("asking", () => {
  it.scoped("the first server, and only it, as long as it answers", () =>
    Effect.gen(function*() {
      const { request, said, sent } = yield* makeClient(unlessSlow)
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* request(String(i)), String(i))
        yield* TestClock.adjust("100 millis")
      }
      assert.deepStrictEqual(sent(), Array.from({ length: 20 }, (_, i) => [a, String(i), 100 * i]))
      assert.deepStrictEqual(said, [
        `connecting to server at ${a}...`,
        `connecting to server at ${b}...`,
        `server at ${a} is active`
      ])
    }))

  it.scoped("with many requests at a time, each of which gets its own reply", () =>
    Effect.gen(function*() {
      const held: Array<Asked> = []
      const { asked, request } = yield* makeClient((one) => {
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
      assert.strictEqual(asked.length, 1001)
    }))

  it.scoped("waits for the first connection", () =>
    Effect.gen(function*() {
      const { comes, request, sent } = yield* makeClient(unlessSlow, {}, { away: [a, b] })
      const replies = yield* Effect.fork(
        Effect.all([request("1"), request("2", { resend: false })], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(sent(), [])
      yield* comes(b)
      assert.deepStrictEqual(yield* joinInTime(replies), ["1", "2"])
    }))

  it.scoped("again and again for a server whose name is not known, and asks the other meanwhile", () =>
    Effect.gen(function*() {
      let unknown = true
      const { goes, request, said } = yield* makeClient(unlessSlow, {}, {
        isUnknown: (server) => unknown && server === a
      })
      assert.strictEqual(yield* request("1"), "1")
      yield* TestClock.adjust("10 seconds")
      assert.isAbove(said.filter((line) => line.includes("cannot be looked up")).length, 5)
      unknown = false
      yield* TestClock.adjust("1 seconds")
      yield* goes(b)
      assert.strictEqual(yield* request("2"), "2")
      assert.include(said, `server at ${a} is active`)
    }))
})

describe("a server that is slow", () => {
  it.scoped("is asked the same again only after the client's patience, copies go to the other", () =>
    Effect.gen(function*() {
      const { asked, request, sent } = yield* makeClient(only(a), { retryAfter: "1 second" })
      yield* request("first")
      const slow = yield* Effect.fork(request("slow"))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(sent().filter(([server]) => server === a), [[a, "first", 0], [a, "slow", 0]])
      assert.isAbove(sent().filter(([server]) => server === b).length, 10)
      yield* TestClock.adjust("1 seconds")
      const again = sent().filter(([server, , at]) => server === a && Number(at) > 0)
      assert.strictEqual(again.length, 1)
      assert.isAtMost(Number(again[0]![2]), 1100)
      asked.filter(({ server }) => server === a)[1]!.reply("late")
      assert.strictEqual(yield* Fiber.join(slow), "late")
    }))

  it.scoped("is not left for it", () =>
    Effect.gen(function*() {
      const { request, said, sent } = yield* makeClient(only(a))
      yield* request("first")
      yield* Effect.fork(Effect.ignore(request("slow")))
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("100 millis")
        yield* request(`quick ${i}`)
      }
      assert.deepStrictEqual(sent().filter(([, text]) => text !== "slow").map(([server]) => server), Array(21).fill(a))
      assert.strictEqual(said.at(-1), `server at ${a} is active`)
    }))
})

describe("a server that is silent", () => {
  it.scoped("the other one gets votes, soon and then less and less often, up to 50 milliseconds apart", () =>
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

  it.scoped("a server may be given any schedule of votes", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(() => {}, { votes: Schedule.spaced("1 seconds") })
      yield* Effect.fork(Effect.ignore(request("1")))
      yield* TestClock.adjust("3500 millis")
      const votes = sent().filter(([server]) => server === b).map(([, , at]) => Number(at))
      assert.deepStrictEqual(votes.map((at) => at - votes[0]!), [0, 1000, 2000, 3000])
    }))

  it.scoped("once the other one answers, all that wait go there at once", () =>
    Effect.gen(function*() {
      const { request, said, sent } = yield* makeClient(only(b))
      const texts = Array.from({ length: 100 }, (_, i) => String(i))
      const replies = yield* Effect.fork(
        Effect.forEach(texts, (text) => request(text), { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(yield* joinInTime(replies), texts)
      assert.sameMembers(sent().filter(([server]) => server === b).map(([, text]) => text), texts)
      assert.strictEqual(said.at(-1), `server at ${b} is active`)
      yield* request("next")
      assert.deepStrictEqual(sent().at(-1)!.slice(0, 2), [b, "next"])
    }))

  it.scoped("though it had been answering before, and one request after the other votes", () =>
    Effect.gen(function*() {
      let answers = only(a)
      const { request, sent } = yield* makeClient((asked) => answers(asked))
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

  it.scoped("a request that nobody answers does not keep the others from voting", () =>
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

  for (const [when, millis] of [["at once", 0], ["after it was offered the same again", 200]] as const) {
    it.scoped(`that was left and answers late, ${when}, is not returned to for it`, () =>
      Effect.gen(function*() {
        const { asked, request, said, sent } = yield* makeClient(only(b))
        const slow = yield* Effect.fork(request("slow"))
        yield* settle
        const quick = yield* Effect.fork(request("quick"))
        assert.strictEqual(yield* joinInTime(quick), "quick")
        assert.strictEqual(said.at(-1), `server at ${b} is active`)
        yield* TestClock.adjust(millis)
        asked[0]!.reply("late")
        assert.strictEqual(yield* Fiber.join(slow), "late")
        assert.strictEqual(said.at(-1), `server at ${b} is active`)
        yield* request("next")
        assert.strictEqual(sent().at(-1)![0], b)
      }))
  }

  it.scoped("a request fails when it has taken all its time, and is sent no more", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(() => {}, { timeout: "2 seconds" })
      const lost = yield* Effect.fork(Effect.flip(request("1")))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* Fiber.poll(lost))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(lost)
      assert.instanceOf(error, RequestError)
      assert.strictEqual(error.reason, "NoReply")
      assert.deepStrictEqual(error.servers, [a, b])
      assert.strictEqual(error.attempts, asked.length)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(error.attempts, asked.length)
    }))

  it.scoped("is not asked any more what was interrupted", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(() => {})
      for (const millis of [0, 5, 10, 100]) {
        const one = yield* Effect.fork(request("1"))
        yield* TestClock.adjust(millis)
        yield* Fiber.interrupt(one)
        const { length } = asked
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(asked.length, length)
      }
    }))
})

describe("a connection that is lost", () => {
  it.scoped("makes all requests go to the other server at once", () =>
    Effect.gen(function*() {
      let answers = only(a)
      const { goes, request, said, sent } = yield* makeClient((asked) => answers(asked))
      yield* TestClock.adjust("1 seconds")
      yield* request("first")
      answers = only(b)
      const waiting = yield* Effect.fork(Effect.all(["1", "2", "3"].map((text) => request(text)), {
        concurrency: "unbounded"
      }))
      yield* TestClock.adjust("1 millis")
      yield* goes(a)
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["1", "2", "3"])
      assert.sameDeepMembers(sent().filter(([server]) => server === b), [[b, "1", 1001], [b, "2", 1001], [
        b,
        "3",
        1001
      ]])
      assert.deepStrictEqual(said.slice(-3), [
        `lost the server at ${a}`,
        `connecting to server at ${a}...`,
        `server at ${b} is active`
      ])
    }))

  it.scoped("and found again is used when the other one is lost", () =>
    Effect.gen(function*() {
      const { comes, goes, request, sent } = yield* makeClient(unlessSlow)
      for (const [from, to] of [[a, b], [b, a], [a, b]] as const) {
        yield* TestClock.adjust("1 seconds")
        yield* goes(from)
        assert.strictEqual(yield* request("x"), "x")
        assert.strictEqual(sent().at(-1)![0], to)
        yield* comes(from)
        assert.strictEqual(yield* request("x"), "x")
        assert.strictEqual(sent().at(-1)![0], to)
      }
    }))

  it.scoped("with the other one away too: requests wait for either", () =>
    Effect.gen(function*() {
      const { comes, goes, request } = yield* makeClient(unlessSlow)
      yield* goes(a)
      yield* goes(b)
      const waiting = yield* Effect.fork(request("x"))
      yield* TestClock.adjust("9 seconds")
      yield* comes(a)
      assert.strictEqual(yield* Fiber.join(waiting), "x")
    }))
})

describe("a request that must not be sent twice", () => {
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
      const { goes, request, sent } = yield* makeClient(only(b))
      const lost = yield* Effect.fork(Effect.flip(request("1", once)))
      yield* TestClock.adjust("5 millis")
      yield* goes(a)
      assert.deepInclude({ ...yield* Fiber.join(lost) }, { reason: "Unanswered", attempts: 1 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(sent(), [[a, "1", 0]])
    }))

  for (const server of [a, b]) {
    it.scoped(`is sent once, and fails with Unanswered when the client is closed while ${server} answers`, () =>
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

  it.scoped("is sent once, and fails with Unanswered soon after the other server has answered", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(only(b))
      const slow = yield* Effect.fork(Effect.flip(request("slow", once)))
      const quick = yield* Effect.fork(request("quick"))
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* Fiber.join(quick), "quick")
      assert.isNull(slow.unsafePoll())
      yield* Effect.repeatN(TestClock.adjust("50 millis"), 4)
      assert.strictEqual((yield* Fiber.join(slow)).reason, "Unanswered")
      assert.strictEqual(asked.filter(({ text }) => text === "slow").length, 1)
    }))

  for (const word of ["NotActive", "a reply"] as const) {
    it.scoped(`waits, when the other server has answered, for what the one that has it may be about to say: ${word}`, () =>
      Effect.gen(function*() {
        const { asked, request } = yield* makeClient((asked) => {
          if (asked.server === b) {
            asked.reply(`${asked.text} from b`)
          }
        })
        const slow = yield* Effect.fork(request("slow", once))
        const quick = yield* Effect.fork(request("quick"))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* Fiber.join(quick), "quick from b")
        const held = asked.find(({ server, text }) => server === a && text === "slow")!
        if (word === "NotActive") {
          held.refuse("NotActive")
        } else {
          held.reply("slow from a")
        }
        yield* Effect.repeatN(TestClock.adjust("50 millis"), 4)
        assert.strictEqual(yield* Fiber.join(slow), word === "NotActive" ? "slow from b" : "slow from a")
      }))
  }

  it.scoped("fails with NoReply when it never was sent", () =>
    Effect.gen(function*() {
      const { request } = yield* makeClient(() => {}, {}, { away: [a, b] })
      const lost = yield* Effect.fork(Effect.flip(request("1", once)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(lost)
      assert.deepInclude({ ...error }, { reason: "NoReply", attempts: 0 })
      assert.strictEqual(error.message, `no reply from ${a} or ${b} after 0 attempts`)
    }))
})

describe("a server that says why there is no reply", () => {
  const once = { resend: false }

  it.scoped("NotActive: the request goes to the other one, also where it must not be sent twice", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(({ refuse, reply, server }) =>
        server === a ? refuse("NotActive") : reply()
      )
      const asking = yield* Effect.fork(request("1", once))
      assert.strictEqual(yield* joinInTime(asking), "1")
      assert.deepStrictEqual(sent(), [[a, "1", 0], [b, "1", 5]])
      assert.strictEqual(yield* request("2", once), "2")
      assert.deepStrictEqual(sent().at(-1), [b, "2", 5])
    }))

  it.scoped("NotActive, both of them: goes to and fro until one of them takes it", () =>
    Effect.gen(function*() {
      let tries = 0
      const { asked, request } = yield* makeClient(({ refuse, reply }) => ++tries < 6 ? refuse("NotActive") : reply())
      const asking = yield* Effect.fork(request("1", once))
      assert.strictEqual(yield* joinInTime(asking), "1")
      assert.deepStrictEqual(asked.map(({ server }) => server), [a, b, a, b, a, b])
    }))

  it.scoped("NotActive: what it says later to an earlier request does not make it the one that answers", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(({ refuse, server, text }) => {
        if (server === a && text !== "in hand") {
          refuse("NotActive")
        }
      })
      const inHand = yield* Effect.fork(request("in hand", once))
      yield* settle
      const late = yield* Effect.fork(request("late", once))
      yield* TestClock.adjust("20 millis")
      asked[0]!.reply()
      assert.strictEqual(yield* Fiber.join(inHand), "in hand")
      yield* settle
      assert.isNull(late.unsafePoll())
      asked.filter(({ server }) => server === b).at(-1)!.reply()
      assert.strictEqual(yield* Fiber.join(late), "late")
    }))

  it.scoped("Interrupted: the request is sent again if it may be, and fails at once if not", () =>
    Effect.gen(function*() {
      const { request, sent } = yield* makeClient(({ refuse, reply, server }) =>
        server === a ? refuse("Interrupted") : reply()
      )
      const error = yield* Effect.flip(request("1", once))
      assert.deepInclude({ ...error }, { reason: "Unanswered", attempts: 1 })
      const asking = yield* Effect.fork(request("2"))
      assert.strictEqual(yield* joinInTime(asking), "2")
      assert.deepStrictEqual(sent().at(-1), [b, "2", 5])
    }))

  for (const reason of ["Failed", "TimedOut", "Busy"] as const) {
    it.scoped(`${reason}: so does the request`, () =>
      Effect.gen(function*() {
        const { asked, request } = yield* makeClient(({ refuse }) => refuse(reason, "because"))
        const error = yield* Effect.flip(request("1"))
        assert.strictEqual(error.reason, reason)
        assert.strictEqual(Frames.toString(error.detail!), "because")
        assert.strictEqual(asked.length, 1)
      }))
  }

  it.scoped("what is said of an earlier copy changes nothing", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(() => {})
      const asking = yield* Effect.fork(request("1"))
      yield* TestClock.adjust("1100 millis")
      const [first, ...later] = asked.filter(({ server }) => server === a)
      assert.isAbove(later.length, 0)
      first!.refuse("Busy")
      first!.refuse("Interrupted")
      yield* settle
      assert.isNull(asking.unsafePoll())
      later.at(-1)!.reply()
      assert.strictEqual(yield* Fiber.join(asking), "1")
    }))
})

describe("replies", () => {
  it.scoped("that are late, doubled, unasked for or malformed are dropped", () =>
    Effect.gen(function*() {
      const { asked, request } = yield* makeClient(() => {})
      const abandoned = yield* Effect.fork(request("abandoned"))
      yield* settle
      yield* Fiber.interrupt(abandoned)
      for (const text of ["1", "2"]) {
        const waiting = yield* Effect.fork(request(text))
        yield* settle
        asked[0]!.reply("late")
        const one = asked.at(-1)!
        one.send([], Frames.make(""), [...Frames.make("7777"), Frames.delimiter, ...Frames.make("unasked for")])
        one.send(Frames.make("2"), [...Frames.make("2"), ...Frames.make("no delimiter")])
        one.reply()
        one.reply("doubled")
        assert.strictEqual(yield* Fiber.join(waiting), text)
      }
    }))

  it.scoped("to nobody do not make their server the one that answers", () =>
    Effect.gen(function*() {
      const { asked, request, said } = yield* makeClient(({ send, server }) => {
        if (server === b) {
          send([...Frames.make("7777"), Frames.delimiter, ...Frames.make("unasked for")])
        }
      })
      const waiting = yield* Effect.fork(request("x"))
      yield* TestClock.adjust("200 millis")
      assert.isAbove(asked.filter(({ server }) => server === b).length, 1)
      assert.strictEqual(said.length, 2)
      asked[0]!.reply()
      yield* Fiber.join(waiting)
      assert.strictEqual(said.at(-1), `server at ${a} is active`)
    }))
})

describe("a client", () => {
  it.scoped("that is closed fails what waits, and what comes later", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { asked, request } = yield* Scope.extend(makeClient(() => {}), scope)
      const waiting = yield* Effect.fork(Effect.flip(request("1")))
      yield* TestClock.adjust("1 seconds")
      yield* Scope.close(scope, Exit.void)
      const { length } = asked
      assert.strictEqual((yield* Fiber.join(waiting)).reason, "NoReply")
      assert.strictEqual((yield* Effect.flip(request("2"))).reason, "NoReply")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(asked.length, length)
    }))

  it.scoped("refuses wrong options and names their fields", () =>
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
  /** A server that can be stopped and started again on the same port, and what it was asked, one by one. */
  const makeServer = Effect.gen(function*() {
    const endpoint = yield* freshEndpoint("tcp")
    const asked = yield* Mailbox.make<string>()
    let scope = yield* Scope.make()
    const stop = Effect.suspend(() => Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => stop)
    const serve = (answers: (text: string) => boolean) =>
      Effect.gen(function*() {
        const router = yield* ZmqSocket.makeRouter()
        yield* router.bind(endpoint)
        yield* Stream.runForEach(router.messages, (batch) => {
          const all = batch.map((request) => texts(request).at(-1)!)
          asked.unsafeOfferAll(all)
          return router.sendAll(batch.filter((_, i) => answers(all[i]!)))
        }).pipe(Effect.forkScoped)
      })
    return {
      endpoint,
      asked,
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

  it.scopedLive("gets its reply from the other server when the one that had its request goes", () =>
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
      yield* Effect.repeat(first.asked.take, { until: (text) => text === "first" })
      const outstanding = yield* Effect.fork(request("outstanding"))
      yield* Effect.repeat(first.asked.take, { until: (text) => text === "outstanding" })
      yield* first.stop
      assert.strictEqual(yield* Fiber.join(outstanding), "outstanding")
      assert.strictEqual(yield* request("next"), "next")
    }))

  it.scopedLive("has more requests in flight than the queues hold, and loses none when their server goes", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start((text) => text === "first")
      yield* second.start(all)
      const request = yield* makeClient([first.endpoint, second.endpoint])
      yield* request("first")
      const sent = Array.from({ length: 2000 }, (_, i) => String(i))
      const replies = yield* Effect.fork(Effect.forEach(sent, (text) => request(text), { concurrency: "unbounded" }))
      yield* Effect.repeat(first.asked.take, { until: (text) => text === "500" })
      yield* first.stop
      assert.deepStrictEqual(yield* Fiber.join(replies), sent)
    }))

  it.scopedLive("finds a server that is started again on the same port", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start(all)
      yield* second.start(all)
      const request = yield* makeClient([first.endpoint, second.endpoint])
      for (const [one, two] of [[first, second], [second, first], [first, second]] as const) {
        yield* request("both are there")
        yield* one.stop
        assert.strictEqual(yield* request("one is there"), "one is there")
        yield* one.start(all)
        yield* two.stop
        assert.strictEqual(yield* request("the other is there"), "the other is there")
        yield* two.start(all)
      }
    }))

  it.scopedLive("waits for its servers to come", () =>
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

  it.scopedLive("sends no server that was started again what was meant for the one before", () =>
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
      yield* Effect.repeat(only.asked.take, { until: (text) => text === "once" })
      yield* only.stop
      assert.strictEqual((yield* Fiber.join(once)).reason, "Unanswered")
      yield* Fiber.interrupt(waiting)
      yield* only.asked.clear
      yield* only.start(all)
      assert.strictEqual(yield* request("fresh"), "fresh")
      assert.deepStrictEqual([...yield* only.asked.clear], ["fresh"])
    }))

  it.scopedLive("asks on while no server answers, and the one that begins to", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeServer, yield* makeServer]
      yield* first.start(none)
      yield* second.start(none)
      const request = yield* makeClient([first.endpoint, second.endpoint], { retryAfter: "50 millis" })
      const waiting = yield* Effect.fork(request("x"))
      yield* Effect.all([first.asked.take, second.asked.take])
      yield* second.stop
      yield* second.start(all)
      assert.strictEqual(yield* Fiber.join(waiting), "x")
    }))
})
