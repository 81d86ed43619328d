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

/** Builds an end; what it hears can be taken one by one. */
const join = (layer: Layer.Layer<PeerLink, SocketError>) =>
  Effect.gen(function*() {
    const { messages, publish } = yield* build(layer)
    const heard = yield* listen(messages)
    return { publish, heard: Effect.map(heard.take, texts) }
  })

type End = Effect.Effect.Success<ReturnType<typeof join>>

/** A subscriber joins slowly: publishes until the other end has heard it, and takes what is left of that. */
const meet = (from: End, to: End) =>
  Effect.gen(function*() {
    yield* from.publish(message("anybody there?")).pipe(
      Effect.repeat(Schedule.spaced("5 millis")),
      Effect.raceFirst(to.heard)
    )
    yield* from.publish(message("we have met"))
    yield* Effect.repeat(to.heard, { until: ([text]) => text === "we have met" })
  })

/**
 * What every link must do. An endpoint of inproc does not come back once its publisher has gone; of it, and of a file that
 * was removed, the system does not tell whether there is a process.
 */
export const peerLinkSuite = (
  name: string,
  make: Effect.Effect<Ends, never, Scope.Scope>,
  { restarts, tells }: { readonly restarts: boolean; readonly tells: boolean }
) =>
  describe(`a link over ${name}`, () => {
    it.scopedLive("carries messages as they are, in order, both ways", () =>
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
          yield* meet(from, to)
          yield* Effect.forEach(sent, (text) => from.publish(message(...text)), { discard: true })
          assert.deepStrictEqual(yield* Effect.replicateEffect(to.heard, sent.length), sent)
        }
      }))

    it.scopedLive("loses without an error what is published while the peer is away", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        yield* Effect.replicateEffect(primary.publish(message("lost")), 10)
        const { messages, publish } = yield* build(ends.backup)
        const heard = yield* listen(messages)
        const first = yield* Effect.raceFirst(
          Effect.repeat(primary.publish(message("found")), Schedule.spaced("5 millis")),
          heard.take
        )
        assert.deepStrictEqual(first, message("found"))
        yield* meet({ publish, heard: Effect.map(heard.take, texts) }, primary)
      }))

    it.scopedLive("knows whether something waits to be read", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        const { messages, publish, poll } = yield* build(ends.backup)
        const backup = Effect.map(listen(messages), (heard) => ({ publish, heard: Effect.map(heard.take, texts) }))
        yield* Effect.scoped(Effect.flatMap(backup, (backup) => meet(primary, backup)))
        assert.isFalse(yield* poll)
        yield* primary.publish(message("unread"))
        yield* eventually(poll)
        const { heard } = yield* backup
        assert.deepStrictEqual(yield* heard, ["unread"])
        assert.isFalse(yield* poll)
      }))

    it.scopedLive("forgets: what was sent before is in hand then, and nothing of it comes later", () =>
      Effect.gen(function*() {
        const ends = yield* make
        const primary = yield* join(ends.primary)
        const { reset, messages, publish } = yield* build(ends.backup)
        const heard = yield* listen(messages)
        yield* meet(primary, { publish, heard: Effect.map(heard.take, texts) })
        yield* Effect.replicateEffect(primary.publish(message("before")), 20)
        yield* reset
        const inHand = [...yield* heard.clear].map(texts)
        assert.deepStrictEqual(inHand, Array.from({ length: 20 }, () => ["before"]))
        yield* primary.publish(message("after"))
        assert.deepStrictEqual(texts(yield* heard.take), ["after"])
      }))

    it.scopedLive.runIf(tells)("reports when the connection is made and lost, and when a subscriber joins", () =>
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

    it.scopedLive.runIf(tells)(
      "has proof that the other end is gone, be it closed or never built, but not while it is there",
      () =>
        Effect.gen(function*() {
          const ends = yield* make
          const { peerDown, isRefused, messages, publish } = yield* build(ends.primary)
          const heard = yield* listen(messages)
          const primary = { publish, heard: Effect.map(heard.take, texts) }
          const evidence = yield* Mailbox.fromStream(peerDown)
          const proven = (since: number) =>
            Effect.repeat(evidence.take, { until: ({ asOf }) => asOf > since })
          assert.strictEqual((yield* proven(0))._tag, "ConnectionRefused")
          assert.isTrue(yield* isRefused(1000))
          for (let life = 0; life < 3; life++) {
            const scope = yield* Scope.make()
            const backup = yield* Scope.extend(join(ends.backup), scope)
            yield* meet(backup, primary)
            const since = yield* monotonicMillis
            yield* Effect.replicateEffect(Effect.zipRight(meet(primary, backup), meet(backup, primary)), 5)
            assert.deepStrictEqual([...yield* evidence.clear].filter(({ asOf }) => asOf > since), [])
            assert.isFalse(yield* isRefused(1000))
            const before = yield* monotonicMillis
            yield* Scope.close(scope, Exit.void)
            yield* proven(before)
            assert.isTrue(yield* isRefused(1000))
          }
        })
    )

    it.scopedLive.runIf(tells)(
      "lets go with a farewell, which comes first, and is found again with the next word",
      () =>
        Effect.gen(function*() {
          const ends = yield* make
          const { publishFinal, messages, publish } = yield* build(ends.primary)
          const primary = { publish, heard: Effect.map((yield* listen(messages)).take, texts) }
          const peer = yield* build(ends.backup)
          const backup = { publish: peer.publish, heard: Effect.map((yield* listen(peer.messages)).take, texts) }
          const evidence = yield* Mailbox.fromStream(peer.peerDown)
          for (let time = 0; time < 3; time++) {
            yield* meet(primary, backup)
            yield* meet(backup, primary)
            const before = yield* monotonicMillis
            yield* publishFinal(message("farewell"))
            yield* publishFinal(message("nothing more"))
            yield* Effect.repeat(evidence.take, { until: ({ asOf }) => asOf >= before })
            assert.deepStrictEqual(yield* backup.heard, ["farewell"])
            yield* peer.publish(message("still heard"))
            assert.deepStrictEqual(yield* primary.heard, ["still heard"])
          }
          yield* meet(primary, backup)
        })
    )

    for (const [role, other] of [["primary", "backup"], ["backup", "primary"]] as const) {
      it.scopedLive.runIf(restarts)(`goes on when the ${role} is built again`, () =>
        Effect.gen(function*() {
          const ends = yield* make
          const stays = yield* join(ends[other])
          for (let life = 0; life < 3; life++) {
            const scope = yield* Scope.make()
            const again = yield* Scope.extend(join(ends[role]), scope)
            yield* meet(again, stays)
            yield* meet(stays, again)
            yield* Scope.close(scope, Exit.void)
            yield* stays.publish(message("lost"))
          }
        }))
    }
  })
