/**
 * How much the processes of a campaign had to wait for a processor, on Linux.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import * as fs from "node:fs"
import type { Span } from "./availability.ts"

/** The share of a time that the process which waited most had to wait for a processor. */
export interface Sample extends Span {
  readonly share: number
}

export interface Load {
  /** The samples since the last call. */
  readonly take: () => ReadonlyArray<Sample>
}

const sampleMillis = 100

/** The time in milliseconds for which the main thread of a process has been ready to run and has not run. */
const waited = (pid: number): number | undefined => {
  try {
    return Number(fs.readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6
  } catch {
    return undefined
  }
}

export const makeLoad = (pids: () => ReadonlyArray<number>): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.gen(function*() {
    let samples: Array<Sample> = []
    let before = new Map<number, number>()
    let last = performance.now()
    const sample = () => {
      const now = performance.now()
      const after = new Map(pids().map((pid) => [pid, waited(pid) ?? 0]))
      const shares = [...after].map(([pid, millis]) => (millis - (before.get(pid) ?? millis)) / (now - last))
      samples.push({ from: last, to: now, share: Math.max(0, ...shares) })
      before = after
      last = now
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => setInterval(sample, sampleMillis)),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
    return {
      take: () => {
        const taken = samples
        samples = []
        return taken
      }
    }
  })

/** The share of a time that processes had to wait: the mean of all samples that touch it. */
export const shareOf = (samples: ReadonlyArray<Sample>, { from, to }: Span): number => {
  const touching = samples.filter((sample) => sample.to > from && sample.from < to)
  const total = touching.reduce((sum, sample) => sum + sample.to - sample.from, 0)
  return touching.reduce((sum, sample) => sum + sample.share * (sample.to - sample.from), 0) / (total || 1)
}
