import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { bstar, dealer, foreignPeer, freeEndpoints, publications, serverArgs, startLine } from "../support/processes.ts"

const heartbeat = "250 millis"

/** A backup whose primary was never there. */
const lone = (at: Effect.Effect.Success<typeof freeEndpoints>, env: NodeJS.ProcessEnv, ...options: Array<string>) =>
  Effect.tap(
    bstar([...serverArgs("backup", at, heartbeat), "--policy", "hardened", ...options], env),
    (server) => server.waitForLine(startLine.backup)
  )

/** Sends requests until the fiber is interrupted. */
const asking = (frontend: string) =>
  Effect.map(dealer(frontend), ({ ask, replies }) => ({
    replies,
    loop: Effect.repeat(ask("", "hello"), Schedule.spaced("20 millis"))
  }))

describe("a backup whose primary was never there", () => {
  for (
    const [how, env, options] of [
      ["--lone serve", {}, ["--lone", "serve"]],
      ["BSTAR_LONE", { BSTAR_LONE: "serve" }, []]
    ] as const
  ) {
    it.scopedLive(`H12 ${how}: takes over when a client asks`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const backup = yield* lone(at, env, ...options)
        const { loop, replies } = yield* asking(at.backup.frontend)
        yield* Effect.fork(loop)
        yield* replies.find(() => true)
        yield* backup.waitForLine(/failover successful, ready as active/)
      }))
  }

  it.scopedLive("H12 --lone serve: refuses while a subscriber is connected to its state port, and says so", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* lone(at, {}, "--lone", "serve")
      const heard = yield* publications(at.backup.state)
      yield* heard.find(() => true)
      const { loop, replies } = yield* asking(at.backup.frontend)
      yield* Effect.fork(loop)
      yield* backup.waitForLine(/^W: votes are rejected: .*a subscriber is connected/)
      assert.strictEqual(replies.entries.length, 0)
    }))

  it.scopedLive("H12 --lone wait: refuses, warns, and is well when the primary is there", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const backup = yield* lone(at, {})
      const { loop, replies } = yield* asking(at.backup.frontend)
      const fiber = yield* Effect.fork(loop)
      yield* backup.waitForLine(/^W: votes are rejected: .*start the primary, or bstar promote/)
      assert.strictEqual(replies.entries.length, 0)
      yield* Fiber.interrupt(fiber)
      const primary = yield* foreignPeer("primary", at)
      yield* primary.listened
      yield* Effect.fork(primary.beat("3"))
      yield* backup.waitForLine(/ready as passive/)
    }))
})
