import * as Metric from "effect/Metric"

/** Log lines that this process could not write, because its output was closed, full or not read. */
export const droppedLogLines = Metric.counter("bstar_dropped_log_lines_total", {
  description: "Log lines that could not be written.",
  incremental: true
})
