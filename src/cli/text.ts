/**
 * Tables and times as people read them.
 */

/** Rows of cells as lines, each column as wide as its widest cell. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
}

const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const

/** A time in the largest unit that it has two of, such as `90 s`. */
export const span = (millis: number): string => {
  const [unit, size] = units.find(([, size]) => millis >= 2 * size) ?? ["ms", 1]
  return `${Math.round(millis / size)} ${unit}`
}

/** A number and its noun. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** Colours of a terminal. */
export const colors = { red: 31, green: 32, yellow: 33, bold: 1 } as const

/** Writes text in a colour. */
export type Paint = (color: keyof typeof colors, text: string) => string

export const plain: Paint = (_, text) => text

export const ansi: Paint = (color, text) => `\x1b[${colors[color]}m${text}\x1b[0m`
