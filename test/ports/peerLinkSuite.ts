import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../../src/internal/Clock.ts"
import { type LinkEvent, PeerLink } from "../../src/ports/PeerLink.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import { eventually, listen, message, texts } from "../support/sockets.ts"

/** Both ends of one link. */
export type Ends = { readonly [R in Role]: Layer.Layer<PeerLink, SocketError> }

const build = (layer: Layer.Layer<PeerLink, SocketError>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, PeerLink))

/** Builds an end. Its received messages can be taken one by one. */
const join = (layer: Layer.Layer<PeerLink, SocketError>) =>
  Effect.gen(function*() {
    const { messages, publish } = yield* build(layer)
    const received = yield* listen(messages)
    return { publish, received: Effect.map(received.take, texts) }
  })

type End = Effect.Effect.Success<ReturnType<typeof join>>

/** A subscriber joins slowly: publishes until the other end has received a message, and drops the rest of them. */
const connect = (from: End, to: End) =>
  Effect.gen(function*() {
    yield* from.publish({ state: message("connecting") }).pipe(
      Effect.repeat(Schedule.spaced("5 millis")),
      Effect.raceFirst(to.received)
    )
    yield* from.publish({ state: message("connected") })
    yield* Effect.repeat(to.received, { until: ([text]) => text === "connected" })
  })

/**
 * The contract of every link. An endpoint of inproc does not return once its publisher has closed. Of it, and of a removed file, the
 * system does not report whether there is a process.
 */
