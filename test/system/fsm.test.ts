import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"
import { bstar, root } from "../support/processes.ts"

const print = (format: string, policy = "classic") =>
  Effect.gen(function*() {
    const process = yield* bstar(["fsm", "--format", format, "--policy", policy])
    assert.deepStrictEqual(yield* process.exit, { code: 0, signal: null })
    assert.strictEqual(process.stderr(), "")
    return process.stdout()
  })

type Entry = Record<string, string>

const parse = (json: string): ReadonlyArray<Entry> => JSON.parse(json)

const columns = ["state", "event", "role", "peer", "verdict", "next state", "publishes", "rule", "message"]

describe("bstar fsm", () => {
  it.scopedLive("bstar fsm, json: lists each role, state, event and peer once", () =>
    Effect.gen(function*() {
      const entries = parse(yield* print("json"))
      // Three states of each role, a peer alive and expired.
      assert.strictEqual(entries.length, 2 * 3 * StateMachine.eventTags.length * 2)
      assert.strictEqual(
        new Set(entries.map(({ event, peer, role, state }) => [role, state, event, peer].join())).size,
        entries.length
      )
      const fatal = entries.filter(({ verdict }) => verdict === "Fatal")
      assert.deepStrictEqual(
        [...new Set(fatal.map(({ event, message, state }) => [state, event, message].join()))],
        [
          "ACTIVE,PeerActive,fatal error - dual actives, aborting",
          "PASSIVE,PeerPassive,fatal error - dual passives, aborting"
        ]
      )
      assert.strictEqual(fatal.length, 8)
    }))

  for (const policy of Policies.policyNames) {
    it.scopedLive(`bstar fsm, table: each transition of the json output is in one row (${policy})`, () =>
      Effect.gen(function*() {
        const entries = parse(yield* print("json", policy))
        const [header, ...rows] = (yield* print("table", policy)).split("\n\n")[0]!.split("\n")
        assert.match(header!, /^state +event +role +peer +verdict +next state +publishes +rule +message$/)
        const starts = columns.map((column) => header!.indexOf(column))
        const cells = rows.map((row) => starts.map((from, i) => row.slice(from, starts[i + 1]).trim()))
        const rowsOf = (entry: Entry) =>
          cells.filter(([state, event, role, peer]) =>
            state === entry.state && event === entry.event && [entry.role, "any"].includes(role!) &&
            [entry.peer, ...(["unknown", "absent"].includes(entry.peer!) ? [] : ["known", "possible"]), "any"].includes(
              peer
            )
          )
        for (const entry of entries) {
          const [row, ...others] = rowsOf(entry)
          assert.deepStrictEqual(others, [])
          assert.deepStrictEqual(row!.slice(4), [
            entry.verdict!.toLowerCase(),
            entry.next!,
            entry.publish ?? "",
            entry.rule ?? "",
            entry.message ?? ""
          ])
        }
      }))
  }

  it.scopedLive("bstar fsm, H4: an active member without a peer stays active after a stall", () =>
    Effect.gen(function*() {
      assert.match(
        yield* print("table", "hardened"),
        /^ACTIVE +Stalled +any +absent +accept +ACTIVE +ACTIVE +H4 /m
      )
      assert.notMatch((yield* print("table")).split("\n\n")[0]!, / absent /)
    }))

  it.scopedLive("bstar fsm, table: names every rule of the policy hardened", () =>
    Effect.gen(function*() {
      const table = yield* print("table", "hardened")
      for (const rule of ["H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "H11", "H12"]) {
        assert.include(table, rule)
      }
    }))

  it.scopedLive("bstar fsm, table: names every rule of the policy witnessed, and its events", () =>
    Effect.gen(function*() {
      const [rows, legend] = (yield* print("table", "witnessed")).split("\n\n")
      for (const event of StateMachine.rightEventTags) {
        assert.match(rows!, new RegExp(`^ACTIVE +${event} `, "m"))
      }
      for (const rule of ["R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9"]) {
        assert.match(legend!, new RegExp(`^${rule} `, "m"))
      }
      assert.notInclude(legend!, "The peer is absent")
    }))

  it.scopedLive("bstar fsm, table: is the default format", () =>
    Effect.gen(function*() {
      const process = yield* bstar(["fsm"])
      yield* process.exit
      assert.strictEqual(process.stdout(), yield* print("table", "hardened"))
    }))

  for (const policy of Policies.policyNames) {
    it.scopedLive(`bstar fsm, mermaid: the diagram in the documentation is this output (${policy})`, () =>
      Effect.gen(function*() {
        const page = fs.readFileSync(path.join(root, "src/docs/reference/state-machine.md"), "utf8")
        assert.include(page, `\`\`\`mermaid\n${yield* print("mermaid", policy)}\`\`\`\n`)
      }))
  }
})
