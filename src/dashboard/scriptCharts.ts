/**
 * Requests per second and latency of the last minutes.
 */
export const charts = String.raw`
const windowSeconds = 180
/** Longer than this between two samples is a gap, in seconds. */
const gapSeconds = 3.5

/** @type {Array<any>} what was measured, the latest last; times in seconds of the clock of this server */
let samples = []
const before = { primary: null, backup: null }
const rates = { primary: null, backup: null }
const unknownLatency = { p50: null, p99: null }
const latencies = { primary: unknownLatency, backup: unknownLatency }

/** Below which value this part of the counted lies, by a straight line within its bucket. */
const quantile = (bounds, counts, part) => {
  let left = part * counts.reduce((sum, n) => sum + n, 0)
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] > 0 && left <= counts[i]) {
      const lower = i === 0 ? 0 : bounds[i - 1]
      return i === bounds.length ? lower : lower + (bounds[i] - lower) * left / counts[i]
    }
    left -= counts[i]
  }
  return null
}

/** Requests per second and latency since the last look. Looks that follow too closely, after a transition, do not count. */
const measure = (role, status) => {
  const last = before[role]
  if (!status) {
    before[role] = null
    rates[role] = null
    latencies[role] = unknownLatency
    return
  }
  const { latency: { buckets }, pid, uptimeMillis: uptime } = status
  const now = { pid, uptime, accepted: status.counters.accepted, counts: buckets ? buckets.counts : [] }
  const millis = last === null ? 0 : uptime - last.uptime
  if (last === null || last.pid !== pid || millis < 0) {
    before[role] = now
    rates[role] = null
    latencies[role] = unknownLatency
  } else if (millis >= 500) {
    before[role] = now
    rates[role] = (now.accepted - last.accepted) * 1000 / millis
    const counts = now.counts.map((n, i) => n - last.counts[i])
    latencies[role] = buckets
      ? { p50: quantile(buckets.boundsMillis, counts, 0.5), p99: quantile(buckets.boundsMillis, counts, 0.99) }
      : unknownLatency
  }
}

const addSample = (at, nodes) => {
  for (const role of roles) {
    measure(role, nodes[role].status)
  }
  const answering = roles.find((role) => nodes[role].answers && nodes[role].status)
  const latency = answering ? latencies[answering] : unknownLatency
  const sample = { at, primary: rates.primary, backup: rates.backup, ...latency }
  samples = samples.filter((s) => s.at < at && s.at > at - windowSeconds - 2).concat(sample)
}

const niceMax = (max) => {
  const scale = 10 ** Math.floor(Math.log10(Math.max(max, 1e-9)))
  return [1, 2, 2.5, 5, 10].map((n) => n * scale).find((n) => n >= max)
}

const bottom = 97
const lineOf = (key, now, max) => {
  let path = ""
  let last = null
  for (const sample of samples) {
    if (sample[key] !== null) {
      const x = (windowSeconds - (now - sample.at)).toFixed(2)
      const y = (bottom - sample[key] / max * (bottom - 6)).toFixed(2)
      path += (last !== null && sample.at - last < gapSeconds ? "L" : "M") + x + " " + y
    }
    last = sample[key] === null ? null : sample.at
  }
  return path
}

/** @param {any} series each with a key, a name and how to write a value */
const showChart = (id, series, least, write, marks) => {
  const now = samples[samples.length - 1].at
  const valuesOf = (key) => samples.flatMap((sample) => sample[key] === null ? [] : [sample[key]])
  const max = niceMax(Math.max(least, ...series.flatMap(({ key }) => valuesOf(key))))
  const figure = byId(id)
  const plot = figure.querySelector("svg")
  plot.replaceChildren(
    ...[bottom, (bottom + 6) / 2, 6].map((y) => draw("line", { x1: 0, x2: windowSeconds, y1: y, y2: y, class: "rule" })),
    ...marks.filter(({ at }) => at > now - windowSeconds).map(({ at, role }) => {
      const x = (windowSeconds - Math.max(0, now - at)).toFixed(2)
      return draw("line", { x1: x, x2: x, y1: 0, y2: bottom, class: "event of-" + role })
    }),
    ...series.map(({ key }) => draw("path", { d: lineOf(key, now, max), class: "line of-" + key }))
  )
  setText(figure.querySelector(".top"), write(max))
  setText(figure.querySelector(".half"), write(max / 2))
  const legend = figure.querySelector(".legend")
  if (legend.children.length === 0) {
    legend.append(...series.map(({ key, name }) =>
      make("li", "", make("i", "key of-" + key), name + " ", make("b", ""))
    ))
  }
  const latest = samples[samples.length - 1]
  series.forEach(({ key }, i) => setText(legend.children[i].querySelector("b"), write(latest[key])))
  plot.setAttribute(
    "aria-label",
    figure.querySelector("h3").textContent + " of the last 3 minutes. " + series.map(({ key, name }) => {
      const values = valuesOf(key)
      return values.length === 0
        ? name + ": none."
        : name + ": now " + write(latest[key]) + ", lowest " + write(Math.min(...values)) + ", highest " +
          write(Math.max(...values)) + "."
    }).join(" ")
  )
}

const rateSeries = roles.map((role) => ({ key: role, name: role }))
const latencySeries = [{ key: "p50", name: "p50" }, { key: "p99", name: "p99" }]

/** @param {any} marks when which server became active */
const showCharts = (marks) => {
  showChart("rates", rateSeries, 10, rate, marks)
  showChart("latency", latencySeries, 1, precise, marks)
}
`
