import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readyAsActive } from "../support/pair.ts"
import { bstar, dealer, foreignPeer, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"
import { safeHeartbeatMillis } from "../support/times.ts"

const heartbeat = `${safeHeartbeatMillis} millis`

/** A backup that has taken over: its foreign primary was active and is silent now. */
const takenOver = (...options: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const at = yield* freeEndpoints
    const primary = yield* foreignPeer("primary", at)
    const backup = yield* bstar([...serverArgs("backup", at, heartbeat), ...options])
    yield* primary.subscribed
    yield* primary.publishUntil("3", primary.receive("4"))
    const client = yield* dealer(at.backup.frontend)
    yield* Effect.raceFirst(
      primary.receive("3"),
      Effect.forever(Effect.delay(client.request("hello"), "20 millis"))
    )
    return { backup, primary }
  })

const silence = /^no heartbeat from the peer for (\d+) ms; vote by client [0-9a-f]+$/

describe("logs", () => {
  it.scopedLive("logs: a JSON line of a transition has annotations", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver("--policy", "hardened", "--log-format", "json")
      const line = yield* backup.waitForLine(/failover/)
      const { annotations, logLevel, message, timestamp } = JSON.parse(line)
      const { explanation, ...others } = annotations
      assert.deepStrictEqual([message, logLevel, others], ["failover successful, ready as active", "INFO", {
        package: "effect-binary-star",
        role: "backup",
        term: "0.1",
        event: "transition",
        from: "PASSIVE",
        to: "ACTIVE",
        cause: "ClientRequest"
      }])
      const [, millis] = silence.exec(explanation) ?? []
      assert.isAtLeast(Number(millis), 2 * safeHeartbeatMillis)
      assert.isBelow(Math.abs(Date.now() - Date.parse(timestamp)), 60_000)
      const passive = JSON.parse(yield* backup.waitForLine(/ready as passive/))
      assert.strictEqual(passive.annotations.explanation, "the peer reports ACTIVE")
      // Other lines have no such annotations.
      assert.notProperty(JSON.parse(yield* backup.waitForLine(/waiting for primary/)).annotations, "event")
    }))

  it.scopedLive("logs: a line of a transition ends with its explanation", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver("--policy", "hardened")
      yield* backup.waitForLine(/failover/)
      const text = backup.stdout()
      assert.match(text, /^I: connected to primary \(active\), ready as passive \(the peer reports ACTIVE\)$/m)
      assert.match(text, /^I: failover successful, ready as active \(no heartbeat .*; vote by client [0-9a-f]+\)$/m)
    }))

  it.scopedLive("logs: the lines of the policy classic are those of the Guide", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver()
      yield* backup.waitForLine(/failover/)
      assert.strictEqual(
        backup.stdout(),
        `${startLine.backup}\nI: connected to primary (active), ready as passive\n` +
          "I: failover successful, ready as active\n"
      )
    }))

  it.scopedLive("logs: a repeated error is folded, and every transition is logged", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const primary = yield* foreignPeer("primary", at)
      const backup = yield* bstar([
        ...serverArgs("backup", at, heartbeat),
        ...["--policy", "hardened", "--on-active", "exit 3"]
      ])
      yield* primary.subscribed
      // The backup becomes active in each round, and its hook fails.
      const rounds = 8
      for (let round = 0; round < rounds; round++) {
        yield* primary.publishUntil("3", primary.receive("4"))
        yield* primary.publishUntil("2", primary.receive("3"))
      }
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      const errors = backup.lines.filter((line) => line.includes("the hook on-active has failed"))
      assert.strictEqual(errors[0]?.startsWith("E: the hook on-active has failed"), true)
      const counts = errors.map((line) => Number(/^E: repeated (\d+) times?: the hook on-active/.exec(line)?.[1] ?? 1))
      // A stall of a busy machine adds terms to those of the rounds.
      const terms = backup.lines.filter((line) => readyAsActive.test(line)).length
      assert.isAtLeast(terms, rounds)
      assert.strictEqual(counts.reduce((sum, count) => sum + count, 0), terms, backup.stdout())
    }))

  it.scopedLive("F22 logs: neither the output of a hook nor the reason of a command can forge a line", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const { backup } = yield* freeEndpoints
      const http = backup.state.replace("tcp://", "")
      const token = { BSTAR_HTTP_TOKEN: "the-token" }
      const primary = yield* bstar([...serverArgs("primary", at, heartbeat), "--policy", "hardened"])
      yield* primary.waitForLine(startLine.primary)
      const server = yield* bstar([
        ...serverArgs("backup", at, heartbeat),
        ...["--policy", "hardened", "--http", http],
        ...["--on-passive", "printf 'a\\033[2Jb\\rI: failover successful\\n'"]
      ], token)
      yield* server.waitForLine("I: on-passive: a\\x1b[2Jb\\rI: failover successful")
      const reason = "tired\nI: failover successful\x1b[2J\x9b2J"
      const response = yield* Effect.promise(() =>
        fetch(`http://${http}/pause`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${token.BSTAR_HTTP_TOKEN}` },
          body: JSON.stringify({ reason })
        })
      )
      // A server that rejects such a reason logs nothing.
      if (response.status === 200) {
        yield* server.waitForLine("W: paused: tired\\nI: failover successful\\x1b[2J\\x9b2J")
      }
      for (const args of [["status"], ["status", "--json"], ["history"], ["history", "--json"], ["doctor"]]) {
        const command = yield* bstar([...args, "--http", http])
        yield* command.exit
        const text = command.stdout() + command.stderr()
        assert.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]|^I: /m, args.join(" "))
      }
      yield* server.kill("SIGTERM")
      yield* server.exit
      assert.notMatch(server.stdout(), /[\x00-\x09\x0b-\x1f\x7f-\x9f]|^I: failover/m)
    }))
})
