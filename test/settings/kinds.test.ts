import { assert, describe, it } from "@effect/vitest"
import { Duration, FastCheck, Option } from "effect"
import * as kinds from "../../src/settings/kinds.ts"

const millis = (input: unknown): number | undefined =>
  Option.getOrUndefined(Option.map(kinds.parseDuration(input), Duration.toMillis))

const shortUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const longUnits = {
  millis: 1,
  second: 1000,
  seconds: 1000,
  minutes: 60_000,
  hour: 3_600_000,
  days: 86_400_000
} as const

/** A number of at most three digits and three decimals. */
const number = FastCheck.tuple(FastCheck.nat(999), FastCheck.nat(999)).map(([whole, part]) =>
  part === 0 ? `${whole}` : `${whole}.${part}`
)

const anyOf = <K extends string>(units: { readonly [U in K]: number }) =>
  FastCheck.constantFrom(...Object.keys(units) as Array<K>).map((unit) => ({ unit, millis: units[unit] }))

describe("a duration", () => {
  for (
    const [text, expected] of [
      ["500ms", 500],
      ["1s", 1000],
      ["2m", 120_000],
      ["1h", 3_600_000],
      ["1.5s", 1500],
      ["1d", 86_400_000],
      ["1h 30m", 5_400_000],
      ["1m40s", 100_000],
      [" 250 millis ", 250],
      ["1 second", 1000]
    ] as const
  ) {
    it(`${text} is ${expected} milliseconds`, () => assert.strictEqual(millis(text), expected))
  }

  it("may be Infinity where it has no upper bound", () => {
    assert.strictEqual(kinds.unboundedDuration("1 millis").decode("Infinity"), Duration.infinity)
    assert.isUndefined(kinds.duration("1 millis", "1 day").decode("Infinity"))
  })

  for (const text of ["", "soon", "1", "s", "1 s s", "-1s", "1ss", "1,5s", "1e3s", ".5s", "1s 5", "1S", "1.s"]) {
    it(`is not ${JSON.stringify(text)}`, () => assert.isUndefined(millis(text)))
  }

  it.prop("with a short unit is its number times the unit", [number, anyOf(shortUnits)], ([number, unit]) => {
    assert.closeTo(millis(`${number}${unit.unit}`)!, Number(number) * unit.millis, 1e-3)
  })

  it.prop("with a long unit is its number times the unit", [number, anyOf(longUnits)], ([number, unit]) => {
    assert.closeTo(millis(`${number} ${unit.unit}`)!, Number(number) * unit.millis, 1e-3)
  })

  it.prop("is read as it is printed", [FastCheck.integer({ min: 1, max: 10_000_000_000 })], ([value]) => {
    assert.strictEqual(millis(Duration.format(Duration.millis(value))), value)
  })

  it.prop("of any text is a duration or an error with the bounds, the value and examples", [FastCheck.string()], ([
    text
  ]) => {
    const kind = kinds.duration("10 millis", "1 hour")
    const decoded = kind.decode(text)
    if (decoded === undefined) {
      assert.strictEqual(
        kinds.mismatch(kind, text),
        `expected a duration from 10ms to 1h such as "250ms", "1.5s" or "2 minutes", got ${JSON.stringify(text)}`
      )
    } else {
      assert.isTrue(Duration.between(decoded, { minimum: "10 millis", maximum: "1 hour" }))
    }
  })
})

describe("a whole number", () => {
  it.prop("is within its bounds", [FastCheck.oneof(FastCheck.integer(), FastCheck.double())], ([value]) => {
    const isValid = Number.isInteger(value) && value >= 1 && value <= 1000
    assert.strictEqual(kinds.whole(1, 1000).decode(value), isValid ? value : undefined)
  })

  it("is read from text of digits", () =>
    assert.deepStrictEqual(["7", "007", "1.5", "-1", "", "many"].map(kinds.whole(0, 9).fromText), [
      7,
      7,
      "1.5",
      "-1",
      "",
      "many"
    ]))
})

it("a list is read from text with commas, with or without spaces", () =>
  assert.deepStrictEqual(["a", "a,b", " a , b "].map(kinds.hostNames.fromText), [["a"], ["a", "b"], ["a", "b"]]))

it("on and off may be written as true and false", () =>
  assert.deepStrictEqual([true, "on", "true", false, "off", "false", "yes"].map(kinds.onOff.decode), [
    ...[true, true, true],
    ...[false, false, false],
    undefined
  ]))

it("the address of a status server is one that the status server accepts, too", () =>
  assert.deepStrictEqual(
    ["10.0.0.2:5011", "https://peer.example/status", "peer.example", "http://user:secret@peer.example", "peer:5011?a"]
      .filter((address) => kinds.statusAddress.decode(address) !== undefined),
    ["10.0.0.2:5011", "https://peer.example/status"]
  ))
