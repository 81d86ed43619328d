import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bstar, dealer, foreignPeer, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"

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

const silence = /^no heartbeat from the peer for (\d+) ms; vote by client [0-9a-f]+$/

describe("logs", () => {
  it.scopedLive("in JSON annotate each transition", () =>
    Effect.gen(function*() {
      const { backup } = yield* takenOver("--policy", "hardened", "--log-format", "json")
      const line = yield* backup.waitForLine(/failover/)
      const { annotations, logLevel, message, timestamp } = JSON.parse(line)
      const { explanation, ...others } = annotations
      assert.deepStrictEqual([message, logLevel, others], ["failover successful, ready as active", "INFO", {
        package: "effect-binary-star",
        role: "backup",
        event: "transition",
        from: "PASSIVE",
        to: "ACTIVE",
        cause: "ClientRequest"
      }])
      const [, millis] = silence.exec(explanation) ?? []
      assert.isAtLeast(Number(millis), 400)
      assert.isBelow(Math.abs(Date.now() - Date.parse(timestamp)), 60_000)
      const passive = JSON.parse(yield* backup.waitForLine(/ready as passive/))
      assert.strictEqual(passive.annotations.explanation, "the peer reports ACTIVE")
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
        "I: connected to primary (active), ready as passive (the peer reports ACTIVE)"
      ])
      assert.match(third!, /^I: failover successful, ready as active \(no heartbeat .*; vote by client [0-9a-f]+\)$/)
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
      const rounds = 8
      for (let round = 0; round < rounds; round++) {
        yield* primary.say("3")
        yield* primary.hear("4")
        yield* primary.say("2")
        yield* primary.hear("3")
      }
      yield* backup.kill("SIGTERM")
      assert.deepStrictEqual(yield* backup.exit, { code: 0, signal: null })
      const told = backup.lines.filter((line) => line.includes("the hook on-active has failed"))
      assert.strictEqual(told[0]?.startsWith("E: the hook on-active has failed"), true)
      const counts = told.map((line) => Number(/^E: repeated (\d+) times?: the hook on-active/.exec(line)?.[1] ?? 1))
      // How many repetitions share a line depends on the machine: a second, or more, may go by between two rounds.
      assert.strictEqual(counts.reduce((sum, count) => sum + count, 0), rounds, backup.stdout())
      assert.strictEqual(backup.lines.filter((line) => /ready as active$/.test(line)).length, rounds)
    }))

  it.scopedLive("F22 are not forged by what a hook writes or an operator gives as a reason", () =>
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
      // A server may refuse such a reason, and then has nothing to show.
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
