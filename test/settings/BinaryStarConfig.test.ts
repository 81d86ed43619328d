import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as BinaryStarConfig from "../../src/settings/BinaryStarConfig.ts"

const fieldsOf = (options: unknown) =>
  BinaryStarConfig.make(options as BinaryStarConfig.Options).pipe(
    Effect.flip,
    Effect.map(({ issues }) => issues.map(({ field }) => field))
  )

const fromEnvironment = (variables: ReadonlyArray<readonly [string, string]>) =>
  BinaryStarConfig.config.pipe(
    Effect.withConfigProvider(
      ConfigProvider.fromMap(new Map(variables), { pathDelim: "_" }).pipe(
        ConfigProvider.nested("BSTAR"),
        ConfigProvider.constantCase
      )
    )
  )

describe("BinaryStarConfig", () => {
  it.effect("has the Guide's endpoints and timing as its defaults", () =>
    Effect.gen(function*() {
      const primary = yield* BinaryStarConfig.make({ role: "primary", policy: "classic" })
      assert.deepInclude(primary, {
        frontend: "tcp://*:5001",
        stateEndpoint: "tcp://*:5003",
        peerEndpoint: "tcp://localhost:5004",
        peerTimeoutMillis: 2000
      })
      const backup = yield* BinaryStarConfig.make({ role: "backup", policy: "classic", heartbeat: "250 millis" })
      assert.deepInclude(backup, {
        frontend: "tcp://*:5002",
        stateEndpoint: "tcp://*:5004",
        peerEndpoint: "tcp://localhost:5003"
      })
      assert.strictEqual(backup.peerTimeoutMillis, 500)
    }))

  it.effect("names every field that is wrong, and only those", () =>
    Effect.gen(function*() {
      const good = { role: "primary", policy: "classic" }
      assert.deepStrictEqual(yield* fieldsOf({ ...good, role: "king" }), ["role"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, policy: "wild" }), ["policy"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, heartbeat: "often" }), ["heartbeat"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, heartbeat: 0 }), ["heartbeat"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, heartbeat: "2 hours" }), ["heartbeat"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, concurrency: 0 }), ["concurrency"])
      assert.deepStrictEqual(yield* fieldsOf({ ...good, concurrency: 1.5 }), ["concurrency"])
      assert.deepStrictEqual(
        yield* fieldsOf({ ...good, maxMessageSize: 0, maxFrames: 0, maxPerClient: 0, queue: 0.5, maxMemory: 1 }),
        ["maxMessageSize", "maxFrames", "maxPerClient", "queue", "maxMemory"]
      )
      assert.deepStrictEqual(yield* fieldsOf({ ...good, maxConnections: 0 }), ["maxConnections"])
      assert.deepStrictEqual(
        yield* fieldsOf({ ...good, handshakeTimeout: 0, ping: "Infinity", keepAlive: "1 millis" }),
        ["handshakeTimeout", "ping", "keepAlive"]
      )
      assert.deepStrictEqual(
        yield* fieldsOf({ ...good, frontend: "tcp://*:99999", stateEndpoint: "5003", peerEndpoint: "tcp://*:5004" }),
        ["frontend", "stateEndpoint", "peerEndpoint"]
      )
    }))

  it.effect("H12 lone serve needs the policy hardened, and names both fields", () =>
    Effect.gen(function*() {
      const serve = { role: "backup", lone: "serve" } as const
      assert.deepStrictEqual(yield* fieldsOf({ ...serve, policy: "classic" }), ["lone", "policy"])
      assert.deepStrictEqual(yield* fieldsOf({ ...serve, policy: "hardened", lone: "never" }), ["lone"])
      assert.strictEqual((yield* BinaryStarConfig.make({ ...serve, policy: "hardened" })).lone, "serve")
      assert.strictEqual((yield* BinaryStarConfig.make({ role: "backup", policy: "classic" })).lone, "wait")
    }))

  it.effect.each(
    [
      ["tcp://*:5001", true, false],
      ["tcp://127.0.0.1:*", true, false],
      ["tcp://eth0:5001", true, true],
      ["tcp://[::1]:5001", true, true],
      ["tcp://server.example:65535", true, true],
      ["ipc:///run/bstar", true, true],
      ["inproc://bstar", true, true],
      ["tcp://localhost:0", false, false],
      ["tcp://localhost:65536", false, false],
      ["tcp://localhost", false, false],
      ["tcp://:5001", false, false],
      ["tcp://a b:5001", false, false],
      ["ipc://", false, false],
      ["http://localhost:5001", false, false],
      ["", false, false]
    ] as const
  )("%s: bind %s, connect %s", ([endpoint, bindable, connectable]) =>
    Effect.gen(function*() {
      const result = yield* BinaryStarConfig.make({
        role: "primary",
        policy: "classic",
        frontend: endpoint,
        peerEndpoint: endpoint
      }).pipe(Effect.match({ onSuccess: () => [], onFailure: ({ issues }) => issues.map(({ field }) => field) }))
      assert.deepStrictEqual(result, [...(bindable ? [] : ["frontend"]), ...(connectable ? [] : ["peerEndpoint"])])
    }))

  it.effect.each(
    [["true", true], ["off", false], ["policy", undefined]] as const
  )("takes crash detection from the environment: %s", ([text, expected]) =>
    Effect.gen(function*() {
      const variables = [["BSTAR_ROLE", "backup"], ["BSTAR_POLICY", "classic"], [
        "BSTAR_CRASH_DETECTION",
        text
      ]] as const
      assert.strictEqual((yield* fromEnvironment(variables)).crashDetection, expected)
    }))

  it.effect("comes from the environment", () =>
    Effect.gen(function*() {
      const options = yield* fromEnvironment([
        ["BSTAR_ROLE", "backup"],
        ["BSTAR_POLICY", "classic"],
        ["BSTAR_PEER", "tcp://10.0.0.1:5003"],
        ["BSTAR_HEARTBEAT", "250 millis"]
      ])
      const config = yield* BinaryStarConfig.make(options)
      assert.strictEqual(config.role, "backup")
      assert.strictEqual(config.peerEndpoint, "tcp://10.0.0.1:5003")
      assert.strictEqual(config.frontend, "tcp://*:5002")
      assert.strictEqual(Duration.toMillis(config.heartbeat), 250)
      const error = yield* Effect.flip(fromEnvironment([["BSTAR_ROLE", "backup"]]))
      assert.include(String(error), "BSTAR_POLICY")
    }))
})
