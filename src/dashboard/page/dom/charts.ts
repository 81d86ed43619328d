/**
 * The charts of requests per second and of latency.
 */
import type { Label, Mark, Series } from "../chart.ts"
import { bottom, chartOf } from "../chart.ts"
import { latency, rate } from "../format.ts"
import type { Entry } from "../timeline.ts"
import type { Sample } from "../traffic.ts"
import { windowSeconds } from "../traffic.ts"
import { byId, draw, find, make, setText } from "./elements.ts"

const series: { readonly [id: string]: Series } = {
  rates: { title: "Requests per second", keys: ["primary", "backup"], least: 10, write: rate },
  latency: { title: "Latency of the active server", keys: ["p50", "p99"], least: 1, write: latency }
}

export const show = (samples: ReadonlyArray<Sample>, entries: ReadonlyArray<Entry>): void => {
  const marks = entries.flatMap(({ at, role, to }) => to === "ACTIVE" ? [{ at: Date.parse(at) / 1000, role }] : [])
  for (const [id, one] of Object.entries(series)) {
    showChart(byId(id), one, samples, marks)
  }
}

/** A label is to the left of its mark in the right half of the plot. */
const labelOf = ({ role, row, text, x }: Label): HTMLElement => {
  const node = make("span", role === undefined ? "peak" : `of-${role}`, text)
  const isRight = x > windowSeconds / 2
  node.style[isRight ? "right" : "left"] = `${((isRight ? windowSeconds - x : x) / windowSeconds * 100).toFixed(2)}%`
  node.style.bottom = `${row * 16}px`
  return node
}

const showChart = (
  figure: HTMLElement,
  series: Series,
  samples: ReadonlyArray<Sample>,
  marks: ReadonlyArray<Mark>
): void => {
  const chart = chartOf(series, samples, marks)
  const plot = find(figure, "svg")
  plot.replaceChildren(
    ...chart.rules.map((y) => draw("line", { x1: 0, x2: windowSeconds, y1: y, y2: y, class: "rule" })),
    ...chart.marks.map(({ role, x }) => draw("line", { x1: x, x2: x, y1: 0, y2: bottom, class: `event of-${role}` })),
    ...chart.lines.map(({ key, path }) => draw("path", { d: path, class: `line of-${key}` }))
  )
  plot.setAttribute("aria-label", chart.label)
  find(figure, ".labels").replaceChildren(...chart.labels.map(labelOf))
  setText(find(figure, ".top"), chart.top)
  setText(find(figure, ".half"), chart.half)
  const legend = find(figure, ".legend")
  chart.lines.forEach(({ key, value }, i) => {
    const item = legend.children[i] ??
      legend.appendChild(make("li", "", make("i", `key of-${key}`), `${key} `, make("b", "")))
    setText(find(item, "b"), value)
  })
}
