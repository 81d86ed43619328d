/**
 * Starts loads: native where it can be built, otherwise written in Node.
 */
import { end, forkModule, output, perform } from "./children.ts"
import { percentile } from "./histogram.ts"
import type { Abuse, Echo, Flood, FloodResult } from "./load.ts"
import type { Measured } from "./meter.ts"
import { native } from "./native/programs.ts"

/** Latencies are in microseconds, CPU times in milliseconds. An absent figure is NaN. */
export interface EchoResult extends Measured {
  readonly cpu: number
  readonly loopCpu: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** The server, the clients and the requests of a job; what is not given is as below. */
export type EchoJob = Pick<Echo, "endpoint" | "pid" | "clients" | "window"> & Partial<Echo>

export interface Load {
  readonly echo: (job: EchoJob) => Promise<EchoResult>
  /** Ends the process, which would otherwise keep this one running. */
  readonly end: () => void
}

export interface Abuser {
  readonly flood: (job: Flood) => Promise<FloodResult>
  readonly abuse: (job: Abuse) => Promise<FloodResult>
}

const defaults = {
  bytes: 32,
  warmUpSeconds: 0.1,
  // Jobs are sent as JSON, which has no infinity.
  seconds: Number.MAX_SAFE_INTEGER,
  requests: Number.MAX_SAFE_INTEGER
}

/** Computes the percentiles of what has been measured. */
export const resultOf = (measured: Measured): EchoResult => ({
  ...measured,
  cpu: measured.cpu ?? NaN,
  loopCpu: measured.loopCpu ?? NaN,
  p50: percentile(measured.latencies, 0.5),
  p99: percentile(measured.latencies, 0.99),
  p999: percentile(measured.latencies, 0.999)
})

/** The load written in C: a process for each job. */
export const startNativeLoad = (program: string): Load => ({
  echo: async (job) => {
    const { bytes, clients, endpoint, keys, pid, requests, seconds, warmUpSeconds, window } = { ...defaults, ...job }
    const printed = await output(program, [
      endpoint,
      ...[pid, clients, window, bytes, warmUpSeconds, seconds, requests].map(String),
      ...(keys === undefined ? [] : [keys.curvePublicKey, keys.curveSecretKey, keys.curveServerKey])
    ])
    return resultOf(JSON.parse(printed))
  },
  end: () => {}
})

/** The load written in Node: one process. */
export const startNodeLoad = (): Load => {
  const child = forkModule("load.ts", [], "the load")
  return {
    echo: async (job) => resultOf(await perform(child, { kind: "echo", ...defaults, ...job })),
    end: () => end(child, "SIGTERM")
  }
}

/** Starts the load. */
export const startLoad = (): Load => {
  const { programs } = native()
  return programs === undefined ? startNodeLoad() : startNativeLoad(programs.load)
}

/** Starts a client that does not read its replies. */
export const startAbuser = (): Abuser => {
  const child = forkModule("load.ts", [], "the abuser")
  return {
    flood: (job) => perform(child, { kind: "flood", ...job }),
    abuse: (job) => perform(child, { kind: "abuse", ...job })
  }
}
