import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { OutgoingHttpHeaders } from "node:http"
import { request } from "node:http"
import * as Commands from "../../src/http/commands.ts"
import { BinaryStar } from "../../src/member/BinaryStar.ts"
import type * as Status from "../../src/status/Status.ts"
import { foreignPeer, makePair as makePairInTime, settle } from "../support/nodes.ts"
import { eventually, quiet } from "../support/sockets.ts"
import { become, get, makeGate, post, startPair, statusOf, token } from "./nodes.ts"

const reason = "kernel update"

const latest = (url: string) =>
  Effect.map(get<ReadonlyArray<Status.HistoryEntry>>(`${url}/history?limit=1`), ([entry]) => entry!)

/** Later than a timer of one second. */
const afterASecond = "1001 millis"

describe("commands over HTTP", () => {
  it.scopedLive("commands: require the token", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      for (const wrong of [null, "", "Bearer", "Bearer ", "Bearer Sesame", `Bearer ${token}x`]) {
        for (const command of ["switchover", "pause", "resume", "promote"]) {
          const { answer, status } = yield* post(`${primary.url}/${command}`, { reason }, wrong)
          assert.strictEqual(status, 401, `${command} ${wrong}`)
          assert.strictEqual(answer.error, "the token is missing or wrong")
        }
      }
      assert.deepInclude(yield* statusOf(primary.url), { takeoverBlock: null, state: "ACTIVE" })
    }))

  it.scopedLive("F11 Origin: commands of a page of another origin are rejected, although it has the token", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      const { host, port } = new URL(primary.url)
      /** `fetch` does not send these headers as they are given. */
      const resume = (headers: OutgoingHttpHeaders) =>
        Effect.async<{ readonly status: number | undefined; readonly answer: string }>((resolve) => {
          request(`${primary.url}/resume`, {
            method: "POST",
            headers: { authorization: `Bearer ${token}`, ...headers }
          }, async (response) => {
            const answer = String(Buffer.concat(await response.toArray()))
            resolve(Effect.succeed({ status: response.statusCode, answer }))
          }).end()
        })
      for (
        const origin of [
          "http://evil.example",
          `http://evil.example:${port}`,
          "http://127.0.0.1:1",
          "http://127.0.0.1",
          `http://localhost:${port}`,
          `http://${host}.evil.example`,
          "file://",
          "null",
          "",
          `http://${host}, http://evil.example`
        ]
      ) {
        const { answer, status } = yield* resume({ origin })
        assert.strictEqual(status, 403, String(origin))
        assert.match(JSON.parse(answer).error, /^commands of a page at .* are rejected/)
      }
      for (
        const headers of [
          {},
          { origin: `http://${host}` },
          { origin: `http://LOCALHOST:${port}`, host: `localhost:${port}` },
          // Behind a proxy that keeps the host.
          { origin: "https://app.localhost", host: "app.localhost" },
          { origin: "https://app.localhost", host: "app.localhost:443" }
        ]
      ) {
        assert.strictEqual((yield* resume(headers)).status, 200, JSON.stringify(headers))
      }
      assert.strictEqual((yield* resume({ origin: `http://${host}`, authorization: "Bearer x" })).status, 401)
      const { paths } = yield* get<
        { readonly paths: { readonly [path: string]: { readonly post: { readonly responses: object } } } }
      >(
        `${primary.url}/openapi.json`
      )
      assert.containsAllKeys(paths["/resume"]!.post.responses, ["401", "403"])
    }))

  it.scopedLive("commands: require a reason, as JSON, of limited length", () =>
    Effect.gen(function*() {
      const { primary } = yield* startPair({ token })
      const pause = `${primary.url}/pause`
      for (const body of ["", "{", "[]", "null", {}, { reason: 1 }, { reason: " " }, { reason: "x".repeat(1001) }]) {
        const { answer, status } = yield* post(pause, body)
        assert.strictEqual(status, 400, JSON.stringify(body))
        assert.match(String(answer.error), /^body/)
      }
      assert.strictEqual((yield* post(pause, { reason: "x".repeat(20_000) })).status, 413)
      assert.isNull((yield* statusOf(primary.url)).takeoverBlock)
    }))

  it.scopedLive("pause, resume: set and end the block", () =>
    Effect.gen(function*() {
      const { backup } = yield* startPair({ token })
      assert.strictEqual((yield* post(`${backup.url}/pause`, { reason })).status, 200)
      assert.deepInclude((yield* statusOf(backup.url)).takeoverBlock, { kind: "paused", reason })
      assert.strictEqual((yield* post(`${backup.url}/resume`, "")).status, 200)
      assert.isNull((yield* statusOf(backup.url)).takeoverBlock)
    }))

  it.scopedLive("promote, switchover: rejected with a reason if the state forbids it", () =>
    Effect.gen(function*() {
      const { backup } = yield* startPair({ token })
      const promotion = yield* post(`${backup.url}/promote`, { reason })
      assert.strictEqual(promotion.status, 409)
      assert.strictEqual(
        promotion.answer.error,
        "not promoted: the peer is alive and has not handed over (bstar switchover makes it hand over)"
      )
      const switchover = yield* post(`${backup.url}/switchover`, { reason })
      assert.strictEqual(switchover.status, 409)
      assert.strictEqual(switchover.answer.error, "not handed over: this server is not active")
    }))

  it.scopedLive("promote: rejected if the operator answers for a witness that the pair does not have", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ token })
      yield* primary.kill
      yield* eventually(Effect.map(members.backup.report, ({ peer }) => peer.isExpired))
      const { answer, status } = yield* post(`${backup.url}/promote`, { reason, withoutWitness: true })
      assert.strictEqual(status, 409)
      assert.match(String(answer.error), /^not promoted: this server has no witness to answer for: /)
      assert.isFalse((yield* statusOf(backup.url)).answers)
    }))

  it.scopedLive("promote: makes a lone backup active", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ token })
      yield* primary.kill
      yield* eventually(Effect.map(members.backup.report, ({ peer }) => peer.isExpired))
      assert.strictEqual((yield* post(`${backup.url}/promote`, { reason })).status, 200)
      assert.deepInclude(yield* statusOf(backup.url), { state: "ACTIVE", answers: true, cause: "Promote", reason })
    }))
})

