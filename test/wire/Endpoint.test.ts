import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Endpoint from "../../src/wire/Endpoint.ts"

describe("an endpoint", () => {
  it.each([
    ["tcp://localhost:5001", true, true],
    ["tcp://[fd00::2]:5001", true, true],
    ["tcp://10.0.0.2:65535", true, true],
    ["ipc:///run/bstar", true, true],
    ["inproc://name", true, true],
    ["tcp://*:5001", true, false],
    ["tcp://127.0.0.1:*", true, false],
    ["tcp://localhost:0", false, false],
    ["tcp://localhost:65536", false, false],
    ["tcp://localhost", false, false],
    ["tcp://fd00::2:5001", false, false],
    ["tcp://local host:5001", false, false],
    ["udp://localhost:5001", false, false],
    ["ipc://", false, false],
    ["localhost:5001", false, false],
    ["", false, false]
  ])("%s: can be bound %s, can be connected to %s", (endpoint, isBindable, isConnectable) => {
    assert.strictEqual(Endpoint.isBindable(endpoint), isBindable)
    assert.strictEqual(Endpoint.isConnectable(endpoint), isConnectable)
  })

  it("is parsed into its parts", () => {
    assert.deepStrictEqual(Endpoint.parse("tcp://[::1]:5001"), { protocol: "tcp", host: "[::1]", port: "5001" })
    assert.deepStrictEqual(Endpoint.parse("ipc:///run/bstar"), { protocol: "ipc", name: "/run/bstar" })
    assert.isUndefined(Endpoint.parse("5001"))
  })

  const same: ReadonlyArray<readonly [endpoint: string, bound: string, isSame: boolean]> = [
    ["tcp://localhost:5003", "tcp://*:5003", true],
    ["tcp://127.0.0.1:5003", "tcp://localhost:5003", true],
    ["tcp://[::1]:5003", "tcp://[::]:5003", true],
    ["tcp://0.0.0.0:5003", "tcp://127.0.0.1:5003", true],
    ["tcp://10.0.0.1:5003", "tcp://10.0.0.1:5003", true],
    ["ipc:///run/a", "ipc:///run/a", true],
    // The usual two machines: each binds every interface, on the same port.
    ["tcp://10.0.0.2:5003", "tcp://*:5003", false],
    ["tcp://other.example:5003", "tcp://0.0.0.0:5003", false],
    ["tcp://localhost:5003", "tcp://10.0.0.1:5003", false],
    ["tcp://127.0.0.1:5003", "tcp://127.0.0.2:5003", false],
    ["tcp://localhost:5004", "tcp://*:5003", false],
    ["tcp://127.0.0.1:*", "tcp://127.0.0.1:*", false],
    ["ipc:///run/a", "ipc:///run/b", false],
    ["inproc://a", "ipc://a", false]
  ]
  for (const [endpoint, bound, isSame] of same) {
    it(`${endpoint} ${isSame ? "is" : "need not be"} ${bound} on the same machine`, () => {
      assert.strictEqual(Endpoint.isSame(endpoint, bound), isSame)
    })
  }

  it("that is malformed is rejected with its value and an example", () => {
    const error = Schema.decodeEither(Endpoint.Connectable)("tcp://*:5001").pipe(Either.flip, Either.getOrThrow)
    assert.include(error.message, `such as "tcp://localhost:5001", got "tcp://*:5001"`)
  })
})
