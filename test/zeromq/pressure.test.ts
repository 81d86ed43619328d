import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Pressure from "../../src/zeromq/pressure.ts"

const maxMebibytes = 100

/** The causes of resets after looks. */
const causes = (samples: ReadonlyArray<Pressure.Sample>): ReadonlyArray<Pressure.Look["cause"]> => {
  let pressure = Pressure.none(maxMebibytes)
  return samples.map((sample) => {
    const look = Pressure.look(pressure, maxMebibytes, sample)
    pressure = look.pressure
    return look.cause
  })
}

const memory = (...mebibytes: ReadonlyArray<number | undefined>) =>
  causes(mebibytes.map((mebibytes) => ({ mebibytes, areDescriptorsScarce: false })))

const descriptors = (looks: ReadonlyArray<boolean>) =>
  causes(looks.map((areDescriptorsScarce) => ({ mebibytes: 1, areDescriptorsScarce })))

const looks = (count: number, areScarce: boolean) => Array<boolean>(count).fill(areScarce)

describe("pressure on a bound socket", () => {
  it("memory above the limit resets it, and again only after a quarter more", () => {
    assert.deepStrictEqual(memory(100, 101, 101, 126, 127), [undefined, "Memory", undefined, undefined, "Memory"])
  })

  it("memory that a reset has freed counts again from the limit on", () => {
    assert.deepStrictEqual(memory(200, 50, 101), ["Memory", undefined, "Memory"])
    assert.deepStrictEqual(memory(200, 150, 160, 188), ["Memory", undefined, undefined, "Memory"])
  })

  it("memory that cannot be read resets nothing", () => {
    assert.deepStrictEqual(memory(undefined, undefined), [undefined, undefined])
  })

  it("descriptors reset it after 5 scarce looks in a row, then after 10, up to 80", () => {
    const indexes = descriptors(looks(400, true)).flatMap((cause, index) => cause === undefined ? [] : [index + 1])
    assert.deepStrictEqual(indexes, [5, 15, 35, 75, 155, 235, 315, 395])
    assert.isFalse(descriptors([...looks(4, true), false, ...looks(4, true)]).includes("Descriptors"))
  })

  it("descriptors that are plentiful for 100 looks begin from 5 again", () => {
    const afterPause = descriptors([...looks(5, true), ...looks(100, false), ...looks(5, true)])
    assert.strictEqual(afterPause.at(-1), "Descriptors")
    const tooSoon = descriptors([...looks(5, true), ...looks(99, false), ...looks(5, true)])
    assert.isUndefined(tooSoon.at(-1))
  })

  it("whatever it finds, it never resets below the limit", () => {
    const sample = FastCheck.record({
      mebibytes: FastCheck.option(FastCheck.nat({ max: 1000 }), { nil: undefined }),
      areDescriptorsScarce: FastCheck.constant(false)
    })
    FastCheck.assert(FastCheck.property(FastCheck.array(sample), (samples) => {
      causes(samples).forEach((cause, index) => {
        assert.isTrue(cause === undefined || samples[index]!.mebibytes! > maxMebibytes)
      })
    }))
  })
})
