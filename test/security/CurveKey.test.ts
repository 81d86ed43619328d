import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Redacted } from "effect"
import * as util from "node:util"
import * as zmq from "zeromq"
import * as CurveKey from "../../src/security/CurveKey.ts"

describe("keys", () => {
  it("match libzmq: its test keys are pairs", () => {
    for (
      const [publicKey, secretKey] of [
        ["Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"],
        ["rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"]
      ] as const
    ) {
      assert.strictEqual(CurveKey.publicKeyOf(Redacted.make(secretKey)), publicKey)
    }
  })

  it("that the binding makes are pairs", () => {
    for (let i = 0; i < 20; i++) {
      const { publicKey, secretKey } = zmq.curveKeyPair()
      assert.strictEqual(CurveKey.publicKeyOf(Redacted.make(secretKey)), publicKey)
    }
  })

  it.effect("that are generated are pairs, are unique, and do not show the secret", () =>
    Effect.gen(function*() {
      const made = yield* Effect.replicateEffect(CurveKey.generate, 20)
      assert.strictEqual(new Set(made.map(({ publicKey }) => publicKey)).size, 20)
      for (const keys of made) {
        assert.strictEqual(CurveKey.publicKeyOf(keys.secretKey), keys.publicKey)
        const secret = Redacted.value(keys.secretKey)
        for (const shown of [String(keys.secretKey), JSON.stringify(keys), util.inspect(keys, { depth: 9 })]) {
          assert.notInclude(shown, secret)
        }
      }
    }))

  it("are 40 characters of Z85 that encode 32 bytes", () => {
    FastCheck.assert(FastCheck.property(FastCheck.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      assert.isTrue(CurveKey.isKey(CurveKey.encode(bytes)))
    }))
    FastCheck.assert(FastCheck.property(FastCheck.string({ maxLength: 39 }), (text) => !CurveKey.isKey(text)))
    // More than 32 bits in five characters, a character of something else, and one too many.
    for (const text of ["#".repeat(40), `${"0".repeat(39)}"`, `${"0".repeat(39)} `, "0".repeat(41)]) {
      assert.isFalse(CurveKey.isKey(text))
    }
    assert.isUndefined(CurveKey.publicKeyOf(Redacted.make("no key")))
  })
})
