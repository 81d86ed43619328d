import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import type { Heartbeat } from "../../src/protocol/Heartbeat.ts"
import { stateOnly } from "../../src/protocol/Heartbeat.ts"
import { peerStates } from "../../src/protocol/StateMachine.ts"
import * as Term from "../../src/protocol/Term.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as HeartbeatMessage from "../../src/wire/HeartbeatMessage.ts"

const first: Heartbeat = {
  life: "a1",
  sequence: 1,
  state: "ACTIVE",
  ...stateOnly
}

const longest: Heartbeat = {
  life: "f".repeat(HeartbeatMessage.maxLength.life),
  sequence: Number.MAX_SAFE_INTEGER,
  state: "PRIMARY",
  received: { life: "f".repeat(HeartbeatMessage.maxLength.life), sequence: Number.MAX_SAFE_INTEGER },
  term: { number: Term.maxNumber, step: Term.stepsPerNumber - 1 },
  isRecorded: false,
  question: "Resume",
  promises: false,
  handsOver: false,
  reason: undefined,
  activeMillis: Number.MAX_SAFE_INTEGER,
  witness: "~".repeat(HeartbeatMessage.maxLength.witness)
}

const count = (least: number) => FastCheck.integer({ min: least, max: Number.MAX_SAFE_INTEGER })
const life = FastCheck.stringMatching(/^[0-9A-Za-z]{1,32}$/)
const optional = <A>(arbitrary: FastCheck.Arbitrary<A>) => FastCheck.option(arbitrary, { nil: undefined })
const echo = { life, sequence: count(1) }

