/** The text format of Prometheus, version 0.0.4, of Effect's metrics. */
import type * as MetricKey from "effect/MetricKey"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** One line: the suffix of a name, labels, and a value. */
type Sample = readonly [suffix: string, labels: ReadonlyArray<readonly [string, string]>, value: number | bigint]

interface Family {
  readonly help: string
  readonly type: string
  /** By their labels: a name and labels must be unique. */
  readonly lines: Map<string, ReadonlyArray<Sample>>
}

const nameOf = (name: string): string => name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])|^$/, "_")

const labelOf = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9])|^$/, "_")

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replaceAll("\"", "\\\"")

const numberOf = (value: number | bigint): string => String(value).replace("Infinity", "Inf").replace(/^(?=Inf)/, "+")

/** To Prometheus, a counter that may decrease is a gauge. */
const typeOf = ({ keyType }: MetricKey.MetricKey.Untyped): string => {
  if (MetricKeyType.isHistogramKey(keyType)) {
    return "histogram"
  }
  if (MetricKeyType.isSummaryKey(keyType)) {
    return "summary"
  }
  const isIncremental = MetricKeyType.isCounterKey(keyType) &&
    (keyType as { readonly incremental?: boolean }).incremental === true
  return isIncremental || MetricKeyType.isFrequencyKey(keyType) ? "counter" : "gauge"
}

const samplesOf = (state: MetricState.MetricState.Untyped): ReadonlyArray<Sample> => {
  if (MetricState.isHistogramState(state)) {
    return [
      // The last bound of Effect may be infinity.
      ...[...state.buckets].filter(([bound]) => Number.isFinite(bound)).map(([bound, count]): Sample => [
        "_bucket",
        [["le", numberOf(bound)]],
        count
      ]),
      ["_bucket", [["le", "+Inf"]], state.count],
      ["_sum", [], state.sum],
      ["_count", [], state.count]
    ]
  }
  if (MetricState.isSummaryState(state)) {
    return [
      ...state.quantiles.map(([quantile, value]): Sample => [
        "",
        [["quantile", numberOf(quantile)]],
        Option.getOrElse(value, () => Number.NaN)
      ]),
      ["_sum", [], state.sum],
      ["_count", [], state.count]
    ]
  }
  if (MetricState.isFrequencyState(state)) {
    return [...state.occurrences].map(([key, count]): Sample => ["", [["key", key]], count])
  }
  if (MetricState.isCounterState(state)) {
    return [["", [], state.count]]
  }
  return MetricState.isGaugeState(state) ? [["", [], state.value]] : []
}

const labelsText = (labels: ReadonlyArray<readonly [string, string]>): string =>
  labels.length === 0
    ? ""
    : `{${[...new Map(labels)].map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",")}}`

/** All metrics. Of two with the same name and labels, or another type, the first is rendered. */
export const render = (metrics: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  for (const { metricKey, metricState } of metrics) {
    const type = typeOf(metricKey)
    const base = nameOf(metricKey.name)
    const name = type === "counter" && !base.endsWith("_total") ? `${base}_total` : base
    const family = families.get(name) ??
      { help: Option.getOrElse(metricKey.description, () => metricKey.name), type, lines: new Map() }
    families.set(name, family)
    const labels = metricKey.tags.map(({ key, value }) => [labelOf(key), value] as const).sort(([a], [b]) =>
      a < b ? -1 : 1
    )
    const own = labelsText(labels)
    if (family.type === type && !family.lines.has(own)) {
      family.lines.set(
        own,
        samplesOf(metricState).map(([suffix, more, value]): Sample => [suffix, [...labels, ...more], value])
      )
    }
  }
  return [...families].flatMap(([name, { help, lines, type }]) => [
    `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`,
    ...[...lines.values()].flat().map(([suffix, labels, value]) =>
      `${name}${suffix}${labelsText(labels)} ${numberOf(value)}\n`
    )
  ]).join("")
}
