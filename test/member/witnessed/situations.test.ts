/** What a pair with a witness does when something is dead or cut, in memory and in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { Handler } from "../../../src/member/Handler.ts"
import * as Term from "../../../src/protocol/Term.ts"
import type { Node, NodeOptions } from "../../support/nodes.ts"
import { makePair } from "../../support/nodes.ts"

/** Replies with the term. */
const termOf: Handler = ({ term }) => Option.match(term, { onNone: () => "none", onSome: Term.format })

const witnessedPair = (options?: NodeOptions) => makePair(termOf, "witnessed", options)

type Pair = Effect.Effect.Success<ReturnType<typeof witnessedPair>>

/** A pair whose primary is active in term 1.0, between two heartbeats. */
const startPair = (options?: NodeOptions) =>
  Effect.gen(function*() {
    const pair = yield* witnessedPair(options)
    const members = { primary: yield* pair.primary.start, backup: yield* pair.backup.start }
    yield* TestClock.adjust("4300 millis")
    assert.strictEqual(yield* members.primary.state, "ACTIVE")
    assert.strictEqual(yield* members.backup.state, "PASSIVE")
    return { ...pair, members }
  })

/** One request to both servers every 100 ms. Returns the replies of each, and fails if both reply at once. */
const ask = (pair: Pick<Pair, "primary" | "backup">, seconds: number) =>
  Effect.gen(function*() {
    const replies: Array<{ readonly by: "P" | "B" | "-"; readonly term: string | undefined }> = []
    for (let i = 0; i < 10 * seconds; i++) {
      const [primary, backup] = [yield* pair.primary.request("x"), yield* pair.backup.request("x")]
      assert.isTrue(primary === undefined || backup === undefined, "both have replied")
      replies.push({ by: primary !== undefined ? "P" : backup !== undefined ? "B" : "-", term: primary ?? backup })
      yield* TestClock.adjust("100 millis")
    }
    return replies
  })

type Replies = Effect.Effect.Success<ReturnType<typeof ask>>

const by = (replies: Replies) => replies.map(({ by }) => by).join("")

const hundreds = (replies: Replies) => replies.filter(({ by }) => by === "-").length

/** A backup in a minority whose promotion has waited for two seconds. */
const startPromotion = Effect.gen(function*() {
  const pair = yield* witnessedPair({ crashDetection: false })
  yield* pair.witness.cut("backup")
  const backup = yield* pair.backup.start
  const first = yield* Effect.fork(Effect.flip(backup.promote("first")))
  yield* TestClock.adjust("2 seconds")
  return { backup, first }
})

const kill = (node: Node) => Effect.zipRight(node.kill, TestClock.adjust(0))