const heartbeat: FastCheck.Arbitrary<Heartbeat> = FastCheck.record({
  ...echo,
  state: FastCheck.constantFrom(...peerStates),
  received: optional(FastCheck.record(echo)),
  term: optional(FastCheck.record({ number: FastCheck.nat(Term.maxNumber), step: FastCheck.nat(65_535) })),
  isRecorded: FastCheck.boolean(),
  question: optional(FastCheck.constantFrom("Serve", "Resume", "Stand")),
  promises: FastCheck.boolean(),
  handsOver: FastCheck.boolean(),
  // Short enough to be beside the rest.
  reason: optional(FastCheck.string({ maxLength: 4, unit: FastCheck.constantFrom("a", " ", "\"", "é") })),
  activeMillis: optional(count(0)),
  witness: optional(FastCheck.stringMatching(/^[!#-[\]-~]{1,64}$/))
})

const messageOf = (value: unknown) => Frames.make(`bstar/2 ${JSON.stringify(value)}`)

const problemOf = (message: Frames.Frames) => Either.getOrThrow(Either.flip(HeartbeatMessage.decode(message)))

describe("a heartbeat", () => {
  it("is one frame of its topic and JSON", () => {
    assert.deepStrictEqual(
      Frames.toString(HeartbeatMessage.encode(first)),
      `bstar/2 {"life":"a1","sequence":1,"state":"ACTIVE","isRecorded":false,"promises":false,"handsOver":false}`
    )
  })

  it("of the largest values is no longer than a frame on the link, and the fingerprint of a witness may be SHA-256", () => {
    const message = HeartbeatMessage.encode(longest)
    assert.isAtMost(message[0]!.length, 512)
    assert.deepStrictEqual(HeartbeatMessage.decode(message), Either.right(longest))
  })

  it("cuts a reason for which there is no room, and keeps all of a short one", () => {
    const reason = "new kernel \u0007 für " + "ü😀\n".repeat(300)
    const final: Heartbeat = { ...longest, question: undefined, handsOver: true, reason }
    for (const heartbeat of [final, { ...first, handsOver: true, reason }]) {
      const message = HeartbeatMessage.encode(heartbeat)
      assert.isAtMost(message[0]!.length, 512)
      const decoded = Either.getOrThrow(HeartbeatMessage.decode(message))
      assert.deepStrictEqual({ ...decoded, reason }, heartbeat)
      assert.isTrue(reason.startsWith(decoded.reason!.replace(/…$/, "")), decoded.reason)
    }
    const [short] = HeartbeatMessage.encode({ ...first, handsOver: true, reason: "new kernel" })
    assert.deepStrictEqual(
      HeartbeatMessage.decode([short!]),
      Either.right({ ...first, handsOver: true, reason: "new kernel" })
    )
    assert.isAtLeast(HeartbeatMessage.encode({ ...first, reason })[0]!.length, 500)
  })

  it.prop("is decoded as it was encoded", { heartbeat }, ({ heartbeat }) => {
    const message = HeartbeatMessage.encode(heartbeat)
    assert.isTrue(HeartbeatMessage.isHeartbeat(message))
    assert.isAtMost(message[0]!.length, HeartbeatMessage.maxBytes)
    assert.deepStrictEqual(HeartbeatMessage.decode(message), Either.right(heartbeat))
  }, { fastCheck: { numRuns: 2000 } })

  it("of a later version is decoded without its new fields", () => {
    const later = { ...first, received: { life: "b2", sequence: 7, at: 3 }, mood: "good", constructor: 1 }
    const { received, ...rest } = first
    assert.deepStrictEqual(
      HeartbeatMessage.decode(messageOf(later)),
      Either.right({ ...rest, received: { life: "b2", sequence: 7 } })
    )
    assert.isUndefined(received)
  })

  const wrong: ReadonlyArray<readonly [problem: string, change: object]> = [
    ["life is not a text of 1 to 32 letters and digits", { life: 1 }],
    ["life is not a text of 1 to 32 letters and digits", { life: "" }],
    ["life is not a text of 1 to 32 letters and digits", { life: "f".repeat(33) }],
    ["life is not a text of 1 to 32 letters and digits", { life: "a\n" }],
    ["sequence is not a whole number from 1 to 9007199254740991", { sequence: 0 }],
    ["sequence is not a whole number from 1 to 9007199254740991", { sequence: 1.5 }],
    ["sequence is not a whole number from 1 to 9007199254740991", { sequence: 2 ** 53 }],
    ["state is not one of PRIMARY, BACKUP, ACTIVE, PASSIVE", { state: "REJOINING" }],
    ["received is not an object", { received: null }],
    ["received.life is not a text of 1 to 32 letters and digits", { received: {} }],
    ["received.sequence is not a whole number from 1 to 9007199254740991", { received: { life: "a", sequence: "1" } }],
    ["term.number is not a whole number from 0 to 137438953471", { term: [] }],
    ["term.step is not a whole number from 0 to 65535", { term: { number: 1, step: 65_536 } }],
    ["isRecorded is not true or false", { isRecorded: 1 }],
    ["question is not one of Serve, Resume, Stand", { question: "Why" }],
    ["promises is not true or false", { promises: undefined }],
    ["handsOver is not true or false", { handsOver: null }],
    ["activeMillis is not a whole number from 0 to 9007199254740991", { activeMillis: -1 }],
    ["witness is not a text of 1 to 64 printable characters", { witness: "\"" }]
  ]
  it.each(wrong)("%s: is malformed, by %j", (problem, change) => {
    assert.strictEqual(problemOf(messageOf({ ...first, ...change })), problem)
  })

  it.each([
    ["no frame", []],
    ["two frames", ["bstar/2 {}", ""]],
    ["another topic", ["bstar/3 {}"]],
    ["less than the topic", ["bstar/2"]]
  ])("%s: is malformed", (_, frames) => {
    assert.match(problemOf(frames.map((frame) => Buffer.from(frame))), /^heartbeat is not one frame of "bstar\/2 "/)
  })

  it.each(["", "{", "{}}", "\u0000"])("bstar/2 and %j: is not JSON", (text) => {
    assert.strictEqual(problemOf(Frames.make(`bstar/2 ${text}`)), "heartbeat is not JSON")
  })

  it("is malformed where it is not UTF-8, not an object, or too long", () => {
    assert.strictEqual(problemOf([Buffer.from(`bstar/2 "\xff"`, "latin1")]), "heartbeat is not JSON")
    for (const value of [null, 1, "text"]) {
      assert.strictEqual(problemOf(messageOf(value)), "heartbeat is not an object")
    }
    assert.strictEqual(problemOf(messageOf({ ...first, more: "x".repeat(512) })), "heartbeat is longer than 512 bytes")
  })

  it.prop("is decoded or malformed, whatever its fields are", {
    fields: FastCheck.dictionary(FastCheck.constantFrom(...Object.keys(longest), "__proto__"), FastCheck.jsonValue())
  }, ({ fields }) => {
    const decoded = HeartbeatMessage.decode(messageOf({ ...first, ...fields }))
    assert.isBelow(Either.isLeft(decoded) ? decoded.left.length : 0, 100)
  }, { fastCheck: { numRuns: 2000 } })
})
