/**
 * The program that owns the command of {@link ActiveCommand}: it starts the command, and ends its whole process group on
 * order, when it has lost the process that gives the orders, and when its lease has run out.
 *
 * It must go on when that process stands still or is killed, so it is a process of its own. It knows nothing but Node, so
 * that it starts quickly.
 *
 * @internal
 */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import * as fs from "node:fs"

/** @internal */
export type Order =
  | {
    readonly _tag: "Start"
    readonly command: string
    readonly args: ReadonlyArray<string>
    readonly env: { readonly [name: string]: string }
    readonly graceMillis: number
    readonly leaseMillis: number
  }
  /** The command may run for so long from now on. */
  | { readonly _tag: "Renew"; readonly leaseMillis: number }
  | { readonly _tag: "Stop" }

/** @internal */
export type Report =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Started"; readonly pid: number }
  | { readonly _tag: "NotStarted"; readonly code: string | undefined; readonly message: string }
  /** Nothing of its process group is left. */
  | { readonly _tag: "Ended"; readonly code: number | null; readonly signal: string | null; readonly lapsed: boolean }

/** How often, in milliseconds, it is looked whether a process group is gone. */
const lookMillis = 5

/** How long, in milliseconds, processes may take to vanish that were killed. */
const vanishMillis = 2000

let graceMillis = 0
let child: ChildProcess | undefined
let deadline = 0
let lapsed = false
let killAt = Number.POSITIVE_INFINITY
let leaseTimer: NodeJS.Timeout | undefined

const report = (report: Report) => {
  if (process.connected) {
    process.send!(report)
  }
}

const signal = (name: NodeJS.Signals) => {
  try {
    process.kill(-child!.pid!, name)
  } catch {
    // It has gone by itself.
  }
}

/** Whether any process of a group is left that is more than a name in a table: nobody may be there to remove that. */
const isAlive = (group: number): boolean => {
  try {
    process.kill(-group, 0)
  } catch {
    return false
  }
  try {
    return fs.readdirSync("/proc").some((name) => {
      if (!/^\d+$/.test(name)) {
        return false
      }
      try {
        const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8")
        const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        return Number(processGroup) === group && state !== "Z"
      } catch {
        return false
      }
    })
  } catch {
    return true
  }
}

/** Asks the whole group to end, and makes it when it has had its time. */
const stop = () => {
  if (child !== undefined && killAt === Number.POSITIVE_INFINITY) {
    killAt = performance.now() + graceMillis
    signal("SIGTERM")
    setTimeout(kill, graceMillis)
  }
}

const kill = () => {
  if (child !== undefined) {
    killAt = Math.min(killAt, performance.now())
    signal("SIGKILL")
  }
}

const isLapsed = () => performance.now() >= deadline

const checkLease = () => {
  clearTimeout(leaseTimer)
  if (child === undefined) {
    return
  }
  if (isLapsed()) {
    lapsed = true
    kill()
    return
  }
  leaseTimer = setTimeout(checkLease, Math.ceil(deadline - performance.now()))
}

const start = (order: Extract<Order, { readonly _tag: "Start" }>) => {
  const started = spawn(order.command, order.args, {
    detached: true,
    env: { ...process.env, ...order.env },
    stdio: ["ignore", "inherit", "inherit"]
  })
  child = started
  graceMillis = order.graceMillis
  deadline = performance.now() + order.leaseMillis
  killAt = Number.POSITIVE_INFINITY
  lapsed = false
  started.on("error", (error: NodeJS.ErrnoException) => {
    if (started.pid === undefined) {
      child = undefined
      report({ _tag: "NotStarted", code: error.code, message: error.message })
    }
  })
  started.on("exit", (code, signal) => {
    // What the command leaves behind ends with it.
    stop()
    const untilGone = () => {
      if (isAlive(started.pid!) && performance.now() < killAt + vanishMillis) {
        setTimeout(untilGone, lookMillis)
        return
      }
      child = undefined
      report({ _tag: "Ended", code, signal, lapsed })
    }
    untilGone()
  })
  if (started.pid !== undefined) {
    report({ _tag: "Started", pid: started.pid })
    checkLease()
  }
}

process.on("message", (order: Order) => {
  switch (order._tag) {
    case "Start":
      start(order)
      break
    case "Renew":
      // A lease that has run out stays so: this process may have stood still, and the renewal may have waited.
      if (!isLapsed()) {
        deadline = performance.now() + order.leaseMillis
      }
      checkLease()
      break
    case "Stop":
      stop()
      break
  }
})

process.on("disconnect", () => {
  kill()
  process.exit(0)
})

report({ _tag: "Ready" })
