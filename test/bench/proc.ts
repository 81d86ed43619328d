/**
 * Figures of a running process on Linux. On other systems each is NaN, which is printed as "n/a".
 */
import { readdirSync, readFileSync } from "node:fs"

/** The unit of times in /proc: USER_HZ is 100 on every Linux that runs Node. */
const tickMillis = 10

const read = <A>(path: string, parse: (text: string) => A): A | undefined =>
  process.platform === "linux" ? parse(readFileSync(path, "utf8")) : undefined

// The name of the program is in parentheses and may contain blanks; utime and stime are fields 14 and 15.
const parseCpu = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * tickMillis
}

/** CPU time of a process in milliseconds: all threads, and the thread of the event loop. */
export const cpu = (pid: number): { readonly all: number; readonly loop: number } => ({
  all: read(`/proc/${pid}/stat`, parseCpu) ?? NaN,
  loop: read(`/proc/${pid}/task/${pid}/stat`, parseCpu) ?? NaN
})

/** The number of open file descriptors of a process. */
export const openFiles = (pid: number): number =>
  process.platform === "linux" ? readdirSync(`/proc/${pid}/fd`).length : NaN

/** Resident memory of a process in MiB. */
export const residentMebibytes = (pid: number): number =>
  read(`/proc/${pid}/status`, (status) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024) ?? NaN