export const peerLinkSuite = (
  name: string,
  make: Effect.Effect<Ends, never, Scope.Scope>,
  { restarts, reports }: { readonly restarts: boolean; readonly reports: boolean }
) =>
  describe(`a link over ${name}`, () => {
    it.scopedLive("carries messages unchanged, in order, both ways", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        const backup = yield* join(ends.backup)
        const sent = [
          ["1"],
          [""],
          ["two", "frames"],
          ["", "", "x", ""],
          ...Array.from({ length: 500 }, (_, i) => [`${i}`])
        ]
        for (const [from, to] of [[primary, backup], [backup, primary]] as const) {
          yield* connect(from, to)
          yield* Effect.forEach(sent, (text) => from.publish({ state: message(...text) }), { discard: true })
          assert.deepStrictEqual(yield* Effect.replicateEffect(to.received, sent.length), sent)
        }
      }))

    it.scopedLive("loses messages published while the peer is away, without an error", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        yield* Effect.replicateEffect(primary.publish({ state: message("lost") }), 10)
        const { messages, publish } = yield* build(ends.backup)
        const received = yield* listen(messages)
        const first = yield* Effect.raceFirst(
          Effect.repeat(primary.publish({ state: message("found") }), Schedule.spaced("5 millis")),
          received.take
        )
        assert.deepStrictEqual(first, message("found"))
        yield* connect({ publish, received: Effect.map(received.take, texts) }, primary)
      }))

    it.scopedLive("polls: whether there are messages to read", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        const { messages, publish, poll } = yield* build(ends.backup)
        const backup = Effect.map(
          listen(messages),
          (received) => ({ publish, received: Effect.map(received.take, texts) })
        )
        yield* Effect.scoped(Effect.flatMap(backup, (backup) => connect(primary, backup)))
        assert.isFalse(yield* poll)
        yield* primary.publish({ state: message("unread") })
        yield* eventually(poll)
        const { received } = yield* backup
        assert.deepStrictEqual(yield* received, ["unread"])
        assert.isFalse(yield* poll)
      }))

    it.scopedLive("resets: messages sent before are delivered then, and none of them later", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        const { reset, messages, publish } = yield* build(ends.backup)
        const received = yield* listen(messages)
        yield* connect(primary, { publish, received: Effect.map(received.take, texts) })
        yield* Effect.replicateEffect(primary.publish({ state: message("before") }), 20)
        yield* reset
        const inHand = [...yield* received.clear].map(texts)
        assert.deepStrictEqual(inHand, Array.from({ length: 20 }, () => ["before"]))
        yield* primary.publish({ state: message("after") })
        assert.deepStrictEqual(texts(yield* received.take), ["after"])
      }))

    it.scopedLive("sends a heartbeat after a state, and alone, once a peer asks for it, which is reported once", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const { events, messages, publish } = yield* build(ends.primary)
        yield* listen(messages)
        const reported = yield* Mailbox.fromStream(events)
        const backup = yield* join(ends.backup)
        const steps = Effect.repeat(reported.take, { until: (event) => event === "PeerJoined" })
        yield* steps
        assert.isTrue(yield* publish({ state: message("state"), heartbeat: message("heartbeat") }))
        assert.isTrue(yield* publish({ heartbeat: message("alone") }))
        assert.isTrue(yield* publish({ state: message("last") }))
        const received = yield* Effect.replicateEffect(backup.received, 4)
        assert.deepStrictEqual(received, [["state"], ["heartbeat"], ["alone"], ["last"]])
        assert.notInclude([...yield* reported.clear], "PeerJoined")
      }))

    it.scopedLive.runIf(reports)("a heartbeat alone does not open a port that a final publication has closed", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const { close, publish, publishFinal } = yield* build(ends.primary)
        const { isRefused } = yield* build(ends.backup)
        yield* publishFinal({ state: message("final"), heartbeat: message("final") })
        yield* close
        assert.isFalse(yield* publish({ heartbeat: message("alone") }))
        // libzmq closes the port in a thread of its own, a moment later.
        yield* eventually(isRefused(1000))
        assert.isTrue(yield* publish({ state: message("again") }))
        assert.isFalse(yield* isRefused(1000))
      }))

    it.scopedLive.runIf(reports)("reports when the connection is made and lost, and when a subscriber joins", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const { events, hasSubscriber, messages } = yield* build(ends.primary)
        yield* listen(messages)
        const reported = yield* Mailbox.fromStream(events)
        const awaited = (...awaited: ReadonlyArray<LinkEvent>) => {
          const left = new Set(awaited)
          return Effect.repeat(reported.take, {
            until: (event) => {
              left.delete(event)
              return left.size === 0
            }
          })
        }
        assert.isFalse(yield* hasSubscriber)
        for (let life = 0; life < 3; life++) {
          const scope = yield* Scope.make()
          yield* Scope.extend(join(ends.backup), scope)
          yield* awaited("Connected", "Joined")
          yield* eventually(hasSubscriber)
          yield* Scope.close(scope, Exit.void)
          yield* awaited("Lost")
          yield* eventually(Effect.map(hasSubscriber, (isThere) =>
            !isThere))
        }
      }))

    it.scopedLive.runIf(reports)(
      "H7 crash evidence: reports that the other end is closed or was never built, but not while it is open",
      () =>
        Effect.gen(function*() {
          const ends = yield* make
          const { peerDown, isRefused, messages, publish } = yield* build(ends.primary)
          const received = yield* listen(messages)
          const primary = { publish, received: Effect.map(received.take, texts) }
          const evidence = yield* Mailbox.fromStream(peerDown)
          const proven = (since: number) =>
            Effect.repeat(evidence.take, {
              until: ({ asOf }) =>
                asOf > since
            })
          assert.strictEqual((yield* proven(0))._tag, "ConnectionRefused")
          assert.isTrue(yield* isRefused(1000))
          for (let life = 0; life < 3; life++) {
            const scope = yield* Scope.make()
            const backup = yield* Scope.extend(join(ends.backup), scope)
            yield* connect(backup, primary)
            const since = yield* monotonicMillis
            yield* Effect.replicateEffect(Effect.zipRight(connect(primary, backup), connect(backup, primary)), 5)
            assert.deepStrictEqual(
              [...yield* evidence.clear].filter(({ asOf }) =>
                asOf > since
              ),
              []
            )
            assert.isFalse(yield* isRefused(1000))
            const before = yield* monotonicMillis
            yield* Scope.close(scope, Exit.void)
            yield* proven(before)
            assert.isTrue(yield* isRefused(1000))
          }
        })
    )

    it.scopedLive.runIf(reports)(
      "closes its port after a final message, which arrives first, and opens it with the next one",
      () =>
        Effect.gen(function*() {
          const ends = yield* make
          const { close, publishFinal, messages, publish } = yield* build(ends.primary)
          const primary = { publish, received: Effect.map((yield* listen(messages)).take, texts) }
          const peer = yield* build(ends.backup)
          const backup = { publish: peer.publish, received: Effect.map((yield* listen(peer.messages)).take, texts) }
          const evidence = yield* Mailbox.fromStream(peer.peerDown)
          for (let time = 0; time < 3; time++) {
            yield* connect(primary, backup)
            yield* connect(backup, primary)
            const before = yield* monotonicMillis
            yield* publishFinal({ state: message("final") })
            yield* close
            yield* publishFinal({ state: message("after the final one") })
            yield* close
            yield* Effect.repeat(evidence.take, {
              until: ({ asOf }) =>
                asOf >= before
            })
            assert.deepStrictEqual(yield* backup.received, ["final"])
            yield* peer.publish({ state: message("still received") })
            assert.deepStrictEqual(yield* primary.received, ["still received"])
          }
          yield* connect(primary, backup)
        })
    )

    for (const [role, other] of [["primary", "backup"], ["backup", "primary"]] as const) {
      it.scopedLive.runIf(restarts)(`continues when the ${role} is built again`, () =>
        Effect.gen(function*() {
          const ends = yield* make
          const stays = yield* join(ends[other])
          for (let life = 0; life < 3; life++) {
            const scope = yield* Scope.make()
            const again = yield* Scope.extend(join(ends[role]), scope)
            yield* connect(again, stays)
            yield* connect(stays, again)
            yield* Scope.close(scope, Exit.void)
            yield* stays.publish({ state: message("lost") })
          }
        }))
    }
  })
