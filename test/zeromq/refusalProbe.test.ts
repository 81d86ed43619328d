import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { isConnectedToItself } from "../../src/internal/RefusalProbe.ts"
import { isRefused } from "../../src/zeromq/refusalProbe.ts"
import { freshEndpoint } from "../support/sockets.ts"
import { listener } from "./peers.ts"

describe("refused connections", () => {
  it.scopedLive("F2 a connection to itself counts as refused", () =>
    Effect.gen(function*() {
      const port = Number((yield* freshEndpoint("tcp")).split(":")[2])
      const socket = yield* Effect.acquireRelease(
        Effect.async<net.Socket, Error>((resume) => {
          const socket = net.connect({ host: "127.0.0.1", port, localAddress: "127.0.0.1", localPort: port })
          socket.on("connect", () => resume(Effect.succeed(socket))).on("error", (error) => resume(Effect.fail(error)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      assert.isTrue(isConnectedToItself(socket))
    }))

  it.scopedLive("a listener, be it silent, refuses nothing; a name that is not known neither", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isRefused(yield* listener(() => {})))
      assert.isFalse(yield* isRefused("tcp://never-connected.example:5003"))
      assert.isTrue(yield* isRefused(yield* freshEndpoint("tcp")))
    }))
})
