const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const

/** A duration in the largest unit that it holds twice, such as `90 s`. */
export const span = (millis: number): string => {
  const [unit, size] = units.find(([, size]) => millis >= 2 * size) ?? ["ms", 1]
  return `${Math.round(millis / size)} ${unit}`
}
