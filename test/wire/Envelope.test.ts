import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Tracer from "effect/Tracer"
import * as Envelope from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { texts } from "../support/sockets.ts"

const statuses = ["NotActive", "Interrupted", "Failed", "TimedOut", "Busy"] as const

const routingFrame = Uint8Array.of(0, 1, 2, 3, 4)

const span = Tracer.externalSpan({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  sampled: true
})

/** A request as a ROUTER receives it. */
const received = (withSpan = false): Frames.Frames => [
  routingFrame,
  ...Envelope.make("7", 12, withSpan ? span : undefined),
  ...Frames.make("body")
]

describe("an envelope", () => {
  it("is these frames on the wire", () => {
    assert.deepStrictEqual(texts(Envelope.make("7", 12, undefined)), ["bstar/1 7.12", ""])
    assert.deepStrictEqual(texts(Envelope.make("7", 12, span)), [
      "bstar/1 7.12",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      ""
    ])
    assert.deepStrictEqual(texts(Envelope.status(received(true), "Busy", Frames.make("detail")).slice(1)), [
      "bstar/1 7.12",
      "!Busy",
      "",
      "detail"
    ])
  })

  it("returned by an echo is a reply to its attempt, with and without a span", () => {
    for (const withSpan of [false, true]) {
      assert.deepStrictEqual(Envelope.parseReply(received(withSpan).slice(1)), {
        ...{ id: "7", attempt: 12, status: undefined, token: undefined, body: Frames.make("body") }
      })
    }
  })

  it("carries the span of the client, if there is one", () => {
    assert.deepInclude({ ...Envelope.spanOf(received(true)) }, {
      traceId: span.traceId,
      spanId: span.spanId,
      sampled: true
    })
    assert.isUndefined(Envelope.spanOf(received()))
  })

  it.each([
    ["no frame", []],
    ["no delimiter", ["bstar/1 7.12"]],
    ["an empty first frame", ["", "body"]],
    ["another name", ["bstar/2 7.12", "", "body"]],
    ["no attempt", ["bstar/1 7", "", "body"]],
    ["an unknown status", ["bstar/1 7.12", "!Gone", "", "body"]],
    ["a property of Object as its status", ["bstar/1 7.12", "!toString", "", "body"]]
  ])("with %s is no reply", (_, frames) => {
    assert.isUndefined(Envelope.parseReply(frames.map((frame) => Buffer.from(frame))))
  })

  it("of another client is not recognized", () => {
    for (const frames of [[], ["1"], ["", "body"], ["bstar/1 "], ["bstar/"]]) {
      assert.isFalse(Envelope.isOurs([routingFrame, ...frames.map((frame) => Buffer.from(frame))]))
    }
    assert.isTrue(Envelope.isOurs(received()))
  })
})

describe("a term", () => {
  const stamp = Envelope.stamp(196_609)
  const request = (token?: number, withSpan = false): Frames.Frames => [
    routingFrame,
    ...Envelope.make("7", 12, withSpan ? span : undefined, token),
    ...Frames.make("body")
  ]

  it("is these bytes on the wire", () => {
    assert.deepStrictEqual(texts(Envelope.make("7", 12, undefined, 196_609)), ["bstar/1 7.12@196609", ""])
    assert.deepStrictEqual(texts([stamp.suffix, stamp.frame]), ["@196609", "#196609"])
    assert.deepStrictEqual(texts(Envelope.status(request(), "Failed", [], stamp).slice(1)), [
      "bstar/1 7.12",
      "!Failed",
      "#196609",
      ""
    ])
  })

  it("that the client knows needs no frame", () => {
    assert.isTrue(Envelope.knows(request(196_609), stamp))
    for (const token of [undefined, 0, 9, 96_609, 1_196_609, 196_608, 1_966_091]) {
      assert.isFalse(Envelope.knows(request(token), stamp), String(token))
    }
    assert.isFalse(Envelope.knows([routingFrame, ...Frames.make("9")], stamp))
  })

  it("of a server that does not tell is the one that the client knew", () => {
    assert.deepInclude(Envelope.parseReply(request(5).slice(1)), { id: "7", attempt: 12, token: 5 })
    assert.deepInclude(Envelope.parseReply(request(5, true).slice(1)), { id: "7", attempt: 12, token: 5 })
  })

  it("of a server that tells replaces it, with and without a span or a status", () => {
    for (const withSpan of [false, true]) {
      const message = request(5, withSpan).slice(1)
      const end = message.findIndex(({ length }) => length === 0)
      const reply = Envelope.parseReply([...message.slice(0, end), stamp.frame, ...message.slice(end)])
      assert.deepInclude(reply, { attempt: 12, status: undefined, token: 196_609, body: Frames.make("body") })
    }
    const reply = Envelope.parseReply(Envelope.status(request(5), "Failed", Frames.make("why"), stamp).slice(1))
    assert.deepInclude(reply, { status: "Failed", token: 196_609, body: Frames.make("why") })
  })

  it("that is no number is none", () => {
    for (const frame of ["#", "#x", "#-1", "#1e9", "#12345678901234567"]) {
      assert.isUndefined(
        Envelope.parseReply([...Frames.make("bstar/1 7.12"), ...Frames.make(frame), Frames.delimiter])!.token
      )
    }
    assert.isUndefined(Envelope.parseReply([...Frames.make("bstar/1 7.12@x"), Frames.delimiter])!.token)
  })

  it("that is smaller than the client's is stale, where both count from a witness", () => {
    assert.isTrue(Envelope.isStaleFor(request(196_610), stamp))
    assert.isFalse(Envelope.isStaleFor(request(196_609), stamp))
    assert.isFalse(Envelope.isStaleFor(request(196_608), stamp))
    assert.isFalse(Envelope.isStaleFor(request(), stamp))
    assert.isFalse(Envelope.isStaleFor(request(7), Envelope.stamp(3)))
    assert.isFalse(Envelope.isStaleFor(request(196_609), Envelope.stamp(3)))
  })
})

describe("a status", () => {
  it.prop("is parsed as it was made, with any detail", {
    status: FastCheck.constantFrom(...statuses),
    detail: FastCheck.array(FastCheck.uint8Array({ maxLength: 4 }), { maxLength: 3 })
  }, ({ detail, status }) => {
    assert.deepStrictEqual(Envelope.parseReply(Envelope.status(received(true), status, detail).slice(1)), {
      ...{ id: "7", attempt: 12, status, token: undefined, body: detail }
    })
  })

  it("is from an active server, except NotActive and Interrupted", () => {
    assert.deepStrictEqual([undefined, ...statuses].filter(Envelope.isFromActive), [
      undefined,
      "Failed",
      "TimedOut",
      "Busy"
    ])
  })

  it("Interrupted replaces a withdrawn reply; another client receives nothing", () => {
    assert.deepStrictEqual(Envelope.withdraw(received()), [Envelope.status(received(), "Interrupted")])
    assert.deepStrictEqual(Envelope.withdraw([routingFrame, ...Frames.make("1"), Frames.delimiter]), [])
    const busy = Envelope.status(received(), "Busy")
    assert.deepStrictEqual(Envelope.withdraw(busy), [busy])
  })
})
