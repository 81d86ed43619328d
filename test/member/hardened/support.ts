/** Pairs with the policy `hardened`, in memory and in virtual time. */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Handler from "../../../src/member/Handler.ts"
import type { Role } from "../../../src/protocol/StateMachine.ts"
import * as Frames from "../../../src/wire/Frames.ts"
import type { Node, NodeOptions } from "../../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../../support/nodes.ts"

export const hardenedPair = (options?: NodeOptions, handler: Handler.Handler = Handler.echo) =>
  makePair(handler, "hardened", options)

export const other = { primary: "backup", backup: "primary" } as const

/** A member in a role, and a scripted peer. No crash evidence: only heartbeats and silence. */
export const startWithPeer = (role: Role, options: NodeOptions = {}, handler?: Handler.Handler) =>
  Effect.gen(function*() {
    const pair = yield* hardenedPair({ crashDetection: false, ...options }, handler)
    const peer = yield* foreignPeer(pair.links[other[role]])
    return { peer, node: pair[role], member: yield* pair[role].start }
  })

/** A pair whose primary is active, right after a heartbeat. `legacy` members send each other nothing but states. */
export const startPair = (options?: NodeOptions, handler?: Handler.Handler, kind?: "legacy") =>
  Effect.gen(function*() {
    const { backup, cut, heal, primary } = yield* makePair(handler, "hardened", options, {}, kind)
    const members = { primary: yield* primary.start, backup: yield* backup.start }
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual(yield* members.primary.state, "ACTIVE")
    assert.strictEqual(yield* members.backup.state, "PASSIVE")
    return { primary, backup, cut, heal, members }
  })

/** Sends requests to both servers ten times a second. Returns which one replied, and fails if both do at once. */
export const requestBoth = (pair: { readonly primary: Node; readonly backup: Node }, seconds: number) =>
  Effect.gen(function*() {
    const answered: Array<Role> = []
    for (let i = 0; i < 10 * seconds; i++) {
      const [primary, backup] = [yield* pair.primary.request("x"), yield* pair.backup.request("x")]
      assert.isFalse(primary === "x" && backup === "x", "both have replied")
      answered.push(...primary === "x" ? ["primary" as const] : [], ...backup === "x" ? ["backup" as const] : [])
      yield* TestClock.adjust("100 millis")
    }
    return answered
  })

/** A handler that completes a request when `finish` is called, and `"now"` at once. */
export const gated = () => {
  const gates = new Map<string, Deferred.Deferred<void>>()
  const gate = (text: string) => {
    const found = gates.get(text) ?? Effect.runSync(Deferred.make<void>())
    gates.set(text, found)
    return found
  }
  const handler: Handler.Handler = ({ body }) => {
    const text = Frames.toString(body)
    return text === "now" ? body : Effect.as(Deferred.await(gate(text)), body)
  }
  return { handler, finish: (text: string) => Effect.zipRight(Deferred.succeed(gate(text), undefined), settle) }
}

export const restartingAsPrimary = "this process stalled, restarting as PRIMARY"
export const peerDown = (role: Role) => `the peer is down (connection to the ${role} in memory refused)`
