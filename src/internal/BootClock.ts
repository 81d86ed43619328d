/**
 * The clock that goes on while the machine is suspended, compared with the monotonic one, which stands still.
 *
 * A virtual machine that its host pauses may stop both: then nothing within it shows the pause.
 */
import * as Context from "effect/Context"
import * as fs from "node:fs"

/** Milliseconds since the system was booted, in steps of ten; `undefined` where it does not tell, as outside of Linux. */
const readBoot = (): number | undefined => {
  try {
    const seconds = Number.parseFloat(fs.readFileSync("/proc/uptime", "latin1"))
    return Number.isFinite(seconds) ? seconds * 1000 : undefined
  } catch {
    return undefined
  }
}

/**
 * Readers of both clocks, in milliseconds.
 *
 * @category tags
 */
export class BootClock extends Context.Reference<BootClock>()("effect-binary-star/BootClock", {
  defaultValue: () => ({
    boot: readBoot,
    monotonic: (): number => performance.now()
  })
}) {}

/** Smaller differences are steps of the boot clock, and the time between the readings. */
const toleranceMillis = 100

/** Returns a function for how long the machine was suspended since its last call, in milliseconds; 0 if it was not. */
export const makeSuspension = ({ boot, monotonic }: BootClock["Type"]): () => number => {
  let before: number | undefined
  return () => {
    const earliest = monotonic()
    const at = boot()
    const latest = monotonic()
    // A process that was stopped between the readings shows nothing.
    if (at === undefined || latest - earliest > toleranceMillis) {
      return 0
    }
    const ahead = at - latest
    const grown = before === undefined ? 0 : ahead - before
    if (before === undefined || grown > toleranceMillis) {
      before = ahead
    }
    return grown > toleranceMillis ? grown : 0
  }
}
