/** The name that a user has probably meant. */

/** How many letters have to be inserted, removed or replaced. Two neighbours that are swapped count as one. */
const distance = (a: string, b: string): number => {
  const rows: Array<Array<number>> = [Array.from({ length: b.length + 1 }, (_, at) => at)]
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1]!
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, replaced, isSwapped ? rows[i - 2]![j - 2]! + 1 : Infinity))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

/** The nearest name, if one is near. The style of the word, such as `crashDetection` or `CRASH_DETECTION`, makes no difference. */
export const nearest = (word: string, names: ReadonlyArray<string>): string | undefined => {
  const normalize = (text: string) =>
    text.replaceAll("_", "-").replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase()
  const written = normalize(word)
  const [best] = names.map((name) => ({ name, spelt: normalize(name) }))
    .map(({ name, spelt }) => ({ name, spelt, off: distance(written, spelt) }))
    .filter(({ off, spelt }) =>
      off <= Math.max(1, Math.floor(spelt.length / 3)) || (written.length > 3 && spelt.startsWith(written))
    )
    .sort((a, b) => a.off - b.off)
  return best?.name
}

/** The end of a message about an unknown name: the nearest one, as `write` writes it, or nothing. */
export const didYouMean = (
  word: string,
  names: ReadonlyArray<string>,
  write: (name: string) => string = (name) => name
): string => {
  const meant = nearest(word, names)
  return meant === undefined ? "" : `; did you mean ${write(meant)}?`
}
