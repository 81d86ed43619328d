import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as net from "node:net"
import * as Relay from "./relay.ts"

const isLinux = process.platform === "linux"

interface Target {
  readonly endpoint: string
  readonly received: () => Buffer
  readonly accepted: () => number
  readonly close: Effect.Effect<void>
}

/** A server that gives back what it receives. */
const echo = (port = 0): Effect.Effect<Target, never, Scope.Scope> =>
  Effect.gen(function*() {
    const chunks: Array<Buffer> = []
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on("data", (bytes) => {
        chunks.push(bytes)
        socket.write(bytes)
      }).on("error", () => {})
    })
    const close = Effect.sync(() => {
      sockets.forEach((socket) => socket.destroy())
      server.close()
    })
    yield* Effect.acquireRelease(Effect.promise(() => once(server.listen(port, "127.0.0.1"), "listening")), () => close)
    return {
      endpoint: `tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
      received: () => Buffer.concat(chunks),
      accepted: () => sockets.size,
      close
    }
  })

const connect = (endpoint: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = net.connect(Number(endpoint.split(":").at(-1)), "127.0.0.1").on("error", () => {})
      await once(socket, "connect")
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Whether a connection is refused. */
const isRefused = (endpoint: string) =>
  Effect.async<boolean>((resume) => {
    const socket = net.connect(Number(endpoint.split(":").at(-1)), "127.0.0.1")
    const done = (refused: boolean) => {
      socket.destroy()
      resume(Effect.succeed(refused))
    }
    socket.once("connect", () => done(false)).once("error", () => done(true))
  })

const closed = (socket: net.Socket) =>
  Effect.async<void>((resume) => {
    socket.resume().once("close", () => resume(Effect.void))
  })

const until = (holds: () => boolean) => Effect.repeat(Effect.sleep("1 millis"), { until: holds })

const received = (socket: net.Socket, length: number) => {
  const chunks: Array<Buffer> = []
  socket.on("data", (bytes) => chunks.push(bytes))
  return Effect.map(until(() => Buffer.concat(chunks).length >= length), () => Buffer.concat(chunks))
}

describe("relay", () => {
  it.scopedLive("relay: every byte is carried in order in both directions, and connecting and bytes take their delays", () =>
    Effect.gen(function*() {
      const target = yield* echo()
      const relay = yield* Relay.make(target.endpoint, { delayMillis: 50 })
      const began = performance.now()
      const client = yield* connect(relay.endpoint)
      const message = randomBytes(3 * 1024 * 1024)
      client.write(message.subarray(0, 7))
      client.write(message.subarray(7))
      yield* until(() => target.accepted() === 1)
      assert.isAtLeast(performance.now() - began, 3 * 50 - 5)
      assert.isTrue((yield* received(client, message.length)).equals(message))
      assert.isAtLeast(performance.now() - began, 4 * 50 - 5)
      assert.isTrue(target.received().equals(message))
      assert.strictEqual(relay.connectionCount(), 1)

      yield* relay.setDelay(0)
      const from = performance.now()
      client.write("quick")
      yield* received(client, 5)
      assert.isBelow(performance.now() - from, 50)
    }))

  it.scopedLive("relay: a connection ends one delay after its other end", () =>
    Effect.gen(function*() {
      const target = yield* echo()
      const relay = yield* Relay.make(target.endpoint, { delayMillis: 50 })
      const client = yield* connect(relay.endpoint)
      yield* until(() => target.accepted() === 1)
      const began = performance.now()
      yield* target.close
      yield* closed(client)
      assert.isAtLeast(performance.now() - began, 45)
    }))

  it.scopedLive("relay: nothing passes while it is cut, and everything afterwards", () =>
    Effect.gen(function*() {
      const target = yield* echo()
      const relay = yield* Relay.make(target.endpoint, { delayMillis: 1 })
      const client = yield* connect(relay.endpoint)
      client.write("before")
      yield* until(() => String(target.received()) === "before")
      yield* relay.cut
      client.write(" and after")
      yield* connect(relay.endpoint)
      yield* Effect.sleep("100 millis")
      assert.strictEqual(String(target.received()), "before")
      assert.strictEqual(target.accepted(), 1)
      yield* relay.heal
      yield* until(() => String(target.received()) === "before and after" && target.accepted() === 2)
    }))

  it.scopedLive("relay: every connection is reset", () =>
    Effect.gen(function*() {
      const target = yield* echo()
      const relay = yield* Relay.make(target.endpoint, { delayMillis: 1 })
      const client = yield* connect(relay.endpoint)
      yield* until(() => target.accepted() === 1)
      yield* relay.reset
      yield* closed(client)
    }))

  it.scopedLive.skipIf(!isLinux)(
    "relay: with `refuses`, connections are refused while the target refuses them",
    () =>
      Effect.gen(function*() {
        const target = yield* echo()
        const relay = yield* Relay.make(target.endpoint, { delayMillis: 20, refuses: true })
        assert.isFalse(yield* isRefused(relay.endpoint))
        yield* target.close
        yield* Effect.repeat(isRefused(relay.endpoint), { until: (refused) => refused })
        const again = yield* echo(Number(target.endpoint.split(":").at(-1)))
        yield* Effect.repeat(isRefused(relay.endpoint), { until: (refused) => !refused })
        const client = yield* connect(relay.endpoint)
        client.write("here")
        yield* until(() => String(again.received()) === "here")
      })
  )
})
