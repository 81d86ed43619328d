/**
 * Numbers, durations and times as text.
 */
const numbers = new Intl.NumberFormat("en")
export const count = (n: number): string => numbers.format(n)

const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const
export const preciseClockTime = new Intl.DateTimeFormat(undefined, { ...clock, fractionalSecondDigits: 3 })
export const clockTime = new Intl.DateTimeFormat(undefined, clock)
export const calendarDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })

const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const

/** A duration in two units at most. */
export const span = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const first = units.findIndex(([, size]) => seconds >= size)
  if (first < 0) {
    return `${Math.max(0, Math.round(millis))} ms`
  }
  const parts = units.slice(first, first + 2).map(([unit, size], i) => {
    const larger = units[first + i - 1]
    const rest = i === 0 || larger === undefined ? seconds : seconds % larger[1]
    return [Math.floor(rest / size), unit] as const
  })
  return parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ")
}

const none = "–"

/** Three significant digits of a latency. */
export const latency = (millis: number | null): string => {
  if (millis === null) {
    return none
  }
  if (millis >= 1000) {
    return `${(millis / 1000).toFixed(2)} s`
  }
  const digits = [100, 10].filter((limit) => millis < limit).length
  return `${millis.toFixed(digits)} ms`
}

/** A setting: exact where it is short. */
export const setting = (millis: number | null): string => {
  if (millis === null) {
    return "none"
  }
  return millis < 10_000 ? `${count(millis)} ms` : span(millis)
}

export const rate = (perSecond: number | null): string =>
  perSecond === null ? none : `${count(Math.round(perSecond))}/s`
