import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Settings from "../../src/settings/Settings.ts"
import * as Sources from "../../src/settings/Sources.ts"

const { lone, maxFailovers } = Settings.member

const sources = (given: Partial<Sources.Sources>): Sources.Sources => ({
  options: {},
  environment: new Map(),
  file: undefined,
  ...given
})

const inFile = (key: string, value: unknown, table = "") => ({
  name: "pair.toml",
  entries: new Map([[key, { value, table }]])
})

const maybe = FastCheck.option(FastCheck.integer({ min: 1, max: 1000 }), { nil: undefined })

describe("the sources of a value", () => {
  it.prop(
    "override each other: option, environment, file, default",
    [maybe, maybe, maybe],
    ([option, variable, file]) => {
      const { isDefault, value } = Sources.resolve(maxFailovers, {}, {
        options: option === undefined ? {} : { maxFailovers: String(option) },
        environment: new Map(variable === undefined ? [] : [["BSTAR_MAX_FAILOVERS", String(variable)]]),
        file: file === undefined ? undefined : inFile("max-failovers", file)
      })
      const expected = option ?? variable ?? file
      assert.deepStrictEqual([value, isDefault], [expected, expected === undefined])
    }
  )

  it("are named in errors, with the value", () => {
    const issueOf = (given: Partial<Sources.Sources>) => Sources.resolve(maxFailovers, {}, sources(given)).issue
    const message = (value: string) => `expected a whole number from 1 to 1000, got ${value}`
    assert.deepStrictEqual(issueOf({ options: { maxFailovers: "many" } }), {
      field: "--max-failovers",
      message: message(`"many"`)
    })
    assert.deepStrictEqual(issueOf({ environment: new Map([["BSTAR_MAX_FAILOVERS", "0"]]) }), {
      field: "BSTAR_MAX_FAILOVERS",
      message: message("0")
    })
    assert.deepStrictEqual(issueOf({ file: inFile("max-failovers", 1.5, "primary") }), {
      field: "pair.toml: [primary] max-failovers",
      message: message("1.5")
    })
  })

  it("give defaults by role, policy and command", () => {
    const valuesOf = <C extends "server" | "proxy">(command: C, role: "primary" | "backup", options = {}) =>
      Sources.valuesOf<C>(Sources.resolveAll(command, role, sources({ options })))
    assert.strictEqual(valuesOf("server", "backup").frontend, "tcp://*:5002")
    assert.strictEqual(valuesOf("server", "primary").crashDetection, false)
    assert.strictEqual(valuesOf("server", "primary", { policy: "hardened" }).crashDetection, true)
    assert.strictEqual(valuesOf("proxy", "primary").crashDetection, true)
    assert.strictEqual(valuesOf("proxy", "primary", { crashDetection: "off" }).crashDetection, false)
    assert.strictEqual(valuesOf("proxy", "primary").concurrency, 1000)
  })

  it("let an option restore the default", () => {
    const { text, value } = Sources.resolve(Settings.member.crashDetection, { policy: "hardened" }, {
      ...sources({ file: inFile("crash-detection", "off") }),
      options: { crashDetection: "policy" }
    })
    assert.deepStrictEqual([text, value], ["policy", true])
  })

  it("imply the policy witnessed by a witness, and crash detection by that", () => {
    const witness = "etcd://10.0.0.3:2379/orders"
    for (const command of ["server", "proxy", "run"] as const) {
      const resolved = Sources.resolveAll(command, "primary", sources({ options: { witness } }))
      assert.deepStrictEqual(Sources.issuesOf(resolved), [])
      const { crashDetection, policy } = Sources.valuesOf<"server">(resolved)
      assert.deepStrictEqual([policy, crashDetection], ["witnessed", true])
    }
    const other = { witness, policy: "hardened" }
    assert.deepStrictEqual(Sources.issuesOf(Sources.resolveAll("proxy", "backup", sources({ options: other }))), [
      { field: "policy", message: `expected "witnessed" where there is a witness, got "hardened"` }
    ])
    const alone = sources({ options: { policy: "witnessed" } })
    assert.deepStrictEqual(Sources.issuesOf(Sources.resolveAll("run", "backup", alone)), [
      { field: "policy", message: `"witnessed" needs a witness: --witness URL` }
    ])
    // The state machine of every policy can be printed and verified without a witness.
    for (const command of ["fsm", "verify"] as const) {
      assert.deepStrictEqual(Sources.issuesOf(Sources.resolveAll(command, undefined, alone)), [])
    }
  })

  const connections: ReadonlyArray<readonly [string, { readonly [key: string]: string }, ReadonlyArray<RegExp>]> = [
    ["etcds://h:1/x", { witnessCa: "f", witnessCert: "f", witnessKey: "f" }, []],
    ["etcd://h:1/x", { witnessCa: "f" }, [/^witness-ca: needs TLS/]],
    ["etcds://h:1/x", { witnessCert: "f" }, [/^witness-cert: needs its key/]],
    ["etcds://h:1/x", { witnessKey: "f" }, [/^witness-key: needs its certificate/]],
    ["etcd://ann@h:1/x", {}, [/^witness: the user ann needs a password/]],
    ["etcd://ann@h:1/x", { witnessPasswordFile: "f" }, []],
    ["etcd://h:1/x", { witnessPasswordFile: "f" }, [/^witness: .* no user/]],
    ["postgres://ann@h/d?pair=x", { witnessCa: "f" }, []],
    ["postgres://ann@h/d?pair=x&sslmode=disable", { witnessCa: "f" }, [/^witness-ca: needs TLS/]],
    ["etcd://h/x", { witnessCa: "f" }, [/^--witness: expected HOST:PORT/]]
  ]
  for (const [witness, more, expected] of connections) {
    it(`check the connection of a witness together: ${witness} ${Object.keys(more).join()}`, () => {
      const resolved = Sources.resolveAll("server", "primary", sources({ options: { witness, ...more } }))
      const issues = Sources.issuesOf(resolved).map(({ field, message }) => `${field}: ${message}`)
      assert.lengthOf(issues, expected.length, issues.join())
      expected.forEach((pattern, i) => assert.match(issues[i]!, pattern))
    })
  }

  it("H12 conflict where lone is serve and the policy is not hardened: both are named", () => {
    const options = { lone: "serve", policy: "classic" }
    assert.deepStrictEqual(Sources.issuesOf(Sources.resolveAll("server", "backup", sources({ options }))), [
      { field: "lone", message: `"serve" needs the policy "hardened"` },
      { field: "policy", message: `expected "hardened" where lone is "serve", got "classic"` }
    ])
    assert.isUndefined(Sources.resolve(lone, {}, sources({ options })).issue)
  })

  it("never show a secret", () => {
    for (const token of ["the secret", ""]) {
      const resolved = Sources.resolve(
        Settings.operations.httpToken,
        {},
        sources({ environment: new Map([["BSTAR_HTTP_TOKEN", token]]) })
      )
      assert.notInclude(JSON.stringify({ ...resolved, setting: "" }), "secret")
      assert.strictEqual(resolved.issue === undefined, token !== "")
    }
  })
})
