/** Text for people: tables, times, command lines, and strings without control characters. */
import * as path from "node:path"
import process from "node:process"
import { unmentionedReason } from "../status/Reason.ts"

/** Characters that end a line, control a terminal, or change the direction of text. */
const controls = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

const escapes: ReadonlyMap<string, string> = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]])

const hex = (character: string, digits: number): string => character.charCodeAt(0).toString(16).padStart(digits, "0")

/** Text from outside, on one line and without control of the terminal: these characters are escaped. */
export const printable = (text: string): string =>
  text.replace(
    controls,
    (one) => escapes.get(one) ?? (one < "\u0100" ? `\\x${hex(one, 2)}` : `\\u${hex(one, 4)}`)
  )

/** The same JSON with these characters escaped. */
export const printableJson = (json: string): string =>
  json.replace(controls, (one) => one === "\n" ? one : `\\u${hex(one, 4)}`)

/** Rows of cells as lines, each column as wide as its widest cell. */
export const columns = (table: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const rows = table.map((row) => row.map(printable))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
}

export { span } from "../status/Span.ts"

/** A number and its noun. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** Colours of a terminal. */
export const colors = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, bold: 1 } as const

/** Writes text in a colour. */
export type Paint = (color: keyof typeof colors, text: string) => string

export const plain: Paint = (_, text) => text

export const ansi: Paint = (color, text) => `\x1b[${colors[color]}m${text}\x1b[0m`

/** The reason of a transition, unless its message has it. */
export const because = (message: string, reason: string | null): string => {
  const unmentioned = unmentionedReason({ message, reason })
  return unmentioned === null ? "" : `, because: ${unmentioned}`
}

/** How this program is called, for command lines that a user is to copy. */
export const program = (): string => {
  const file = process.argv[1]!
  return path.basename(file) === "bstar"
    ? file.includes("node_modules") ? "npx bstar" : "bstar"
    : `node ${shellWord(path.relative(process.cwd(), file))}`
}

/** A word of a command line that a user is to copy. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
