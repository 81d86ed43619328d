/** What the state port sends to sockets of other programs, and what a link receives from them. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as zmq from "zeromq"
import { PeerLink } from "../../src/ports/PeerLink.ts"
import * as HeartbeatMessage from "../../src/wire/HeartbeatMessage.ts"
import { connecting } from "../../src/zeromq/curveClient.ts"
import { bound } from "../../src/zeromq/curveServer.ts"
import * as ZmqPeerLink from "../../src/zeromq/ZmqPeerLink.ts"
import { makeKeys } from "../support/keys.ts"
import { eventually, freshEndpoint, listen, message, texts } from "../support/sockets.ts"

const build = (options: Partial<ZmqPeerLink.Options> = {}) =>
  Effect.gen(function*() {
    // Another process may use a port that was free a moment ago, and a peer that is looking for another one connect to it.
    const stateEndpoint = options.stateEndpoint ?? (yield* freshEndpoint("ipc"))
    const peerEndpoint = options.peerEndpoint ?? (yield* freshEndpoint("ipc"))
    const layer = ZmqPeerLink.layer({
      stateEndpoint,
      peerEndpoint,
      heartbeat: Duration.seconds(1),
      crashDetection: false,
      ...options
    })
    const link = Context.get(yield* Layer.build(layer), PeerLink)
    const events = yield* Mailbox.fromStream(link.events)
    const awaitEvent = (wanted: string) => Effect.repeat(events.take, { until: (event) => event === wanted })
    return { ...link, awaitEvent, stateEndpoint, peerEndpoint }
  })

const closing = <S extends zmq.Socket>(open: () => S) =>
  Effect.acquireRelease(Effect.sync(open), (socket) => Effect.sync(() => socket.close()))

/** A subscriber of these topics, and what it receives up to the message `end`. */
const subscribe = (endpoint: string, topics: ReadonlyArray<string>, options: zmq.SocketOptions<zmq.Subscriber> = {}) =>
  Effect.gen(function*() {
    const socket = yield* closing(() => new zmq.Subscriber({ linger: 0, ...options }))
    socket.subscribe(...topics)
    socket.connect(endpoint)
    const next = Effect.map(Effect.promise(() => socket.receive()), texts)
    return {
      untilEnd: Effect.gen(function*() {
        const received: Array<ReadonlyArray<string>> = []
        for (let text = yield* next; text[0] !== "end"; text = yield* next) {
          received.push(text)
        }
        return received
      })
    }
  })

/** Publishes a state and its heartbeat, three times, then a heartbeat alone, and the end. */
const publishAll = ({ publish }: PeerLink["Type"]) =>
  Effect.gen(function*() {
    for (const digit of ["4", "4", "3"]) {
      yield* publish({ state: message(digit), heartbeat: message(`bstar/2 ${digit}`) })
    }
    yield* publish({ heartbeat: message("bstar/2 alone") })
    yield* publish({ state: message("end") })
  })

const digits = [["4"], ["4"], ["3"]]
const all = [["4"], ["bstar/2 4"], ["4"], ["bstar/2 4"], ["3"], ["bstar/2 3"], ["bstar/2 alone"]]

