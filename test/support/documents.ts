/** README and the pages of the documentation, and their code blocks. */
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "./processes.ts"

export { root }

const folder = path.join(root, "src/docs")

/** The pages, by their paths in `src/docs`. */
export const pages: ReadonlyArray<string> = fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .sort()

/** README, and each page, by its path in the repository. */
export const documents: ReadonlyArray<readonly [file: string, text: string]> = [
  "README.md",
  ...pages.map((page) => path.join("src/docs", page))
].map((file) => [file, fs.readFileSync(path.join(root, file), "utf8")])

export const documentOf = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

export interface Heading {
  readonly level: number
  readonly title: string
  /** The anchor that GitHub gives it. */
  readonly slug: string
}

/** A text without its code blocks and code spans, which may contain what looks like headings and links. */
export const withoutCode = (text: string): string => withoutBlocks(text).replaceAll(/`[^`\n]*`/g, "")

const withoutBlocks = (text: string): string => text.replaceAll(/^```[^]*?^```$/gm, "")

export const headings = (text: string): ReadonlyArray<Heading> =>
  [...withoutBlocks(text).matchAll(/^(#+) (.*)$/gm)].map(([, marks, title]) => ({
    level: marks!.length,
    title: title!,
    slug: title!.replaceAll("`", "").toLowerCase().replaceAll(/[^\p{L}\p{N}\-_ ]/gu, "").replaceAll(" ", "-")
  }))

/** The code blocks of a language, with the files that have them. */
export const blocks = (language: string): ReadonlyArray<readonly [file: string, code: string]> =>
  documents.flatMap(([file, text]) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))].map(([, code]) =>
      [file, code!] as const
    )
  )

/** The only block of a language in a document. */
export const block = (language: string, document: string): string => {
  const [found, another] = blocks(language).filter(([file]) => file === document)
  if (found === undefined || another !== undefined) {
    throw new Error(`${document} should have one block of ${language}`)
  }
  return found[1]
}

/** A section of a document, with those below it. */
export const section = (document: string, title: string): string => {
  const [, found, another] = documentOf(document).split(new RegExp(`^## ${title}$`, "m"))
  if (found === undefined || another !== undefined) {
    throw new Error(`${document} should have one section ${title}`)
  }
  return found.split(/^## /m)[0]!
}

/** What a reader copies from a text and runs: the lines of its `sh` blocks, and `bstar ...` in its sentences, without comments. */
export const commandsIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^```sh\n([^]*?)^```$|`(bstar [^`\n]+)`/gm)].flatMap(([, lines, inline]) =>
    inline === undefined
      ? lines!.split("\n").map((line) => line.replace(/ +#.*$/, "").trim()).filter((line) => line !== "")
      : [inline]
  )
