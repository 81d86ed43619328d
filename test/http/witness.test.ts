import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Witness from "../../src/ports/Witness.ts"
import * as Status from "../../src/status/Status.ts"
import { eventually } from "../support/sockets.ts"
import { become, call, get, makePair, post, soon, startPair, statusOf, token } from "./nodes.ts"

/** A pair with a witness, the primary active with a recorded term. */
const startWitnessed = Effect.gen(function*() {
  const witness = yield* Witness.makeMemory
  const pair = yield* startPair({ token, witness, heartbeat: "500 millis" })
  yield* soon(
    eventually(
      Effect.map(
        pair.members.primary.report,
        (report) => report.term !== undefined && report.witness?.record !== undefined
      )
    )
  )
  return { ...pair, witness }
})

const metricsOf = (url: string) =>
  Effect.flatMap(call(`${url}/metrics`), (response) => Effect.promise(() => response.text()))

const valueOf = (text: string, sample: string): number =>
  Number(text.split("\n").find((line) => line.startsWith(`${sample} `))?.slice(sample.length) ?? Number.NaN)

describe("the status server of a pair with a witness", () => {
  it.scopedLive("/status: the witness, its record, the rights, and the term", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startWitnessed
      const term = Option.getOrThrow(Option.fromNullable((yield* members.primary.report).term))
      const status = yield* Effect.flatMap(get(`${primary.url}/status`), Schema.decodeUnknown(Status.NodeStatus))
      assert.strictEqual(status.policy, "witnessed")
      assert.deepStrictEqual(status.term, {
        text: `${term.number}.${term.step}`,
        token: term.number * 65_536 + term.step
      })
      const { latency, record, rights, ...witness } = status.witness!
      assert.deepInclude(witness, { endpoint: "memory", isUp: true, problem: null })
      assert.match(witness.fingerprint ?? "", /^memory-/)
      assert.deepInclude({ ...record }, { term: status.term!, holder: "primary", isReleased: false })
      assert.include(rights.map((right) => right.of), "witness")
      assert.isTrue(rights.every(({ leftMillis }) => leftMillis !== null && leftMillis > 0 && leftMillis <= 750))
      assert.isAbove(latency.count, 0)
      // It learns of the register with the first record that it sees.
      const isKnown = Effect.map(statusOf(backup.url), (other) => other.witness!.fingerprint !== null)
      yield* soon(eventually(isKnown))
      const other = yield* statusOf(backup.url)
      assert.deepInclude(other, { term: null })
      assert.deepStrictEqual(other.witness?.rights, [])
      assert.deepStrictEqual(other.witness?.fingerprint, witness.fingerprint)
      assert.deepInclude(other.peer, { isLegacy: false })

      const history = yield* get<ReadonlyArray<Status.HistoryEntry>>(`${primary.url}/history`)
      assert.deepStrictEqual(history[0]?.term, status.term)
    }), 30_000)

  it.scopedLive("/metrics: the witness, each right, and the term", () =>
    Effect.gen(function*() {
      const { members, primary, witness } = yield* startWitnessed
      const text = yield* metricsOf(primary.url)
      assert.strictEqual(valueOf(text, `bstar_witness_up{role="primary"}`), 1)
      assert.isAbove(valueOf(text, `bstar_right_seconds{of="witness",role="primary"}`), 0)
      assert.strictEqual(valueOf(text, `bstar_right_seconds{of="operator",role="primary"}`), 0)
      assert.isAbove(valueOf(text, `bstar_witness_request_seconds_count{role="primary"}`), 0)
      assert.isAtLeast(valueOf(text, `bstar_witness_conflicts_total{role="primary"}`), 0)
      const { term } = yield* members.primary.report
      assert.strictEqual(valueOf(text, `bstar_term{role="primary"}`), term!.number * 65_536 + term!.step)
      assert.strictEqual(valueOf(text, `bstar_term{role="backup"}`), 0)

      yield* witness.hold
      yield* soon(eventually(
        Effect.map(metricsOf(primary.url), (text) => valueOf(text, `bstar_witness_up{role="primary"}`) === 0)
      ))
      const held = (yield* statusOf(primary.url)).witness!
      assert.isFalse(held.isUp)
      assert.match(held.problem ?? "", /^no answer/)
      yield* witness.resume
      yield* soon(eventually(Effect.map(statusOf(primary.url), (status) => status.witness!.isUp)))
    }), 30_000)

  it.scopedLive(
    "POST /promote: a minority is rejected, unless the operator answers for the others",
    () =>
      Effect.gen(function*() {
        const witness = yield* Witness.makeMemory
        yield* witness.hold
        const { backup } = yield* makePair({ token, witness, heartbeat: "100 millis", crashDetection: false })
        const member = yield* backup.start
        const rejected = yield* post(`${backup.url}/promote`, { reason: "power failure" })
        assert.strictEqual(rejected.status, 409)
        assert.strictEqual(rejected.answer["reason"], "NoMajority")
        assert.match(
          String(rejected.answer.error),
          /neither the witness nor the peer gives the right.*: start one of them; .* bstar promote --without-witness/
        )
        assert.strictEqual((yield* post(`${backup.url}/promote`, { reason: "x", withoutWitness: "yes" })).status, 400)
        const { answer, status } = yield* post(`${backup.url}/promote`, {
          reason: "power failure",
          withoutWitness: true
        })
        assert.deepStrictEqual({ status, answer }, { status: 200, answer: { message: "this server is active" } })
        yield* become(member, "ACTIVE")
        const active = yield* statusOf(backup.url)
        assert.deepStrictEqual(active.witness?.rights, [{ of: "operator", leftMillis: null }])
        assert.isNull(active.term)
        assert.strictEqual(active.reason, "power failure")
        const text = yield* metricsOf(backup.url)
        assert.include(
          text,
          `bstar_right_seconds{of="operator",role="backup"} +Inf
`
        )

        // The first answer of the witness ends the operator's right, and gives the term a number.
        yield* witness.resume
        yield* soon(eventually(Effect.map(statusOf(backup.url), ({ term, witness }) =>
          term !== null && witness!.rights.every((right) =>
            right.of === "witness"
          ))))
      }),
    30_000
  )

  it.scopedLive(
    "POST /promote: without the witness it replaces a promotion that waits for the witness",
    () =>
      Effect.gen(function*() {
        const witness = yield* Witness.makeMemory
        yield* witness.hold
        const { backup } = yield* makePair({ token, witness, heartbeat: "10 seconds", crashDetection: false })
        const member = yield* backup.start
        // One of two waits for the witness. The other one is rejected at once, and then the client of the first goes.
        const promotion = post(`${backup.url}/promote`, { reason: "power failure" })
        const second = yield* Effect.raceFirst(promotion, promotion)
        assert.strictEqual(second.status, 409)
        assert.strictEqual(second.answer["error"], "not promoted: another promotion or hand-over is in progress")
        const { status } = yield* post(`${backup.url}/promote`, { reason: "power failure", withoutWitness: true })
        assert.strictEqual(status, 200)
        yield* become(member, "ACTIVE")
      }),
    30_000
  )

  it.scopedLive("POST /promote: an active peer rejects it, also without the witness", () =>
    Effect.gen(function*() {
      const { backup } = yield* startWitnessed
      for (const withoutWitness of [false, true]) {
        const { answer, status } = yield* post(`${backup.url}/promote`, { reason: "why not", withoutWitness })
        assert.strictEqual(status, 409)
        assert.match(String(answer.error), /the peer is alive and has not handed over \(bstar switchover/)
      }
    }), 30_000)
})
