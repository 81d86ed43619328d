/** The report of a simulated run, of whole servers or of cores. */
import type { Violation } from "./History.ts"

/**
 * The faults of a run.
 *
 * - `bounded`: processes are killed, stopped, paused and restarted; messages take half a heartbeat at most, in order.
 * - `wild`: besides, the link is cut, one way or both, and messages are lost, doubled, reordered, and delayed by heartbeats.
 *
 * @category models
 */
export type Regime = "bounded" | "wild"

/**
 * The result of a run.
 *
 * @category models
 */
export interface Report {
  readonly seed: number
  readonly regime: Regime
  readonly violations: ReadonlyArray<Violation>
  readonly answers: number
  readonly takeOvers: number
  readonly faults: number
  /** How often two servers answered where that is unavoidable, and for how many milliseconds after the network was whole. */
  readonly dual: { readonly count: number; readonly afterWholeMillis: number }
  readonly fingerprint: number
  readonly lines: ReadonlyArray<string>
}