describe("a pair with a witness", () => {
  it.scoped("start: the primary is active after the guard, in term 1.0, without a vote", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair()
      const primary = yield* pair.primary.start
      yield* pair.backup.start
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* primary.state, "PRIMARY")
      yield* TestClock.adjust("1001 millis")
      assert.strictEqual(yield* primary.state, "ACTIVE")
      assert.deepStrictEqual(yield* primary.term, { number: 1, step: 0 })
    }))

  it.scoped("the active member dies: the follower goes on at once in term 1.1, which the witness records", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* kill(pair.primary)
      assert.strictEqual(yield* pair.backup.request("x"), "1.1")
      yield* TestClock.adjust("1 seconds")
      const { record } = Option.getOrThrow(yield* pair.witness.contents)
      assert.deepInclude(record, { number: 1, step: 1, holder: "backup" })
    }))

  it.scoped("the same, while the witness stands still", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.witness.hold
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(by(yield* ask(pair, 1)), "PPPPPPPPPP", "a healthy pair does not notice")
      yield* kill(pair.primary)
      assert.match(by(yield* ask(pair, 3)), /^B{30}$/)
    }))

  it.scoped("the link is cut: the active member goes on, the other one never takes over", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.cut
      assert.match(by(yield* ask(pair, 8)), /^P{80}$/)
      yield* pair.heal
      assert.match(by(yield* ask(pair, 3)), /^P{30}$/)
      assert.strictEqual(yield* pair.members.backup.state, "PASSIVE")
    }))

  it.scoped("the active member is cut from both: it stops within 1.5 heartbeats, then the other one starts in term 2.0", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.cut
      yield* pair.witness.cut("primary")
      const replies = yield* ask(pair, 6)
      assert.match(by(replies), /^P{1,15}-+B+$/)
      assert.strictEqual(replies.at(-1)!.term, "2.0")
      assert.strictEqual(yield* pair.members.primary.state, "REJOINING")
      yield* pair.heal
      yield* pair.witness.heal("primary")
      assert.match(by(yield* ask(pair, 3)), /^B{30}$/)
      assert.strictEqual(yield* pair.members.primary.state, "PASSIVE")
    }))

  it.scoped("the witness dies and both restart: one is active by the peer's promise, without a term until the witness is back", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.witness.hold
      yield* Effect.all([kill(pair.primary), kill(pair.backup)])
      yield* pair.primary.start
      yield* pair.backup.start
      const replies = yield* ask(pair, 6)
      assert.match(by(replies), /^-{20,45}P+$/)
      assert.strictEqual(replies.at(-1)!.term, "none")
      yield* pair.witness.resume
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* pair.primary.request("x"), "2.0")
    }))

  it.scoped("fencing required: without a term requests are rejected until the witness is back", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair({ fencing: "required" })
      yield* pair.witness.hold
      const primary = yield* pair.primary.start
      yield* pair.backup.start
      assert.match(by(yield* ask(pair, 6)), /^-{60}$/)
      assert.strictEqual(yield* primary.state, "ACTIVE")
      yield* pair.witness.resume
      yield* TestClock.adjust("2 seconds")
      assert.match(by(yield* ask(pair, 1)), /^P+$/)
    }))

  it.scoped("a lone backup serves after a power failure, within three heartbeats", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair({ crashDetection: false })
      yield* pair.backup.start
      assert.isAtMost(hundreds(yield* ask(pair, 4)), 30)
      assert.strictEqual(yield* pair.backup.request("x"), "1.0")
    }))

  it.scoped("a minority refuses, and says so once; an operator may answer for the others", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair({ crashDetection: false })
      yield* pair.witness.cut("backup")
      const backup = yield* pair.backup.start
      assert.match(by(yield* ask(pair, 8)), /^-{80}$/)
      const warnings = pair.backup.log.filter((line) => line.startsWith("requests are rejected: neither the witness"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "bstar promote --without-witness")
      yield* backup.promote("the other host has burnt down", { withoutWitness: true })
      assert.match(by(yield* ask(pair, 5)), /^B{50}$/)
    }))

  it.scoped("a promotion without a majority is rejected after six heartbeats, a second one meanwhile at once", () =>
    Effect.gen(function*() {
      const { backup, first } = yield* startPromotion
      const second = yield* Effect.flip(backup.promote("second"))
      assert.strictEqual(second.reason, "InProgress")
      assert.strictEqual(second.message, "not promoted: another promotion or hand-over is in progress")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* first).reason, "NoMajority")
    }))

  it.scoped("a promotion without the witness replaces one that waits, also after the client of that has gone", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair({ crashDetection: false })
      yield* pair.witness.cut("backup")
      const backup = yield* pair.backup.start
      yield* Effect.timeoutOption(backup.promote("its client goes"), "1 millis").pipe(
        Effect.fork,
        Effect.zipLeft(TestClock.adjust("1 seconds"))
      )
      yield* backup.promote("the other host has burnt down", { withoutWitness: true })
      assert.strictEqual(yield* backup.state, "ACTIVE")
      const { transition } = yield* backup.report
      assert.deepInclude(transition, { cause: "RightGained", reason: "the other host has burnt down" })
    }))

  it.scoped("a promotion that is replaced is rejected with that reason", () =>
    Effect.gen(function*() {
      const { backup, first } = yield* startPromotion
      yield* backup.promote("second", { withoutWitness: true })
      const { message, reason } = yield* first
      assert.deepStrictEqual([reason, message], [
        "Replaced",
        "not promoted: a promotion without the witness has replaced this one"
      ])
    }))

  it.scoped("a promotion makes a lone server active without a vote, and its reason is that of the transition", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair({ crashDetection: false })
      const backup = yield* pair.backup.start
      const promoting = yield* Effect.fork(backup.promote("night shift"))
      yield* TestClock.adjust("4 seconds")
      yield* promoting
      const { transition } = yield* backup.report
      assert.deepInclude(transition, { to: "ACTIVE", reason: "night shift", term: { number: 1, step: 0 } })
    }))

  it.scoped("a hand-over passes the term with the final heartbeat: no request is refused by both", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false })
      yield* pair.members.primary.handOver("maintenance")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* pair.members.backup.term, { number: 1, step: 1 })
      assert.match(by(yield* ask(pair, 3)), /^B{30}$/)
      assert.strictEqual(yield* pair.members.primary.state, "PASSIVE")
    }))

  it.scoped("an orderly stop does, too", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false })
      yield* pair.primary.stop
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* pair.backup.request("x"), "1.1")
    }))

  it.scoped("a swap that is executed late makes nobody active, and its holder steps down where it has gone on meanwhile", () =>
    Effect.gen(function*() {
      const pair = yield* witnessedPair()
      yield* pair.witness.delay("primary")
      yield* pair.primary.start
      yield* pair.backup.start
      yield* ask(pair, 6)
      yield* pair.witness.deliver
      const replies = yield* ask(pair, 8)
      assert.match(by(replies), /[PB]{20}$/)
      const terms = replies.flatMap(({ term }) =>
        term === undefined || term === "none" ? [] : [Number(term.split(".")[0])]
      )
      assert.deepStrictEqual(terms, [...terms].sort((a, b) => a - b))
    }))

  it.scoped("a paused server takes nothing over, but keeps its right", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.members.primary.pause("reason")
      assert.match(by(yield* ask(pair, 3)), /^P{30}$/)
      yield* pair.members.backup.pause("reason")
      yield* kill(pair.primary)
      assert.match(by(yield* ask(pair, 3)), /^-{30}$/)
      yield* pair.members.backup.resume
      assert.match(by(yield* ask(pair, 5)), /B{10}$/)
    }))
})
