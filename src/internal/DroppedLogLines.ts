import * as Metric from "effect/Metric"

/** Number of log lines that could not be written, because the output was closed or full. */
export const droppedLogLines = Metric.counter("bstar_dropped_log_lines_total", {
  description: "Log lines that could not be written.",
  incremental: true
})
