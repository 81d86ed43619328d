import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bstar, dealer, foreignPeer, freeEndpoints, serverArgs, startLine } from "./support.ts"

const heartbeat = "200 millis"

/** A backup whose primary, of another make, was active and has fallen silent, so that it takes over. */
const takenOver = (...options: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const primary = yield* foreignPeer("primary", at)
    const backup = yield* bstar([...serverArgs("backup", at, heartbeat), ...options])
    yield* primary.listened
    yield* primary.say("3")
    yield* primary.hear("4")
    const client = yield* dealer(at.backup.frontend)
    yield* Effect.raceFirst(
      primary.hear("3"),
      Effect.forever(Effect.delay(client.ask("anybody?"), "20 millis"))
    )
    return { backup, primary }
  })

const silence = /^no word from the peer for (\d+) ms; vote by client [0-9a-f]+$/

describe("logs", () => {
  it.scopedLive("in JSON annotate each transition", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver("--policy", "hardened", "--log-format", "json")
      const line = yield* backup.waitForLine(/failover/)
      const { annotations, logLevel, message, timestamp } = JSON.parse(line)
      const { evidence, ...others } = annotations
      assert.deepStrictEqual([message, logLevel, others], ["failover successful, ready as active", "INFO", {
        package: "effect-binary-star",
        role: "backup",
        event: "transition",
        from: "PASSIVE",
        to: "ACTIVE",
        cause: "ClientRequest"
      }])
      const [, millis] = silence.exec(evidence) ?? []
      assert.isAtLeast(Number(millis), 400)
      assert.isBelow(Math.abs(Date.now() - Date.parse(timestamp)), 60_000)
      const passive = JSON.parse(yield* backup.waitForLine(/ready as passive/))
      assert.strictEqual(passive.annotations.evidence, "the peer says ACTIVE")
      // What is no transition has none of this.
      yield* backup.kill("SIGTERM")
      assert.notProperty(JSON.parse(yield* backup.waitForLine(/interrupted/)).annotations, "event")
    }))

  it.scopedLive("tell behind a transition what it was decided by", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver("--policy", "hardened")
      yield* backup.waitForLine(/failover/)
      const [first, second, third] = backup.stdout().split("\n")
      assert.deepStrictEqual([first, second], [
        startLine.backup,
        "I: connected to primary (active), ready as passive (the peer says ACTIVE)"
      ])
      assert.match(third!, /^I: failover successful, ready as active \(no word .*; vote by client [0-9a-f]+\)$/)
    }))

  it.scopedLive("are the Guide's with the Guide's rules", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver()
      yield* backup.waitForLine(/failover/)
      assert.strictEqual(
        backup.stdout(),
        `${startLine.backup}\nI: connected to primary (active), ready as passive\n` +
          "I: failover successful, ready as active\n"
      )
    }))

  it.scopedLive("tell a warning that comes again and again in short, and every transition", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const primary = yield* foreignPeer("primary", at)
      const backup = yield* bstar([
        ...serverArgs("backup", at, heartbeat),
        ...["--policy", "hardened", "--on-active", "exit 3"]
      ])
      yield* primary.listened
      // It comes and goes; each time the hook fails in the same way.
      for (let round = 0; round < 4; round++) {
        yield* primary.say("3")
        yield* primary.hear("4")
        yield* primary.say("2")
        yield* primary.hear("3")
      }
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      const told = backup.lines.filter((line) => line.includes("the hook on-active has failed"))
      assert.strictEqual(told[0]?.startsWith("E: the hook on-active has failed"), true)
      const [, repeated] = /^E: repeated (\d+) times?: the hook on-active/.exec(told[1] ?? "") ?? []
      assert.isAtLeast(Number(repeated), 1, backup.stdout())
      assert.isBelow(told.length, 4)
      assert.strictEqual(backup.lines.filter((line) => /ready as active$/.test(line)).length, 4)
    }))
})
