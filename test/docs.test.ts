/** The documentation: README, the pages in `src/docs`, and the notes of the rooms. `BSTAR_REWRITE=1` writes the heading lists anew. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { headings, pages, root, withoutCode } from "./support/documents.ts"

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const lineCount = (text: string): number => text.trimEnd().split("\n").length

const markdownIn = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.includes("node_modules"))
    .map((name) => path.join(folder, name))

/** Every file whose links are followed. */
const linked = ["README.md", ...markdownIn(".github"), ...markdownIn("src"), ...markdownIn("test")]

const headingList = (text: string): string =>
  `**On this page:** ${
    headings(text).filter(({ level }) => level === 2).map(({ slug, title }) => `[${title}](#${slug})`).join(" · ")
  }`

const targets = (text: string): ReadonlyArray<string> =>
  [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))

/** Why a link leads nowhere. */
const issueOf = (from: string, target: string): string | undefined => {
  const [file, anchor] = target.split("#") as [string, string | undefined]
  const to = file === "" ? from : path.join(path.dirname(from), file)
  if (!fs.existsSync(path.join(root, to))) {
    return `${from}: ${target}: no such file`
  }
  return anchor === undefined || headings(read(to)).some(({ slug }) => slug === anchor)
    ? undefined
    : `${from}: ${target}: no such heading`
}

/** What pages link to although only a clone has it: measurements, campaigns, a test. */
const onlyInClone = ["test/bench", "test/campaigns", "test/system/orders.test.ts"]

describe("the documentation", () => {
  it("README has 150 to 200 lines", () => {
    const count = lineCount(read("README.md"))
    assert.isTrue(count >= 150 && count <= 200, `${count} lines`)
  })

  for (const page of pages) {
    it(`src/docs/${page} has fewer than 200 lines, and a list of its headings at its top`, () => {
      const file = path.join("src/docs", page)
      const text = read(file)
      const list = headingList(text)
      if (process.env.BSTAR_REWRITE === "1") {
        const [title, rest] = [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n") + 1)]
        const body = rest.replace(/^\s*\*\*On this page:\*\*.*\n/, "").trimStart()
        fs.writeFileSync(path.join(root, file), `${title}\n\n${list}\n\n${body}`)
        return
      }
      const lines = text.split("\n")
      assert.match(lines[0]!, /^# \S/)
      assert.strictEqual(lines[2], list)
      assert.isAbove(headings(text).length, 1)
      assert.isBelow(lineCount(text), 200)
    })
  }

  it("the map leads to every page", () => {
    const map = targets(read("src/docs/README.md"))
    assert.deepStrictEqual(pages.filter((page) => page !== "README.md" && !map.includes(page)), [])
  })

  it("every relative link leads to a file, and every anchor to a heading", () => {
    const issues = linked.flatMap((file) => targets(read(file)).map((target) => issueOf(file, target)))
    assert.isAbove(issues.length, 100)
    assert.deepStrictEqual(issues.filter((issue) => issue !== undefined), [])
  })

  it("links in src/docs lead to what the package contains, or to what only a clone needs", () => {
    const { files }: { readonly files: ReadonlyArray<string> } = JSON.parse(read("package.json"))
    const outside = pages.flatMap((page) =>
      targets(read(path.join("src/docs", page)))
        .map((target) => path.join("src/docs", path.dirname(page), target.split("#")[0]!))
        .filter((file) => ![...files, ...onlyInClone, "README.md"].some((folder) => file.startsWith(folder)))
        .map((file) => `${page}: ${file}`)
    )
    assert.deepStrictEqual(outside, [])
  })
})
