/**
 * The program that owns the command of {@link ActiveCommand}: it starts the command, and ends its whole process group on
 * order, when it has lost the process that gives the orders, and when its lease has run out.
 *
 * It must go on when that process stands still or is killed, so it is a process of its own. It knows nothing but Node, so
 * that it starts quickly.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import { machineMillis, mayRun, signalGroup } from "./ProcessGroup.ts"
import type { Address } from "./refusal.ts"
import { probe } from "./refusal.ts"

/**
 * Where the peer would listen, while nothing is received from it. A refused connection renews the lease by so much.
 */
export interface Absence {
  readonly address: Address
  readonly leaseMillis: number
}

export type Order =
  | {
    readonly _tag: "Start"
    readonly command: string
    readonly args: ReadonlyArray<string>
    readonly env: { readonly [name: string]: string }
    readonly graceMillis: number
    readonly until: number
    readonly absence?: Absence | undefined
  }
  /** The command may run until then, in `machineMillis`: a guardian that stood still finds that it is too late. */
  | { readonly _tag: "Renew"; readonly until: number; readonly absence?: Absence | undefined }
  | { readonly _tag: "Stop" }

export type Report =
  | { readonly _tag: "Started"; readonly pid: number }
  | { readonly _tag: "NotStarted"; readonly code: string | undefined; readonly message: string }
  /** Nothing of its process group is left. Whether it was killed, or not even started, because its lease had run out. */
  | { readonly _tag: "Ended"; readonly code: number | null; readonly signal: string | null; readonly lapsed: boolean }

interface Command {
  readonly pid: number
  readonly graceMillis: number
  hasExited: boolean
  isKilled: boolean
  lapsed: boolean
  killTimer: NodeJS.Timeout | undefined
}

/** How soon, in milliseconds, it is looked whether a process group is gone, and how seldom in the end. */
const lookMillis = { first: 2, last: 50 }

/** The last sixth of a lease, a quarter of a heartbeat, is left for a probe; one that begins late has half of that. */
const probeShare = 6

let command: Command | undefined
let until = Number.NEGATIVE_INFINITY
let leaseTimer: NodeJS.Timeout | undefined
let absence: Absence | undefined
let isProbing = false

const report = (report: Report) => {
  // Nobody may be there any more, which is told by the end of the channel.
  process.send?.(report, () => {})
}

const kill = (command: Command) => {
  command.isKilled = true
  signalGroup(command.pid, "SIGKILL")
}

/** Asks the whole group to end, and makes it when it has had its time. */
const stop = (command: Command) => {
  if (command.killTimer === undefined) {
    command.killTimer = setTimeout(() => kill(command), command.graceMillis)
    signalGroup(command.pid, "SIGTERM")
    signalGroup(command.pid, "SIGCONT")
  }
}

const checkLease = () => {
  if (command === undefined || command.isKilled || isProbing) {
    return
  }
  clearTimeout(leaseTimer)
  const left = until - machineMillis()
  const probeMillis = absence === undefined ? 0 : absence.leaseMillis / probeShare
  if (left > probeMillis) {
    leaseTimer = setTimeout(checkLease, Math.ceil(left - probeMillis))
  } else if (absence !== undefined) {
    probePeer(absence, Math.max(left, probeMillis / 2))
  } else {
    command.lapsed = !command.hasExited
    kill(command)
  }
}

/** Renews the lease from before the connection was tried, if it is refused: no peer ran at that time. */
const probePeer = ({ address, leaseMillis }: Absence, timeoutMillis: number) => {
  const at = machineMillis()
  isProbing = true
  probe(address, timeoutMillis, (isRefused) => {
    isProbing = false
    if (isRefused) {
      until = Math.max(until, at + leaseMillis)
    } else {
      absence = undefined
    }
    checkLease()
  })
}

const renew = (order: Extract<Order, { readonly _tag: "Start" | "Renew" }>) => {
  until = Math.max(until, order.until)
  absence = order.absence
}

const start = (order: Extract<Order, { readonly _tag: "Start" }>) => {
  renew(order)
  if (until <= machineMillis()) {
    return report({ _tag: "Ended", code: null, signal: null, lapsed: true })
  }
  let child
  try {
    child = spawn(order.command, order.args, {
      detached: true,
      env: { ...process.env, ...order.env },
      stdio: ["ignore", "inherit", "inherit"]
    })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return report({ _tag: "NotStarted", code, message })
  }
  child.on(
    "error",
    ({ code, message }: NodeJS.ErrnoException) => report({ _tag: "NotStarted", code, message })
  )
  if (child.pid === undefined) {
    return
  }
  const started: Command = {
    pid: child.pid,
    graceMillis: order.graceMillis,
    hasExited: false,
    isKilled: false,
    lapsed: false,
    killTimer: undefined
  }
  command = started
  report({ _tag: "Started", pid: child.pid })
  checkLease()
  child.on("exit", (code, signal) => {
    started.hasExited = true
    // What the command leaves behind ends with it.
    stop(started)
    const untilGone = (wait: number) => {
      if (mayRun(started.pid)) {
        setTimeout(() => untilGone(Math.min(2 * wait, lookMillis.last)), wait)
        return
      }
      clearTimeout(started.killTimer)
      command = undefined
      report({ _tag: "Ended", code, signal, lapsed: started.lapsed })
    }
    untilGone(lookMillis.first)
  })
}

process.on("message", (order: Order) => {
  // First, since this process may have stood still itself, with the renewal waiting.
  checkLease()
  switch (order._tag) {
    case "Start":
      start(order)
      break
    case "Renew":
      renew(order)
      break
    case "Stop":
      if (command !== undefined) {
        stop(command)
      }
      break
  }
})

// A supervisor may send its signals to all processes of a service. This one ends when the channel does, and not before.
const ignored = [
  "SIGINT",
  "SIGTERM",
  "SIGQUIT",
  "SIGHUP",
  "SIGALRM",
  "SIGXCPU",
  "SIGPWR",
  "SIGUSR1",
  "SIGUSR2"
] as const
for (const signal of ignored) {
  process.on(signal, () => {})
}

process.on("disconnect", () => process.exit(0))

process.on("exit", () => {
  if (command !== undefined) {
    kill(command)
  }
})
