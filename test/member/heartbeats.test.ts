import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { BinaryStar } from "../../src/member/BinaryStar.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type { Echo, Heartbeat } from "../../src/protocol/Heartbeat.ts"
import { stateOnly } from "../../src/protocol/Heartbeat.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Term from "../../src/protocol/Term.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import * as HeartbeatMessage from "../../src/wire/HeartbeatMessage.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"
import { message, texts } from "../support/sockets.ts"

const heartbeatOf = (changes: Partial<Heartbeat>): Heartbeat => ({
  life: "theirs",
  sequence: 1,
  state: "BACKUP",
  ...stateOnly,
  ...changes
})

/** A scripted peer that understands heartbeats. It sends each message on its own. */
const richPeer = (link: Layer.Layer<PeerLink.PeerLink>) =>
  Effect.gen(function*() {
    const peer = Context.get(yield* Layer.build(link), PeerLink.PeerLink)
    const received: Array<Frames.Frames> = []
    const heard: Array<Heartbeat> = []
    yield* Stream.runForEach(peer.messages, (batch) =>
      Effect.sync(() => {
        received.push(...batch)
        heard.push(
          ...batch.filter(HeartbeatMessage.isHeartbeat).map((message) =>
            Either.getOrThrow(HeartbeatMessage.decode(message))
          )
        )
      })).pipe(Effect.forkScoped)
    let sequence = 0
    const send = (message: Frames.Frames) => Effect.zipRight(peer.publish({ state: message }), settle)
    return {
      close: Effect.zipRight(peer.close, settle),
      /** What it has received since the last time: digits, and heartbeats. */
      taken: Effect.sync(() =>
        received.splice(0).map((message) =>
          HeartbeatMessage.isHeartbeat(message)
            ? Either.getOrThrow(HeartbeatMessage.decode(message))
            : texts(message).join("|")
        )
      ),
      /** Names the last heartbeat that it has received, or one before. */
      echo: (ago = 0): Echo => {
        const { life, sequence } = heard.at(-1 - ago)!
        return { life, sequence }
      },
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

/** A passive backup, whose peer has received that. */
const startPassive = Effect.gen(function*() {
  const pair = yield* makePair(undefined, "hardened")
  const member = yield* pair.backup.start
  const peer = yield* richPeer(pair.richLinks.primary)
  yield* settle
  yield* peer.heartbeat({ state: "ACTIVE", term: { number: 0, step: 7 } })
  assert.strictEqual(yield* member.state, "PASSIVE")
  return { member, node: pair.backup, peer }
})

const handsOver = { state: "PRIMARY", handsOver: true, term: { number: 0, step: 7 } } as const

describe("H13 hand-over at once", () => {
  it.scoped("a passive backup that is handed over to is active, in the term after", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* startPassive
      yield* peer.heartbeat({ ...handsOver, received: peer.echo() })
      assert.strictEqual(yield* member.state, "ACTIVE")
      const { term, transition } = yield* member.report
      assert.deepStrictEqual(term, { number: 0, step: 8 })
      assert.strictEqual(transition.explanation, "the final heartbeat of term 0.7")
    }))

  it.scoped("less than two heartbeats after what is echoed was sent, and not later", () =>
    Effect.gen(function*() {
      for (const [millis, state] of [[1999, "ACTIVE"], [2000, "REJOINING"]] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { member, peer } = yield* startPassive
          const echo = peer.echo()
          yield* TestClock.adjust(millis)
          yield* peer.heartbeat({ ...handsOver, received: echo })
          assert.strictEqual(yield* member.state, state)
        }))
      }
    }))

  it.scoped("not by a heartbeat that echoes none, one of another process, or one from before it was passive", () =>
    Effect.gen(function*() {
      const echoes = [
        () => undefined,
        ({ sequence }: Echo) => ({ life: "before", sequence }),
        ({ life, sequence }: Echo) => ({ life, sequence: sequence - 1 }),
        ({ life, sequence }: Echo) => ({ life, sequence: sequence + 1 })
      ]
      for (const echoOf of echoes) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { member, peer } = yield* startPassive
          yield* peer.heartbeat({ ...handsOver, received: echoOf(peer.echo()) })
          assert.strictEqual(yield* member.state, "REJOINING")
        }))
      }
    }))

  it.scoped("not if it has reported another state since: a new process of its peer may be active because of that", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* startPassive
      const echo = peer.echo()
      yield* peer.heartbeat({ state: "PRIMARY", life: "next", sequence: 1 })
      assert.strictEqual(yield* member.state, "REJOINING")
      yield* peer.heartbeat({ state: "ACTIVE", life: "next", sequence: 2 })
      assert.strictEqual(yield* member.state, "PASSIVE")
      yield* peer.heartbeat({ ...handsOver, received: echo })
      assert.strictEqual(yield* member.state, "REJOINING")
    }))
})

