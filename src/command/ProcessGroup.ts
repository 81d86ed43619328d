import * as fs from "node:fs"
import process from "node:process"

/** Sends a signal to every process of a group, if there is one left. */
export const signalGroup = (group: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-group, signal)
  } catch {
    // It has gone by itself.
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
 * Whether any process of a group may still run. A dead one stays in the system's table until its parent
 * asks for it, which in a container without an init is never.
 */
export const mayRun = (group: number): boolean => exists(group) && !isOfTheDead(group)

const isOfTheDead = (group: number): boolean => {
  const states = statesOf(group)
  return states.length > 0 && states.every((state) => state === "Z" || state === "X")
}

/** Empty where it cannot be read: elsewhere than on Linux, or while descriptors are used up. */
const processNumbers = (): ReadonlyArray<string> => {
  try {
    return fs.existsSync("/proc/self/stat") ? fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : []
  } catch {
    return []
  }
}

/** What Linux tells of the processes of a group; nothing elsewhere. */
const statesOf = (group: number): ReadonlyArray<string> =>
  processNumbers().flatMap((number) => {
    try {
      const stat = fs.readFileSync(`/proc/${number}/stat`, "utf8")
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return Number(itsGroup) === group ? [state!] : []
    } catch {
      return []
    }
  })

/** Time in milliseconds that is the same in all processes of a machine. */
export const machineMillis = (): number => Number(process.hrtime.bigint()) / 1e6
