import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type { Heartbeat } from "../../src/protocol/Heartbeat.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import * as HeartbeatMessage from "../../src/wire/HeartbeatMessage.ts"
import { makePair, settle } from "../support/nodes.ts"
import { message, texts } from "../support/sockets.ts"

const heartbeatOf = (changes: Partial<Heartbeat>): Heartbeat => ({
  life: "theirs",
  sequence: 1,
  state: "BACKUP",
  received: undefined,
  term: undefined,
  isRecorded: false,
  question: undefined,
  promises: false,
  handsOver: false,
  activeMillis: undefined,
  witness: undefined,
  ...changes
})

/** A scripted peer that understands heartbeats. It sends each message on its own. */
const richPeer = (link: Layer.Layer<PeerLink.PeerLink>) =>
  Effect.gen(function*() {
    const peer = Context.get(yield* Layer.build(link), PeerLink.PeerLink)
    const received: Array<Frames.Frames> = []
    yield* Stream.runForEach(peer.messages, (batch) => Effect.sync(() => received.push(...batch))).pipe(
      Effect.forkScoped
    )
    let sequence = 0
    const send = (message: Frames.Frames) => Effect.zipRight(peer.publish({ state: message }), settle)
    return {
      close: Effect.zipRight(peer.publishFinal({}), settle),
      /** What it has received since the last time: digits, and heartbeats by their states. */
      taken: Effect.sync(() =>
        received.splice(0).map((message) =>
          HeartbeatMessage.isHeartbeat(message)
            ? Either.getOrThrow(HeartbeatMessage.decode(message))
            : texts(message).join("|")
        )
      ),
      digit: (digit: string) => send(message(digit)),
      malformed: send(message("bstar/2 {}")),
      heartbeat: (changes: Partial<Heartbeat>) =>
        Effect.suspend(() => send(HeartbeatMessage.encode(heartbeatOf({ sequence: ++sequence, ...changes }))))
    }
  })

const start = Effect.gen(function*() {
  const pair = yield* makePair(undefined, "hardened")
  const member = yield* pair.primary.start
  yield* settle
  const peer = yield* richPeer(pair.richLinks.backup)
  yield* settle
  return { member, node: pair.primary, peer, pair }
})

describe("heartbeats", () => {
  it.scoped("a peer that joins receives the state and a heartbeat at once, and then both together", () =>
    Effect.gen(function*() {
      const { peer } = yield* start
      const [digit, first, second, ...more] = yield* peer.taken
      assert.deepStrictEqual(more, [])
      assert.strictEqual(digit, "1")
      assert.deepInclude(first as Heartbeat, { state: "PRIMARY", received: undefined, handsOver: false })
      assert.strictEqual((second as Heartbeat).sequence, (first as Heartbeat).sequence + 1)
      yield* peer.heartbeat({ state: "PASSIVE", life: "b2", sequence: 7 })
      yield* TestClock.adjust("1 second")
      const [state, heartbeat] = yield* peer.taken
      assert.strictEqual(state, "1")
      assert.deepInclude(heartbeat as Heartbeat, { state: "PRIMARY", received: { life: "b2", sequence: 7 } })
    }))

  it.scoped("a peer of another implementation receives the state only", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(undefined, "hardened")
      yield* pair.primary.start
      const peer = yield* richPeer(pair.links.backup)
      yield* settle
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peer.taken, ["1", "1"])
    }))

  it.scoped("a state is redundant after a heartbeat: it changes nothing, and does not count", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* start
      yield* peer.heartbeat({ state: "PASSIVE" })
      yield* peer.digit("2")
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual((yield* member.counters).heartbeats, 1)
      yield* peer.heartbeat({ state: "BACKUP" })
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("a state counts again when the connection is lost", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* start
      yield* peer.heartbeat({ state: "PASSIVE" })
      yield* peer.close
      yield* peer.digit("2")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("a state counts again when the next heartbeat is missing for a peer timeout", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* start
      yield* peer.heartbeat({ state: "PASSIVE" })
      yield* TestClock.adjust("2 seconds")
      yield* peer.digit("2")
      assert.strictEqual(yield* member.state, "PRIMARY")
      yield* TestClock.adjust("1 millis")
      yield* peer.digit("2")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  it.scoped("a malformed heartbeat is logged with its field and counted, and states count again", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* start
      yield* peer.heartbeat({ state: "PASSIVE" })
      yield* peer.malformed
      assert.match(node.log.at(-1)!, /^malformed state message from the peer at .* ignored: life is not a text/)
      yield* peer.digit("2")
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.deepInclude({ ...yield* member.counters }, { malformed: 1, heartbeats: 2 })
    }))

  it.scoped("two members of this implementation know each other's lives and terms", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* makePair(undefined, "hardened")
      const ours = yield* primary.start
      yield* backup.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* ours.state, "ACTIVE")
      assert.isAbove((yield* ours.counters).heartbeats, 2)
      assert.strictEqual((yield* ours.counters).malformed, 0)
    }))
})
