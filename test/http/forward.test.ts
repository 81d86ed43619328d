/** Commands that a server sends to its peer for an operator. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { post, startPair, statusOf, token } from "./nodes.ts"

const reason = "kernel update"

describe("commands for the peer", () => {
  it.scopedLive(
    "a passive server has its peer switch over, and answers as the peer does",
    () =>
      Effect.gen(function*() {
        const { backup, primary } = yield* startPair({ token })
        const { answer, status } = yield* post(`${backup.url}/peer/switchover`, { reason })
        assert.strictEqual(status, 200, String(answer.error))
        assert.match(String(answer.message), /^the peer is active; clients waited for \d+ ms$/)
        assert.isTrue((yield* statusOf(backup.url)).answers)
        assert.isFalse((yield* statusOf(primary.url)).answers)
      }),
    30_000
  )

  it.scopedLive("an active server pauses and resumes its peer", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token })
      assert.strictEqual((yield* post(`${primary.url}/peer/pause`, { reason })).status, 200)
      assert.deepInclude((yield* statusOf(backup.url)).takeoverBlock, { kind: "paused", reason })
      assert.isNull((yield* statusOf(primary.url)).takeoverBlock)
      assert.strictEqual((yield* post(`${primary.url}/peer/resume`, "")).status, 200)
      assert.isNull((yield* statusOf(backup.url)).takeoverBlock)
    }))

  it.scopedLive("a rejection of the peer comes with its reason, and so does a malformed body", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      const { answer, status } = yield* post(`${primary.url}/peer/promote`, { reason })
      assert.strictEqual(status, 409)
      assert.deepInclude(answer, {
        error: "not promoted: the peer is alive and has not handed over (bstar switchover makes it hand over)",
        reason: "PeerAlive"
      })
      assert.strictEqual((yield* post(`${primary.url}/peer/pause`, {})).status, 400)
      assert.strictEqual((yield* post(`${primary.url}/peer/pause`, { reason: "x".repeat(20_000) })).status, 413)
    }))

  it.scopedLive("require the token, and are those of an operator", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token })
      for (const wrong of [null, "Bearer Sesame"]) {
        assert.strictEqual((yield* post(`${primary.url}/peer/pause`, { reason }, wrong)).status, 401)
      }
      assert.strictEqual((yield* post(`${primary.url}/peer/live`, { reason })).status, 400)
      assert.isNull((yield* statusOf(backup.url)).takeoverBlock)
    }))

  it.scopedLive("fail with the reason if the peer does not answer or is not known", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token })
      yield* backup.stop
      const stopped = yield* post(`${primary.url}/peer/pause`, { reason })
      assert.strictEqual(stopped.status, 502)
      assert.strictEqual(stopped.answer.error, `${backup.url}: no process listens there (connection refused)`)

      const alone = yield* startPair({ token, acquainted: false })
      const unknown = yield* post(`${alone.primary.url}/peer/pause`, { reason })
      assert.strictEqual(unknown.status, 409)
      assert.strictEqual(
        unknown.answer.error,
        "this server does not know the status server of its peer (--peer-http)"
      )
    }))
})
