import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as BinaryStarConfig from "../../src/settings/BinaryStarConfig.ts"
import { describe as describeConfig, Description } from "../../src/settings/Description.ts"
import { markdown } from "../../src/settings/Documentation.ts"
import * as Settings from "../../src/settings/Settings.ts"
import { fileIssue } from "../../src/settings/Sources.ts"

const situations = (["primary", "backup"] as const).flatMap((role) =>
  (["classic", "hardened"] as const).map((policy) => ({ role, policy }))
)

describe("the table of settings", () => {
  it("names each setting once for a command", () => {
    const commands = new Set(Settings.all.flatMap(({ commands }) => commands))
    for (const command of commands) {
      for (const name of ["key", "flag", "variable"] as const) {
        const names = Settings.of(command).map((setting) => setting[name])
        assert.deepStrictEqual(names.filter((one, at) => names.indexOf(one) !== at), [], `${command}: ${name}`)
      }
    }
  })

  it("has valid defaults", () => {
    for (const setting of Settings.all) {
      for (const situation of situations) {
        for (const command of [undefined, ...setting.commands]) {
          const fallback = Settings.defaultOf(setting, { ...situation, command })
          if (fallback !== undefined && !(Array.isArray(fallback) && fallback.length === 0)) {
            assert.isDefined(setting.kind.decode(fallback), `${setting.key}: ${fallback}`)
          }
        }
      }
    }
  })

  it("explains each setting in whole sentences", () => {
    for (const { help, key } of Settings.all) {
      assert.match(help, /^[A-Za-z-].*\.$/, key)
    }
  })

  it("is the table of options in the documentation, which BSTAR_REWRITE=1 writes anew", () => {
    const path = new URL("../../src/docs/reference/options.md", import.meta.url)
    const page = fs.readFileSync(path, "utf8")
    const written = page.replace(/(?<=<!-- settings -->\n)[^]*?(?=<!-- \/settings -->)/, markdown)
    if (process.env.BSTAR_REWRITE === "1") {
      fs.writeFileSync(path, written)
    } else {
      assert.strictEqual(page, written)
    }
  })

  it("accepts policy, the default of crash detection, in a file", () => {
    const { crashDetection } = Settings.member
    assert.deepStrictEqual(["policy", "on", false].map((value) => fileIssue(crashDetection, value)), [
      undefined,
      undefined,
      undefined
    ])
    assert.strictEqual(fileIssue(crashDetection, "maybe"), `expected "policy" or "on" or "off", got "maybe"`)
  })
})

describe("the description of a configuration", () => {
  it.effect("has each setting of the library, durations in milliseconds, and null for no limit", () =>
    Effect.gen(function*() {
      const config = yield* BinaryStarConfig.make({
        role: "backup",
        policy: "hardened",
        heartbeat: "500ms",
        timeout: "Infinity"
      })
      const description = describeConfig(config)
      assert.deepInclude(description, {
        frontend: "tcp://*:5002",
        stateEndpoint: "tcp://*:5004",
        peerEndpoint: "tcp://localhost:5003",
        heartbeatMillis: 500,
        crashDetection: true,
        timeoutMillis: null,
        maxFailovers: null
      })
      assert.deepInclude(description.limits, { maxMessageSize: 4_194_304, maxPerClient: null, pingMillis: 30_000 })
      const { limits, ...member } = description
      assert.lengthOf(Object.keys(member), Object.keys(Settings.member).length)
      assert.lengthOf(Object.keys(limits), Object.keys(Settings.limits).length)
      const { decodeUnknownSync } = yield* Effect.promise(() => import("effect/Schema"))
      assert.deepStrictEqual(decodeUnknownSync(Description)(JSON.parse(JSON.stringify(description))), description)
      // A server of an earlier version does not know them.
      const added = { drainMillis: 5000, fencing: "optional" as const, maxFailovers: null, timeoutMillis: 30_000 }
      const earlier = Object.fromEntries(Object.entries(description).filter(([key]) => !(key in added)))
      assert.deepInclude(decodeUnknownSync(Description)(earlier), added)
    }))
})
