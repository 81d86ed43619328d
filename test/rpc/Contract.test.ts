import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import { RequestError } from "../../src/client/RequestError.ts"
import * as Handler from "../../src/member/Handler.ts"
import { RequestFailure } from "../../src/member/Handler.ts"
import * as Contract from "../../src/rpc/Contract.ts"
import * as MsgPack from "../../src/rpc/MsgPack.ts"
import * as Frames from "../../src/wire/Frames.ts"

class TooOld extends Schema.TaggedError<TooOld>()("TooOld", { age: Schema.Number }) {}

const schemas = {
  request: Schema.Struct({ name: Schema.NonEmptyString, born: Schema.Date, picture: Schema.Uint8Array }),
  reply: Schema.Struct({ greeting: Schema.String, next: Schema.Date }),
  error: TooOld
}

/** A client whose server is this handler. */
const served = (handler: Handler.Handler) =>
  Layer.succeed(BinaryStarClient.BinaryStarClient, {
    request: (request) => {
      const reply = handler({ body: Frames.make(request), client: "", state: "ACTIVE", term: Option.none() })
      assert(!(reply instanceof Handler.DeferredReply))
      return (Effect.isEffect(reply) ? reply : Effect.succeed(reply)).pipe(
        Effect.map(Frames.make),
        Effect.mapError((error) =>
          new RequestError({
            reason: error instanceof RequestFailure && error.reason === "Busy" ? "Busy" : "Failed",
            servers: [],
            attempts: 1,
            ...(error instanceof RequestFailure && error.body !== undefined ? { detail: Frames.make(error.body) } : {})
          })
        )
      )
    }
  })

describe.each([["JSON", Contract.json], ["MessagePack", MsgPack.msgPack]] as const)("a contract in %s", (_, codec) => {
  const contract = Contract.make({ ...schemas, codec })
  const handler = contract.handler(({ born, name }) =>
    born.getTime() < 0
      ? Effect.fail(new TooOld({ age: 99 }))
      : Effect.succeed({ greeting: `hello ${name}`, next: new Date(born.getTime() + 1) })
  )
  const request = { name: "Ada", born: new Date(1), picture: new Uint8Array([0, 255]) }

  it.effect("a handler receives decoded requests and a client decoded replies", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* contract.request(request), { greeting: "hello Ada", next: new Date(2) })
    }).pipe(Effect.provide(served(handler))))

  it.effect("a RequestFailure of a handler is what it is, not an error of the contract", () =>
    Effect.gen(function*() {
      const busy = contract.handler(() => new RequestFailure({ reason: "Busy" }))
      const error = yield* Effect.flip(Effect.provide(contract.request(request), served(busy)))
      assert.deepInclude(error, { _tag: "RequestError", reason: "Busy" })
    }))

  it.effect("an error of the contract reaches the client unchanged", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(contract.request({ ...request, born: new Date(-1) }))
      assert.instanceOf(error, TooOld)
    }).pipe(Effect.provide(served(handler))))

  it.effect("a request that cannot be decoded fails with the first mismatch", () =>
    Effect.gen(function*() {
      const other = Contract.make({
        request: Schema.Struct({ name: Schema.String, born: Schema.Date, picture: Schema.Uint8Array }),
        reply: schemas.reply,
        codec
      })
      const error = yield* Effect.flip(other.request({ ...request, name: "" }))
      assert.instanceOf(error, Contract.Malformed)
      assert.match(error.message, /^malformed request: [^]*\["name"\]/)
    }).pipe(Effect.provide(served(handler))))

  it.effect("a reply that cannot be decoded fails", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(contract.request(request))
      assert.instanceOf(error, Contract.Malformed)
      assert.include(error.message, "malformed reply")
    }).pipe(Effect.provide(served(() => codec.encode({ greeting: 1 })))))

  it.effect("any bytes are rejected without a defect", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(FastCheck.uint8Array(), { maxLength: 3 }), async (body) => {
          const outcome = await Effect.runPromise(
            Effect.either(
              handler({ body, client: "", state: "ACTIVE", term: Option.none() }) as Effect.Effect<
                Frames.Input,
                unknown
              >
            )
          )
          assert.isTrue(Either.isLeft(outcome) && outcome.left instanceof RequestFailure)
        })
      )
    ))

  it.effect("a request error of the pair is passed on", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(contract.request(request))
      assert.deepInclude({ ...failed }, { _tag: "RequestError", reason: "Failed" })
    }).pipe(Effect.provide(served(() => Effect.fail("no Refusal")))))

  it.effect("undefined is a request and a reply like any other", () =>
    Effect.gen(function*() {
      const nothing = Contract.make({ request: Schema.Void, reply: Schema.Void, codec })
      assert.isUndefined(yield* Effect.provide(nothing.request(), served(nothing.handler(() => Effect.void))))
    }))
})
