import { assert, describe, it } from "@effect/vitest"
import type { Role } from "../../support/processes.ts"
import type { Answer } from "./history.ts"
import { dualAnswers, firstAfter, histogram, percentile } from "./history.ts"

const heartbeat = 100

const answer = (role: Role, sent: number, received = sent + 1, incarnation = 1): Answer => ({
  role,
  incarnation,
  sent,
  received
})
const p = (sent: number, received?: number, incarnation?: number) => answer("primary", sent, received, incarnation)
const b = (sent: number, received?: number, incarnation?: number) => answer("backup", sent, received, incarnation)
const every = (millis: number, from: number, to: number, role: Role, incarnation = 1): ReadonlyArray<Answer> =>
  Array.from(
    { length: Math.floor((to - from) / millis) },
    (_, i) => answer(role, from + i * millis, from + i * millis + 1, incarnation)
  )

describe("dual answers", () => {
  it("dual answers: an answer between two of the other server is found", () => {
    assert.deepStrictEqual(dualAnswers([p(0), b(3), p(6)], heartbeat), [{ from: 0, to: 7, count: 1 }])
    assert.deepStrictEqual(dualAnswers([b(0), p(3), b(6)], heartbeat), [{ from: 0, to: 7, count: 1 }])
  })

  it("dual answers: the order of the records does not matter", () => {
    assert.deepStrictEqual(dualAnswers([p(6), b(3), p(0)], heartbeat), [{ from: 0, to: 7, count: 1 }])
  })

  it("dual answers: overlapping answers are one interval", () => {
    const answers = [...every(3, 0, 500, "primary"), ...every(3, 200, 300, "backup")]
    const found = dualAnswers(answers, heartbeat)
    assert.strictEqual(found.length, 1)
    assert.isAtLeast(found[0]!.to - found[0]!.from, 90)
    assert.isAtMost(found[0]!.to - found[0]!.from, 110)
  })

  it("dual answers: separate times are separate intervals", () => {
    const answers = [...every(3, 0, 900, "primary"), b(200), b(700)]
    assert.deepStrictEqual(dualAnswers(answers, heartbeat).map(({ count }) => count), [1, 1])
  })

  it("dual answers: a stale server that answers between answers of the active one is found", () => {
    const answers = [...every(3, 0, 100, "primary"), ...every(3, 400, 800, "backup"), p(500), p(503)]
    assert.strictEqual(dualAnswers(answers, heartbeat).length, 1)
  })

  it("dual answers: late and early answers do not hide one", () => {
    // The proof is neither the answer received last before X nor the one sent first after it.
    const answers = [p(10, 12), p(-500, 13), b(20, 21), p(22, 700), p(23, 24)]
    assert.deepStrictEqual(dualAnswers(answers, heartbeat), [{ from: 10, to: 24, count: 1 }])
  })

  it("dual answers: a hand-over is none", () => {
    assert.deepStrictEqual(
      dualAnswers([...every(3, 0, 100, "primary"), ...every(3, 101, 300, "backup")], heartbeat),
      []
    )
  })

  it("dual answers: a hand-over there and back is none", () => {
    const answers = [
      ...every(3, 0, 100, "primary"),
      ...every(3, 300, 400, "backup"),
      ...every(3, 600, 700, "primary")
    ]
    assert.deepStrictEqual(dualAnswers(answers, heartbeat), [])
  })

  it("dual answers: a quick restart is none", () => {
    assert.deepStrictEqual(dualAnswers([p(0), b(3), p(6, 7, 2)], heartbeat), [])
  })

  it("dual answers: an answer that may have been made before or after is none", () => {
    assert.deepStrictEqual(dualAnswers([p(0, 4), b(3), p(6)], heartbeat), [])
    assert.deepStrictEqual(dualAnswers([p(0), b(3, 7), p(6)], heartbeat), [])
    assert.deepStrictEqual(dualAnswers([p(0), b(0, 50), p(6)], heartbeat), [])
  })

  it("dual answers: requests from before a stop that are answered after it are none", () => {
    const answers = [...every(3, 0, 100, "primary"), ...every(3, 300, 900, "backup"), p(99, 600), p(102, 600)]
    assert.deepStrictEqual(dualAnswers(answers, heartbeat), [])
  })

  it("dual answers: an empty history has none", () => {
    assert.deepStrictEqual(dualAnswers([], heartbeat), [])
    assert.deepStrictEqual(dualAnswers([p(0)], heartbeat), [])
  })
})

describe("the first reply after a blow", () => {
  const blow = { role: "primary", incarnation: 3, at: 100 } as const
  const served = (role: Role, at: number, incarnation: number) => ({ role, at, incarnation })

  it("first reply: replies that the victim had sent before do not count", () => {
    const replies = [served("primary", 99, 3), served("primary", 101, 3), served("backup", 120, 7)]
    assert.strictEqual(firstAfter(blow, replies)?.at, 120)
  })

  it("first reply: the next process of the victim counts", () => {
    const replies = [served("primary", 101, 3), served("primary", 400, 4), served("backup", 420, 7)]
    assert.strictEqual(firstAfter(blow, replies)?.at, 400)
  })

  it("first reply: the victim counts after SIGCONT", () => {
    const replies = [served("primary", 101, 3), served("primary", 151, 3), served("backup", 320, 7)]
    assert.strictEqual(firstAfter({ ...blow, continuesAt: 150 }, replies)?.at, 151)
  })

  it("first reply: there may be none", () => {
    assert.isUndefined(firstAfter(blow, [served("primary", 101, 3), served("backup", 99, 7)]))
  })
})

describe("figures", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)

  it("figures: percentiles are nearest ranks", () => {
    assert.deepStrictEqual([0.5, 0.9, 0.99, 1].map((share) => percentile(hundred, share)), [50, 90, 99, 100])
    assert.strictEqual(percentile([7], 0.5), 7)
    assert.isNaN(percentile([], 0.5))
  })

  it("figures: a histogram has a line for each class from the first to the last", () => {
    const lines = histogram([3, 4, 30])
    assert.deepStrictEqual(lines.map((line) => line.replace(/ +/g, " ")), [
      `<= 4 ${"#".repeat(40)} 2`,
      "<= 8 0",
      "<= 16 0",
      `<= 32 ${"#".repeat(20)} 1`
    ])
    assert.deepStrictEqual(histogram([]), [])
  })
})
