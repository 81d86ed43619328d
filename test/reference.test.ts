/** The tables of the reference, held to the code. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { StatusApi } from "../src/http/api.ts"
import { stateOnly } from "../src/protocol/Heartbeat.ts"
import * as StateMachine from "../src/protocol/StateMachine.ts"
import { documentOf, root } from "./support/documents.ts"

const page = (name: string): string => documentOf(`src/docs/${name}`)

/** The code spans in the first column of all tables of a text. */
const firstColumn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, code]) => code!))

/** A section of a page, by its heading. */
const section = (name: string, heading: string): string => {
  const [, after] = page(name).split(`\n## ${heading}\n`)
  assert.isDefined(after, heading)
  return after!.split("\n## ")[0]!
}

const sources = fs.readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => fs.readFileSync(path.join(root, "src", name), "utf8"))

const inSources = (pattern: RegExp): ReadonlyArray<string> =>
  [...new Set(sources.flatMap((text) => [...text.matchAll(pattern)].map(([, found]) => found!)))].sort()

describe("the reference", () => {
  it("lists every metric", () => {
    // All metrics end in their unit, a count or what they show; tables of databases have one word.
    const metrics = inSources(/"(bstar_[a-z_]+)"/g).filter((name) => !["bstar_fence", "bstar_witness"].includes(name))
    assert.deepStrictEqual([...firstColumn(page("reference/metrics.md"))].sort(), metrics)
  })

  it("lists every request of the status server", () => {
    const requests = Object.values(StatusApi.groups).flatMap(({ endpoints }) =>
      Object.values(endpoints).map(({ method, path }) => `${method} ${path}`)
    )
    assert.isAbove(requests.length, 10)
    const listed = [...section("reference/http.md", "Requests").matchAll(/^\| `([^`]+)` \|/gm)].map(([, code]) => code!)
    assert.deepStrictEqual([...listed].sort(), [...requests].sort())
  })

  it("lists every variable of the environment", () => {
    const listed = page("reference/environment.md") + page("reference/options.md")
    const variables = inSources(/\b(BSTAR_[A-Z_]*[A-Z])\b/g)
    assert.isAbove(variables.length, 10)
    assert.deepStrictEqual(variables.filter((name) => !listed.includes(`\`${name}\``)), [])
  })

  it("lists every public module", () => {
    const { exports }: { readonly exports: object } = JSON.parse(documentOf("package.json"))
    const modules = Object.keys(exports).flatMap((entry) => /^\.\/([A-Z]\w*)$/.exec(entry)?.[1] ?? [])
    assert.isAbove(modules.length, 30)
    assert.deepStrictEqual([...firstColumn(section("reference/modules.md", "Public modules"))].sort(), modules.sort())

    const starred = [...page("reference/modules.md").matchAll(/\[`(\w+)`\]\([^)]*\) \*/g)].map(([, name]) => name!)
    const index = [...documentOf("src/index.ts").matchAll(/^export \* as (\w+)/gm)].map(([, name]) => name!)
    assert.deepStrictEqual(starred.sort(), index.sort())
  })

  it("lists every state", () => {
    const listed = firstColumn(section("reference/state-machine.md", "States"))
    assert.deepStrictEqual([...listed].sort(), [...StateMachine.states].sort())
  })

  it("lists every exit code of the program", () => {
    const [body] = /^const exitCodeOf = [^]*?^}/m.exec(fs.readFileSync(path.join(root, "src/cli/Main.ts"), "utf8"))!
    const codes = body.match(/\b\d+\b/g)!
    assert.includeMembers(codes, ["3", "4", "5", "64", "78"])
    const listed = [...section("reference/exit-codes.md", "Exit codes").matchAll(/^\| (\d+)/gm)].map(([, code]) => code)
    assert.deepStrictEqual(codes.filter((code) => !listed.includes(code)), [])
  })

  it("lists every field of a heartbeat, every status and every control frame", () => {
    const fields = ["life", "sequence", "state", ...Object.keys(stateOnly)]
    assert.deepStrictEqual(
      [...firstColumn(section("reference/wire.md", "The heartbeat with an identity"))].sort(),
      fields.sort()
    )
    const statuses = inSources(/encode\("(![A-Za-z]+)"\)/g)
    assert.deepStrictEqual([...firstColumn(section("reference/wire.md", "Statuses"))].sort(), statuses)
    const letters = inSources(/encode\("([A-Z])"\)/g)
    assert.deepStrictEqual([...firstColumn(section("reference/wire.md", "RPC"))].sort(), letters)
  })
})

describe("troubleshooting", () => {
  it("has no message that the program does not write", () => {
    // Values, and sentences in tables, are joined when a line is written: of each message some words in a row are in the sources.
    const text = sources.join("\n").replaceAll(/\$\{[^}]*\}/g, "...").replaceAll(/[`"] \+\n? *[`"]/g, "")
    const isKnown = (message: string): boolean =>
      message.split("...").some((part) => {
        const words = part.replace(/^[:;,")\s]+/, "").trim().split(" ")
        const count = Math.min(4, words.length)
        return words.length >= 2 &&
          words.some((_, at) => at + count <= words.length && text.includes(words.slice(at, at + count).join(" ")))
      })
    const messages = [...page("operate/troubleshooting.md").matchAll(/^\|([^|]*)\|/gm)]
      .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, code]) => code!))
      .filter((message) => message.includes(" "))
    assert.isAbove(messages.length, 60)
    assert.deepStrictEqual(messages.filter((message) => !isKnown(message)), [])
  })
})