describe("a subscriber of a state port", () => {
  it.scopedLive("of everything, as a server of the Guide is, receives digits and nothing else", () =>
    Effect.gen(function*() {
      const link = yield* build()
      const legacy = yield* subscribe(link.stateEndpoint, [""])
      yield* link.awaitEvent("Joined")
      yield* publishAll(link)
      assert.deepStrictEqual(yield* legacy.untilEnd, digits)
    }))

  it.scopedLive("of everything and of heartbeats receives both, once, each state before its heartbeat", () =>
    Effect.gen(function*() {
      const link = yield* build()
      const peer = yield* subscribe(link.stateEndpoint, ["", HeartbeatMessage.topic])
      yield* link.awaitEvent("PeerJoined")
      yield* publishAll(link)
      assert.deepStrictEqual(yield* peer.untilEnd, all)
    }))

  it.scopedLive("of everything receives heartbeats, too, beside one that asks for them, and no longer when that has left", () =>
    Effect.gen(function*() {
      const link = yield* build()
      const watcher = yield* subscribe(link.stateEndpoint, [""])
      yield* link.awaitEvent("Joined")
      yield* Effect.scoped(Effect.gen(function*() {
        const peer = yield* subscribe(link.stateEndpoint, ["", HeartbeatMessage.topic])
        yield* link.awaitEvent("PeerJoined")
        yield* publishAll(link)
        assert.deepStrictEqual(yield* watcher.untilEnd, all)
        assert.deepStrictEqual(yield* peer.untilEnd, all)
      }))
      yield* eventually(Effect.gen(function*() {
        yield* publishAll(link)
        return (yield* watcher.untilEnd).length === digits.length
      }))
    }))

  it.scopedLive("that only asks for heartbeats receives no digit", () =>
    Effect.gen(function*() {
      const link = yield* build()
      const watcher = yield* subscribe(link.stateEndpoint, [HeartbeatMessage.topic, "end"])
      yield* link.awaitEvent("PeerJoined")
      yield* publishAll(link)
      assert.deepStrictEqual(yield* watcher.untilEnd, all.filter(([text]) => text!.length > 1))
    }))

  it.scopedLive("with keys receives what it would without them", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeys
      const stateEndpoint = yield* freshEndpoint("tcp")
      const security = yield* Effect.all({
        state: bound(keys.primary, "state", stateEndpoint),
        peer: connecting(keys.own.primary, keys.primary.peer)
      })
      const link = yield* build({ stateEndpoint, security })
      const curve = {
        curveServerKey: keys.own.primary.publicKey,
        curvePublicKey: keys.own.backup.publicKey,
        curveSecretKey: Redacted.value(keys.own.backup.secretKey)
      }
      const legacy = yield* subscribe(link.stateEndpoint, [""], curve)
      yield* link.awaitEvent("Joined")
      yield* publishAll(link)
      assert.deepStrictEqual(yield* legacy.untilEnd, digits)
      const peer = yield* subscribe(link.stateEndpoint, ["", HeartbeatMessage.topic], curve)
      yield* link.awaitEvent("PeerJoined")
      yield* publishAll(link)
      assert.deepStrictEqual(yield* peer.untilEnd, all)
    }))
})

describe("a link", () => {
  it.scopedLive("subscribes to everything first, then to heartbeats, on every connection", () =>
    Effect.gen(function*() {
      const endpoint = yield* freshEndpoint("ipc")
      for (let life = 0; life < 2; life++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const publisher = yield* closing(() => new zmq.XPublisher({ linger: 0 }))
          yield* Effect.promise(() => publisher.bind(endpoint))
          yield* build({ peerEndpoint: endpoint })
          const subscriptions = yield* Effect.replicateEffect(Effect.promise(() => publisher.receive()), 2)
          assert.deepStrictEqual(subscriptions.map(texts), [["\x01"], [`\x01${HeartbeatMessage.topic}`]])
        }))
      }
    }))

  it.scopedLive("receives a publisher of the Guide, which a subscription to heartbeats does not concern", () =>
    Effect.gen(function*() {
      const endpoint = yield* freshEndpoint("ipc")
      const publisher = yield* closing(() => new zmq.Publisher({ linger: 0 }))
      yield* Effect.promise(() => publisher.bind(endpoint))
      const link = yield* build({ peerEndpoint: endpoint })
      const received = yield* listen(link.messages)
      const publish = Effect.promise(() => publisher.send("3"))
      const first = yield* Effect.raceFirst(
        Effect.zipRight(Effect.repeat(publish, Schedule.spaced("5 millis")), Effect.never),
        received.take
      )
      assert.deepStrictEqual(texts(first), ["3"])
    }))
})