describe("stale heartbeats", () => {
  it.scoped("an earlier one of the same process changes nothing, and is no sign of life", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* startPassive
      yield* peer.heartbeat({ state: "ACTIVE", sequence: 10 })
      yield* TestClock.adjust("1 second")
      for (const sequence of [10, 9]) {
        yield* peer.heartbeat({ state: "PRIMARY", sequence })
      }
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual((yield* member.report).peer.lastHeartbeatAt, 0)
    }))

  it.scoped("one that names an earlier process changes nothing, once the peer knows this one", () =>
    Effect.gen(function*() {
      const { member, peer } = yield* startPassive
      const before = { life: "before", sequence: 99 }
      yield* peer.heartbeat({ state: "ACTIVE", received: before })
      yield* TestClock.adjust("1 second")
      // Until then, it is as much as a peer can say that does not receive this process.
      yield* peer.heartbeat({ state: "ACTIVE", received: before })
      assert.strictEqual((yield* member.report).peer.lastHeartbeatAt, 1000)
      yield* peer.heartbeat({ state: "ACTIVE", received: peer.echo() })
      yield* peer.heartbeat({ state: "PRIMARY", received: before })
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))
})

describe("a link that is cut one way", () => {
  it.scoped("is reported, and logged once, by a member that is not received; not before, and not when it is again", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startPassive
      yield* peer.heartbeat({ state: "ACTIVE", received: peer.echo() })
      const echo = peer.echo()
      const since = Effect.map(member.report, ({ peer: { unreceivedSince } }) => unreceivedSince)
      for (let second = 1; second <= 9; second++) {
        yield* TestClock.adjust("1 second")
        yield* peer.heartbeat({ state: "ACTIVE", received: echo })
        assert.strictEqual(yield* since, second <= 6 ? undefined : 3000)
      }
      assert.deepStrictEqual(node.log.filter((line) => line.includes("has received no heartbeat")), [
        "the primary at tcp://localhost:5003 has received no heartbeat of this server for 4 s, although its own arrive: " +
        "check the way from it to tcp://*:5004, and its --peer"
      ])
      yield* peer.heartbeat({ state: "ACTIVE", received: peer.echo() })
      assert.isUndefined(yield* since)
    }))

  it.scoped("is not that to a peer that returns, and sends a state first", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startPassive
      yield* peer.heartbeat({ state: "ACTIVE" })
      yield* peer.close
      yield* TestClock.adjust("9 seconds")
      yield* peer.digit("1")
      yield* peer.heartbeat({ state: "PRIMARY", life: "again", sequence: 1 })
      assert.isUndefined((yield* member.report).peer.unreceivedSince)
      assert.isEmpty(node.log.filter((line) => line.includes("has received no heartbeat")))
    }))

  it.scoped("is not that to a peer of another implementation, or one that is silent", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(undefined, "hardened")
      const member = yield* pair.backup.start
      const peer = yield* foreignPeer(pair.links.primary)
      for (let second = 1; second <= 9; second++) {
        yield* TestClock.adjust("1 second")
        yield* peer.reports("3")
      }
      assert.isUndefined((yield* member.report).peer.unreceivedSince)
    }))
})

const token = ({ report }: BinaryStar["Type"]) => Effect.map(report, ({ term }) => term && Term.format(term))

/** A pair, each of whose servers records the terms in which it was active. */
const startPair = Effect.gen(function*() {
  const pair = yield* makePair(undefined, "hardened", { crashDetection: false })
  const terms: { readonly [R in Role]: Array<string> } = { primary: [], backup: [] }
  const start = (role: Role) =>
    Effect.gen(function*() {
      const member = yield* pair[role].start
      yield* Effect.forkScoped(member.whileActive(({ term }) =>
        Effect.zipRight(Effect.map(term, (term) => terms[role].push(Term.format(term))), Effect.never)
      ))
      return member
    })
  return { ...pair, start, terms }
})

describe("H11 two active servers", () => {
  it.scoped("the primary stays if it has been active for longer, in a term above both; the backup steps down", () =>
    Effect.gen(function*() {
      const { backup, cut, heal, primary, start, terms } = yield* startPair
      const members = { primary: yield* start("primary"), backup: yield* start("backup") }
      yield* TestClock.adjust("3 seconds")
      yield* cut
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* backup.request("x"), "x")
      assert.deepStrictEqual([yield* token(members.primary), yield* token(members.backup)], ["0.1", "0.2"])
      yield* heal
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* members.primary.state, yield* members.backup.state], ["ACTIVE", "CONTESTED"])
      assert.deepStrictEqual([yield* token(members.primary), yield* token(members.backup)], ["0.3", undefined])
      yield* TestClock.adjust("3 seconds")
      yield* backup.request("x")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([yield* members.primary.state, yield* members.backup.state], ["ACTIVE", "PASSIVE"])
      assert.deepStrictEqual(terms, { primary: ["0.1", "0.3"], backup: ["0.2"] })
      assert.strictEqual(yield* primary.request("x"), "x")
      assert.include(primary.log, "the peer knows term 0.2, beginning a later one")
    }))

  it.scoped("the primary steps down at once if the backup has been active for longer, which begins a term above both", () =>
    Effect.gen(function*() {
      const { backup, cut, heal, primary, start, terms } = yield* startPair
      yield* primary.start
      const members = { backup: yield* start("backup") }
      yield* TestClock.adjust("3 seconds")
      yield* primary.stop
      const again = yield* start("primary")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([yield* again.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])
      yield* cut
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* primary.request("x"), "x")
      assert.deepStrictEqual([yield* token(again), yield* token(members.backup)], ["0.3", "0.2"])
      yield* TestClock.adjust("60 seconds")
      yield* heal
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual([yield* again.state, yield* members.backup.state], ["PASSIVE", "ACTIVE"])
      assert.deepStrictEqual(terms, { primary: ["0.3"], backup: ["0.2", "0.4"] })
      assert.strictEqual(yield* backup.request("x"), "x")
    }))
})