describe("a switchover", () => {
  it.scopedLive("switchover: to the backup and back", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ token })
      for (
        const [from, to, member] of [[primary, backup, members.primary], [backup, primary, members.backup]] as const
      ) {
        yield* eventually(Effect.map(member.report, ({ peer }) => peer.state === "PASSIVE"))
        const { answer, status } = yield* post(`${from.url}/switchover`, { reason })
        assert.strictEqual(status, 200, String(answer.error))
        assert.match(String(answer.message), /^the peer is active; clients waited for \d+ ms$/)
        assert.isBelow(Number(answer.waitedMillis), 10_000)
        assert.deepInclude(yield* statusOf(from.url), { state: "PASSIVE", answers: false })
        assert.deepInclude(yield* statusOf(to.url), { state: "ACTIVE", answers: true })
        const history = yield* get<ReadonlyArray<Status.HistoryEntry>>(`${from.url}/history`)
        assert.deepInclude(history.find(({ cause }) => cause === "HandOver"), {
          from: "ACTIVE",
          to: "HANDING_OVER",
          reason
        })
      }
    }), 30_000)

  it.scopedLive("switchover: needs no vote and no promotion", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token, acquainted: false })
      const { status } = yield* post(`${primary.url}/switchover`, { reason })
      assert.strictEqual(status, 200)
      assert.deepInclude(yield* latest(backup.url), {
        cause: "PeerHandsOver",
        explanation: "the final heartbeat of term 0.1"
      })
    }), 30_000)

  it.scopedLive("switchover: needs no vote if a legacy peer can be promoted", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token, isLegacy: true })
      yield* post(`${primary.url}/switchover`, { reason })
      assert.deepInclude(yield* latest(backup.url), {
        cause: "Promote",
        explanation: "the peer is down (connection to the primary in memory refused)",
        reason
      })
    }), 30_000)

  it.scopedLive("switchover: needs no status server of a legacy peer if there is a vote", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* startPair({ token, acquainted: false, isLegacy: true })
      yield* Effect.fork(Effect.forever(Effect.delay(backup.vote, "10 millis")))
      const { answer, status } = yield* post(`${primary.url}/switchover`, { reason })
      assert.strictEqual(status, 200, String(answer.error))
      assert.deepInclude(yield* statusOf(backup.url), { state: "ACTIVE", cause: "ClientRequest" })
    }), 30_000)

  it.scopedLive("switchover: goes on when its client disconnects", () =>
    Effect.gen(function*() {
      const gate = yield* makeGate
      const { backup, members, primary } = yield* startPair({ token, handler: gate.handler })
      yield* Effect.fork(primary.request("slow"))
      yield* gate.reached
      const sent = yield* Effect.async<ReturnType<typeof request>>((resume) => {
        const sent = request(`${primary.url}/switchover`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}` }
        })
        sent.on("error", () => {}).end(JSON.stringify({ reason }), () => resume(Effect.succeed(sent)))
      })
      yield* eventually(Effect.map(members.primary.report, ({ answers }) => !answers))
      sent.destroy()
      yield* gate.open
      yield* become(members.primary, "PASSIVE")
      assert.deepInclude(yield* statusOf(backup.url), { state: "ACTIVE", cause: "PeerHandsOver" })
    }), 30_000)

  it.scoped("switchover: times out if the peer does not become active, and reports the outcome", () =>
    Effect.gen(function*() {
      const pair = yield* makePairInTime(undefined, "hardened")
      const member = yield* pair.primary.start
      const peer = yield* foreignPeer(pair.links.backup)
      const commands = yield* Commands.make(undefined).pipe(
        Effect.provideService(BinaryStar, member)
      )
      yield* peer.reports("2")
      const heartbeat = Effect.zipRight(peer.reports("4"), TestClock.adjust("1 second"))
      yield* heartbeat
      /** Sends a request each second until this server is active again. */
      const requestFor = (seconds: number) =>
        Effect.gen(function*() {
          for (let i = 0; i < seconds; i++) {
            yield* TestClock.adjust(afterASecond)
            yield* pair.primary.request("x")
          }
          assert.strictEqual(yield* pair.primary.request("x"), "x")
        })
      const pending = yield* Effect.fork(Effect.flip(commands.switchover(reason)))
      yield* settle
      assert.strictEqual(yield* member.state, "HANDING_OVER")
      yield* Effect.repeatN(heartbeat, 10)
      assert.deepInclude(yield* Fiber.join(pending), {
        _tag: "Unfinished",
        error: "this server has handed over, but its peer is not active after 10s"
      })

      // Then the peer is silent, and there are requests.
      yield* requestFor(8)
      yield* heartbeat
      const again = yield* Effect.fork(Effect.flip(commands.switchover(reason)))
      yield* settle
      yield* requestFor(9)
      assert.deepInclude(yield* Fiber.join(again), {
        _tag: "Conflict",
        error: "the peer has not taken over, so this server is active again"
      })
    }).pipe(Effect.provide(quiet)))
})
