import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as RefusalProbe from "../../src/internal/RefusalProbe.ts"
import * as Endpoint from "../../src/wire/Endpoint.ts"
import { freshEndpoint } from "../support/sockets.ts"

const timeoutMillis = 1000

const probe = (endpoint: string, millis = timeoutMillis) =>
  Effect.async<boolean>((resume) => {
    const address = RefusalProbe.addressOf(Endpoint.parse(endpoint))!
    RefusalProbe.probe(address, millis, (isRefused) => resume(Effect.succeed(isRefused)))
  })

describe("a refusal probe", () => {
  it.scopedLive("H7 crash evidence: a port or a path at which no process listens refuses", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* probe(yield* freshEndpoint("tcp")))
      const localhost = (yield* freshEndpoint("tcp")).replace("127.0.0.1", "localhost")
      assert.isTrue(yield* probe(localhost))
    }))

  it.scopedLive("a process that listens and a missing file do not refuse", () =>
    Effect.gen(function*() {
      for (const transport of ["tcp", "ipc"] as const) {
        const endpoint = yield* freshEndpoint(transport)
        const address = RefusalProbe.addressOf(Endpoint.parse(endpoint))!
        const server = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const server = net.createServer().listen("path" in address ? address.path : address.port)
            await once(server, "listening")
            return server
          }),
          (server) => Effect.sync(() => server.close())
        )
        assert.isFalse(yield* probe(endpoint), endpoint)
        server.close()
      }
      assert.isFalse(yield* probe(yield* freshEndpoint("ipc")))
    }))

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
      assert.isTrue(RefusalProbe.isConnectedToItself(socket))
    }))

  it("has no address of inproc, of the abstract namespace, and of a text that is not an endpoint", () => {
    for (const endpoint of ["inproc://x", "ipc://@x", "nonsense"]) {
      assert.isUndefined(RefusalProbe.addressOf(Endpoint.parse(endpoint)))
    }
    assert.deepStrictEqual(RefusalProbe.addressOf(Endpoint.parse("tcp://[::1]:5003")), { host: "::1", port: 5003 })
  })

  it("loads nothing but Node, as the guardian needs", () => {
    const source = fs.readFileSync(new URL("../../src/internal/RefusalProbe.ts", import.meta.url), "utf8")
    assert.deepStrictEqual(source.match(/^import .*$/gm), ["import * as net from \"node:net\""])
  })
})
