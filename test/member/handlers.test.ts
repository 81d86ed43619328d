import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import * as Envelope from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { foreignPeer, settle } from "../support/nodes.ts"

/** A primary that may answer at once, a client that is not ours, and one that is. */
const serve = (
  handler: Handler.Handler,
  options: Partial<Omit<Options, "role">> = {},
  altered: (link: PeerLink.PeerLink["Type"]) => Partial<PeerLink.PeerLink["Type"]> = () => ({})
) =>
  Effect.gen(function*() {
    const frontend = yield* Frontend.makeMemory
    const links = yield* PeerLink.makeMemory
    const link = Layer.project(
      links.primary,
      PeerLink.PeerLink,
      PeerLink.PeerLink,
      (link) => ({ ...link, ...altered(link) })
    )
    const member = yield* BinaryStar.make({ role: "primary", policy: "classic", ...options }, handler).pipe(
      Effect.provide(yield* Layer.build(Layer.merge(frontend.layer, link)))
    )
    const connect = Effect.gen(function*() {
      const client = yield* frontend.connect
      const replies: Array<Frames.Frames> = []
      yield* client.run(async (batch) => {
        replies.push(...batch)
      }).pipe(Effect.forkScoped)
      return { client, replies }
    })
    const legacy = yield* connect
    const ours = yield* connect
    const span = (yield* Effect.option(Effect.currentSpan)).pipe(Option.getOrUndefined)
    let copy = 0
    return {
      links,
      member,
      /** What a client that is not ours has as replies. */
      replies: () => legacy.replies.map((reply) => Frames.toString(reply.slice(1))),
      /** What our client has as answers. */
      answers: () =>
        ours.replies.map((message) => {
          const answer = Envelope.parseReply(message)!
          return [answer.id, answer.status ?? "reply", Frames.toString(answer.body)].join(" ").trim()
        }),
      ask: (...requests: Array<string>) =>
        Effect.forEach(requests, (request) => legacy.client.send([Frames.delimiter, ...Frames.make(request)])).pipe(
          Effect.zipRight(settle)
        ),
      askOurs: (...requests: Array<string>) =>
        Effect.forEach(requests, (request) =>
          ours.client.send([...Envelope.make(request, ++copy, span), ...Frames.make(request)])).pipe(
            Effect.zipRight(settle)
          )
    }
  })

const text = ({ body }: Handler.Request) => Frames.toString(body)

