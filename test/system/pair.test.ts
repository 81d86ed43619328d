import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { kill } from "../support/pair.ts"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, dealer, freeEndpoints, other, roles, serverArgs, startLine } from "../support/processes.ts"

const start = (role: Role, at: Endpoints) => bstar(serverArgs(role, at, "100 millis"))

/** The timeout is long: a client on a busy machine must not leave a healthy server. */
const startClient = (at: Endpoints, ...args: ReadonlyArray<string>) =>
  bstar([
    "client",
    "--legacy",
    ...["--server", at.primary.frontend, "--server", at.backup.frontend],
    ...["--timeout", "1 second", "--reconnect-delay", "100 millis", "--interval", "20 millis"],
    ...args
  ])

const readyAsActive = "I: connected to backup (passive), ready as active"
const readyAsPassive = "I: connected to primary (active), ready as passive"
const takeover = "I: failover successful, ready as active"
const passiveAgain: { readonly [R in Role]: string } = {
  primary: "I: connected to backup (active), ready as passive",
  backup: readyAsPassive
}

const reply = /^I: server replied OK \((\d+)\)$/

const text = (...lines: ReadonlyArray<string>) => lines.map((line) => `${line}\n`).join("")

/** The lines of a client besides its replies, which must be those to 1, 2, 3 ... in order. */
const besidesReplies = (client: Process): ReadonlyArray<string> => {
  const numbers = client.lines.flatMap((line) => reply.exec(line)?.slice(1).map(Number) ?? [])
  assert.deepStrictEqual(numbers, numbers.map((_, i) => i + 1))
  return client.lines.filter((line) => !reply.test(line))
}

describe("a classic pair of processes", () => {
  for (const first of roles) {
    it.scopedLive(`classic: the ${first} is started first, and clients are served`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const early = yield* start(first, at)
        yield* early.waitForLine(startLine[first])
        const late = yield* start(other(first), at)
        const [primary, backup] = first === "primary" ? [early, late] : [late, early]
        yield* primary.waitForLine(readyAsActive)
        yield* backup.waitForLine(readyAsPassive)

        const client = yield* startClient(at, "--count", "3")
        assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
        assert.strictEqual(
          client.stdout(),
          text(
            `I: connecting to server at ${at.primary.frontend}...`,
            "I: server replied OK (1)",
            "I: server replied OK (2)",
            "I: server replied OK (3)"
          )
        )
        assert.strictEqual(client.stderr(), "")

        // The passive server does not answer: the active one answers a later request first.
        const passive = yield* dealer(at.backup.frontend)
        yield* passive.request("hello")
        const active = yield* dealer(at.primary.frontend)
        yield* active.request("hello")
        yield* active.replies.find(({ frames }) => frames.join() === "hello")
        assert.strictEqual(passive.replies.entries.length, 0)

        for (const server of [backup, primary]) {
          yield* server.kill("SIGTERM")
          assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null })
          assert.strictEqual(server.stderr(), "")
        }
        assert.strictEqual(primary.stdout(), text(startLine.primary, readyAsActive, "W: interrupted"))
        assert.strictEqual(backup.stdout(), text(startLine.backup, readyAsPassive, "W: interrupted"))
      }))
  }

  it.scopedLive("classic: kill -9 of the active server: it restarts as passive, and takes over when its peer is killed", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const primary = yield* start("primary", at)
      const backup = yield* start("backup", at)
      yield* primary.waitForLine(readyAsActive)
      yield* backup.waitForLine(readyAsPassive)
      const client = yield* startClient(at)
      yield* client.waitForLine("I: server replied OK (5)")

      // Failover.
      yield* kill(primary)
      yield* client.waitForLine(reply, client.lines.length)
      yield* client.waitForLine(`I: connecting to server at ${at.backup.frontend}...`)
      yield* client.waitForLine(reply, client.lines.length)
      yield* backup.waitForLine(takeover)

      // The primary restarts as passive.
      const restarted = yield* start("primary", at)
      yield* restarted.waitForLine(passiveAgain.primary)
      yield* client.waitForLine(reply, client.lines.length)

      // Recovery by an operator: the backup is stopped, the primary takes over, the backup is restarted.
      yield* kill(backup)
      yield* restarted.waitForLine(takeover)
      yield* client.waitForLine(reply, client.lines.length)
      const second = yield* start("backup", at)
      yield* second.waitForLine(passiveAgain.backup)
      yield* client.waitForLine(reply, client.lines.length)

      yield* client.kill("SIGINT")
      assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
      assert.deepStrictEqual(besidesReplies(client), [
        `I: connecting to server at ${at.primary.frontend}...`,
        "W: no response from server, failing over",
        `I: connecting to server at ${at.backup.frontend}...`,
        "W: no response from server, failing over",
        `I: connecting to server at ${at.primary.frontend}...`
      ])
      assert.strictEqual(primary.stdout(), text(startLine.primary, readyAsActive))
      assert.strictEqual(backup.stdout(), text(startLine.backup, readyAsPassive, takeover))
      assert.strictEqual(restarted.stdout(), text(startLine.primary, passiveAgain.primary, takeover))
      assert.strictEqual(second.stdout(), text(startLine.backup, passiveAgain.backup))
    }))

  it.scopedLive("classic: kill -9 and restart of the passive server: clients notice nothing", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const primary = yield* start("primary", at)
      const backup = yield* start("backup", at)
      yield* backup.waitForLine(readyAsPassive)
      const client = yield* startClient(at)
      yield* client.waitForLine(reply)
      yield* kill(backup)
      yield* client.waitForLine(reply, client.lines.length)
      const restarted = yield* start("backup", at)
      yield* restarted.waitForLine(readyAsPassive)
      yield* client.waitForLine(reply, client.lines.length)
      yield* client.kill("SIGTERM")
      assert.deepStrictEqual(yield* client.exit, { code: 0, signal: null })
      assert.deepStrictEqual(besidesReplies(client), [`I: connecting to server at ${at.primary.frontend}...`])
      assert.strictEqual(primary.stdout(), text(startLine.primary, readyAsActive))
    }))
})
