import * as fs from "node:fs"
import process from "node:process"

/** Sends a signal to every process of a group, if any is left. */
export const signalGroup = (group: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-group, signal)
  } catch {
    // The group has ended.
  }
}

const exists = (group: number): boolean => {
  try {
    process.kill(-group, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/**
 * Whether a process of the group may still be running. Zombies do not count: in a container without an init they are never
 * reaped.
 */
export const mayRun = (group: number): boolean => exists(group) && !isZombie(group)

const isZombie = (group: number): boolean => {
  const states = statesOf(group)
  return states.length > 0 && states.every((state) => state === "Z" || state === "X")
}

/** Process ids; empty outside of Linux, and while no descriptor is free. */
const processNumbers = (): ReadonlyArray<string> => {
  try {
    return fs.existsSync("/proc/self/stat") ? fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  } catch {
    return []
  }
}

/** States of the processes of a group; empty outside of Linux. */
const statesOf = (group: number): ReadonlyArray<string> =>
  processNumbers().flatMap((number) => {
    try {
      const stat = fs.readFileSync(`/proc/${number}/stat`, "utf8")
      const [state, , groupId] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return Number(groupId) === group ? [state!] : []
    } catch {
      return []
    }
  })

/** Monotonic time in milliseconds that is the same in all processes of a machine. */
export const machineMillis = (): number => Number(process.hrtime.bigint()) / 1e6