describe("a handler", () => {
  it.scoped("effects run concurrently up to the limit; further requests wait", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      const { ask, member, replies } = yield* serve(({ body }) =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          yield* Effect.sleep("1 seconds")
          running--
          return body
        }), { concurrency: 3 })
      yield* ask("1", "2", "3", "4", "5", "6", "7")
      assert.strictEqual(running, 3)
      yield* TestClock.adjust("1 seconds")
      assert.sameMembers(replies(), ["1", "2", "3"])
      yield* TestClock.adjust("2 seconds")
      assert.sameMembers(replies(), ["1", "2", "3", "4", "5", "6", "7"])
      assert.strictEqual(most, 3)
      assert.strictEqual((yield* member.counters).accepted, 7)
    }))

  it.scoped("concurrency 1 keeps the order of each client", () =>
    Effect.gen(function*() {
      const { ask, replies } = yield* serve(
        (request) => Effect.as(Effect.sleep(Number(text(request))), request.body),
        { concurrency: 1 }
      )
      yield* ask("30", "0", "20", "10")
      yield* TestClock.adjust("60 millis")
      assert.deepStrictEqual(replies(), ["30", "0", "20", "10"])
    }))

  it.scoped("a handler that throws, fails or dies affects only its own request", () =>
    Effect.gen(function*() {
      const { answers, ask, askOurs, member, replies } = yield* serve((request) => {
        switch (text(request)) {
          case "throw":
            throw new Error("thrown")
          case "fail":
            return Effect.fail("failed")
          case "die":
            return Effect.die("died")
          case "later":
            return Effect.zipRight(Effect.yieldNow(), Effect.fail("failed"))
          case "interrupt":
            return Effect.interrupt
          default:
            return request.body
        }
      }, { concurrency: 1 })
      const requests = ["1", "throw", "2", "fail", "3", "die", "4", "later", "5", "interrupt", "6"]
      yield* ask(...requests)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(replies(), ["1", "2", "3", "4", "5", "6"])
      assert.deepInclude(yield* member.counters, { accepted: 11, failed: 5 })
      yield* askOurs(...requests)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        answers(),
        requests.map((request) => /\d/.test(request) ? `${request} reply ${request}` : `${request} Failed`)
      )
    }))

  it.scoped("a RequestFailure reaches clients of this library, and is not counted as a failure", () =>
    Effect.gen(function*() {
      const { answers, ask, askOurs, member, replies } = yield* serve((request) =>
        text(request) === "busy"
          ? new Handler.RequestFailure({ reason: "Busy" })
          : Effect.zipRight(Effect.yieldNow(), new Handler.RequestFailure({ body: "because" }))
      )
      yield* ask("busy", "no")
      yield* askOurs("busy", "no")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(replies(), [])
      assert.deepStrictEqual(answers(), ["busy Busy", "no Failed because"])
      assert.strictEqual((yield* member.counters).failed, 0)
    }))

  it.scoped("a handler is interrupted after the timeout, and its slot is free", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const { answers, askOurs, member } = yield* serve((request) =>
        text(request) === "hang"
          ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => events.push("interrupted")))
          : Effect.as(Effect.sleep("900 millis"), request.body), { concurrency: 2, timeout: "1 second" })
      yield* askOurs("hang", "1")
      yield* TestClock.adjust("950 millis")
      assert.deepStrictEqual(answers(), ["1 reply 1"])
      yield* askOurs("hang")
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(answers().slice(1), ["hang TimedOut"])
      assert.deepStrictEqual(events, ["interrupted"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(events.length, 2)
      assert.strictEqual((yield* member.counters).failed, 2)
    }))

  it.scoped("an infinite timeout never interrupts", () =>
    Effect.gen(function*() {
      const { ask, replies } = yield* serve(
        ({ body }) => Effect.as(Effect.sleep("10 minutes"), body),
        { timeout: Duration.infinity, heartbeat: "1 hour" }
      )
      yield* ask("1")
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(replies(), ["1"])
    }))

  it.scoped("a request has the client's routing id and the state of the server", () =>
    Effect.gen(function*() {
      const requests: Array<Handler.Request> = []
      const { ask, askOurs } = yield* serve((request) => {
        requests.push(request)
        return "x"
      })
      yield* ask("1", "2")
      yield* askOurs("3")
      const [first, second, third] = requests
      assert.match(first!.client, /^([0-9a-f]{2})+$/)
      assert.strictEqual(second!.client, first!.client)
      assert.notStrictEqual(third!.client, first!.client)
      assert.strictEqual(first!.state, "PRIMARY")
    }))

  it.scoped("a handler is interrupted and finalized when the term ends, and its client is notified", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const finalized = yield* Deferred.make<void>()
      const { answers, askOurs, links, member } = yield* serve(
        () => Effect.onInterrupt(Effect.never, () => Deferred.await(finalized)),
        { policy: "hardened", vote: "self", role: "backup" } as {}
      )
      yield* Stream.runForEach(member.changes, (state) => Effect.sync(() => events.push(state))).pipe(Effect.forkScoped)
      const primary = yield* foreignPeer(links.legacy.backup)
      yield* primary.reports("3")
      yield* TestClock.adjust("4 seconds")
      yield* askOurs("1")
      yield* primary.reports("3")
      assert.strictEqual(events.at(-1), "ACTIVE")
      yield* Deferred.succeed(finalized, undefined)
      yield* settle
      assert.strictEqual(events.at(-1), "CONTESTED")
      yield* askOurs("2")
      assert.deepStrictEqual(answers(), ["1 Interrupted", "2 NotActive"])
    }))

  /** The span in which a handler has run, if it has, for a client that is not ours and for one that is. */
  const spansOf = Effect.gen(function*() {
    const spans: Array<Tracer.Span | undefined> = []
    const { ask, askOurs } = yield* serve(({ body }) =>
      Effect.map(Effect.option(Effect.currentSpan), (span) => {
        spans.push(Option.getOrUndefined(span))
        return body
      })
    )
    yield* ask("1")
    yield* askOurs("2")
    return spans
  })

  it.scoped("a handler a handler runs in a span whose parent is the client's", () =>
    Effect.gen(function*() {
      const [alone, child] = yield* spansOf
      const here = yield* Effect.currentSpan
      assert.isUndefined(alone)
      assert.strictEqual(child!.traceId, here.traceId)
      assert.strictEqual(Option.getOrThrow(child!.parent).spanId, here.spanId)
    }).pipe(Effect.withSpan("test")))

  it.scoped("a handler runs in a span if the member has its own tracer", () =>
    Effect.gen(function*() {
      const native = yield* Effect.tracer
      const [span] = yield* Effect.withTracer(spansOf, Tracer.make({ ...native }))
      assert.deepInclude({ ...span }, { name: "BinaryStar.request", kind: "server" })
      assert.isTrue(Option.isNone(span!.parent))
    }))

  it.scoped("a running handler completes before a stop; later requests are rejected", () =>
    Effect.gen(function*() {
      const { answers, askOurs, member } = yield* serve((request) =>
        Effect.as(Effect.sleep(text(request) === "long" ? "1 hour" : "1 second"), request.body)
      )
      yield* askOurs("short", "long")
      const stopping = yield* Effect.fork(member.stop)
      yield* settle
      yield* askOurs("late")
      yield* TestClock.adjust("4 seconds")
      assert.isNull(stopping.unsafePoll())
      yield* TestClock.adjust("1 seconds")
      assert.isNotNull(stopping.unsafePoll())
      assert.deepStrictEqual(answers(), ["late NotActive", "short reply short", "long Interrupted"])
    }))

  it.scoped("a DeferredReply that throws, at once or when cancelled, affects only its own request", () =>
    Effect.gen(function*() {
      const { answers, askOurs, member } = yield* serve((request) => {
        switch (text(request)) {
          case "throws":
            return new Handler.DeferredReply(() => {
              throw new Error("at once")
            })
          case "throws late":
            return new Handler.DeferredReply(() => () => {
              throw new Error("when it is cancelled")
            })
          default:
            return Effect.never
        }
      }, { concurrency: 2, timeout: "1 second" })
      yield* askOurs("throws")
      yield* askOurs("throws late", "never")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(answers(), ["throws Failed", "throws late TimedOut", "never TimedOut"])
      yield* askOurs("throws late")
      const stopping = yield* Effect.fork(member.stop)
      yield* TestClock.adjust("6 seconds")
      assert.isNotNull(stopping.unsafePoll())
    }))

  it.scoped("a DeferredReply that ends Busy at the end of its term makes the client retry at the peer", () =>
    Effect.gen(function*() {
      const notBegun = new Handler.DeferredReply((settle) => () =>
        settle(Exit.fail(new Handler.RequestFailure({ reason: "Busy", body: "not begun" })))
      )
      const { answers, askOurs, links } = yield* serve(() => notBegun)
      const peer = yield* foreignPeer(links.legacy.backup)
      yield* peer.reports("2")
      yield* askOurs("1")
      yield* peer.reports("3")
      assert.deepStrictEqual(answers(), ["1 NotActive"])
    }))

  it.scoped("a handler is interrupted when its member aborts, and its client is notified", () =>
    Effect.gen(function*() {
      const { answers, askOurs, links, member } = yield* serve(() => Effect.never)
      const peer = yield* foreignPeer(links.legacy.backup)
      yield* peer.reports("2")
      yield* askOurs("1")
      yield* peer.reports("3")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(member.state)))
      assert.deepStrictEqual(answers(), ["1 Interrupted"])
      const active = Effect.provideService(BinaryStar.awaitActive, BinaryStar.BinaryStar, member)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(active)))
    }))

  const endings: ReadonlyArray<
    readonly [string, (member: BinaryStar.BinaryStar["Type"]) => Effect.Effect<unknown, unknown>]
  > = [
    ["a stop", (member) => member.stop],
    ["a hand-over", (member) => member.handOver("maintenance")]
  ]
  for (const [name, end] of endings) {
    it.scoped(`${name}: what arrives after the final heartbeat is rejected before the state port is closed`, () =>
      Effect.gen(function*() {
        const sent = yield* Effect.makeLatch()
        const answered = yield* Effect.makeLatch()
        const { answers, askOurs, links, member } = yield* serve(
          ({ body }) => body,
          { policy: "hardened" },
          (link) => ({
            publishFinal: (publication) => Effect.zipRight(sent.await, link.publishFinal(publication)),
            close: Effect.zipRight(answered.await, link.close)
          })
        )
        const peer = yield* foreignPeer(links.legacy.backup)
        yield* peer.reports("2")
        yield* peer.reports("4")
        const ending = yield* Effect.fork(end(member))
        yield* settle
        yield* askOurs("late")
        assert.deepStrictEqual(answers(), [])
        yield* sent.open
        yield* settle
        assert.deepStrictEqual(answers(), ["late NotActive"])
        yield* askOurs("later")
        assert.deepStrictEqual(answers(), ["late NotActive", "later NotActive"])
        assert.isNull(ending.unsafePoll())
        yield* answered.open
        yield* settle
        assert.isTrue(Exit.isSuccess(ending.unsafePoll()!))
      }))
  }

  it.scoped("requests during the finalization of a term are rejected at once", () =>
    Effect.gen(function*() {
      const finalized = yield* Deferred.make<void>()
      const { answers, askOurs, links, member } = yield* serve(({ body }) => body)
      const peer = yield* foreignPeer(links.legacy.backup)
      yield* peer.reports("2")
      yield* Effect.forkDaemon(member.whileActive(Effect.onInterrupt(Effect.never, () => Deferred.await(finalized))))
      yield* settle
      const stopping = yield* Effect.fork(member.stop)
      yield* settle
      yield* askOurs("late")
      assert.deepStrictEqual(answers(), ["late NotActive"])
      yield* Deferred.succeed(finalized, undefined)
      yield* settle
      assert.isNotNull(stopping.unsafePoll())
    }))
})
