import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { bstar, root } from "./support.ts"

const print = (format: string) =>
  Effect.gen(function*() {
    const process = yield* bstar(["fsm", "--format", format])
    assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null })
    assert.strictEqual(process.stderr(), "")
    return process.stdout()
  })

describe("bstar fsm", () => {
  it.scopedLive("json: every state, event and peer once", () =>
    Effect.gen(function*() {
      const entries: ReadonlyArray<Record<string, string>> = JSON.parse(yield* print("json"))
      assert.strictEqual(entries.length, 40)
      assert.strictEqual(new Set(entries.map(({ event, peer, state }) => [state, event, peer].join())).size, 40)
      assert.deepStrictEqual(
        entries.filter(({ verdict }) => verdict === "Fatal").map((
          { event, peer, say, state }
        ) => [state, event, peer, say]),
        [
          ["ACTIVE", "PeerActive", "alive", "fatal error - dual actives, aborting"],
          ["ACTIVE", "PeerActive", "expired", "fatal error - dual actives, aborting"],
          ["PASSIVE", "PeerPassive", "alive", "fatal error - dual passives, aborting"],
          ["PASSIVE", "PeerPassive", "expired", "fatal error - dual passives, aborting"]
        ]
      )
    }))

  it.scopedLive("table: the same as json, in columns", () =>
    Effect.gen(function*() {
      const entries: ReadonlyArray<Record<string, string>> = JSON.parse(yield* print("json"))
      const [header, ...rows] = (yield* print("table")).trimEnd().split("\n")
      assert.match(header!, /^state +event +peer +verdict +next state +says$/)
      assert.deepStrictEqual(
        rows.map((row) => row.split(/ {2,}/)),
        entries.map(({ event, next, peer, say, state, verdict }) => [
          ...[state!, event!, peer!, verdict!.toLowerCase(), next!],
          ...(say === undefined ? [] : [say])
        ])
      )
    }))

  it.scopedLive("table is the default", () =>
    Effect.gen(function*() {
      const process = yield* bstar(["fsm"])
      yield* process.exit
      assert.strictEqual(process.stdout(), yield* print("table"))
    }))

  it.scopedLive("mermaid: the diagram in README is this output", () =>
    Effect.gen(function*() {
      const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
      assert.include(readme, `\`\`\`mermaid\n${yield* print("mermaid")}\`\`\`\n`)
    }))
})
