/**
 * Program of the guardian: it starts a command, and ends its whole process group when requested, when the process that controls
 * it has died, and when the lease has expired.
 *
 * It has to work while the controlling process stalls or is killed, so it is a process of its own. It imports only Node, so that
 * it starts quickly.
 */
import { spawn } from "node:child_process"
import process from "node:process"
import type { Address } from "../internal/RefusalProbe.ts"
import { probe as probeAddress } from "../internal/RefusalProbe.ts"
import { machineMillis, mayRun, signalGroup } from "./ProcessGroup.ts"

/** Address of the peer's state port, while no heartbeat is received. A refused connection renews the lease by `leaseMillis`. */
export interface Probe {
  readonly address: Address
  readonly leaseMillis: number
}

/** Message to the guardian. `until` is in `machineMillis`, so that a guardian that stalled detects an expired lease. */
export type GuardianRequest =
  | {
    readonly _tag: "Start"
    readonly command: string
    readonly args: ReadonlyArray<string>
    readonly env: { readonly [name: string]: string }
    readonly graceMillis: number
    readonly until: number
    readonly probe?: Probe | undefined
  }
  | { readonly _tag: "Renew"; readonly until: number; readonly probe?: Probe | undefined }
  | { readonly _tag: "Stop" }

/** Message of the guardian. `Ended`: no process of the group is left; with `lapsed`, the lease expired, possibly before the start. */
export type GuardianEvent =
  | { readonly _tag: "Started"; readonly pid: number }
  | { readonly _tag: "NotStarted"; readonly code: string | undefined; readonly message: string }
  | { readonly _tag: "Ended"; readonly code: number | null; readonly signal: string | null; readonly lapsed: boolean }

interface Command {
  readonly pid: number
  readonly graceMillis: number
  hasExited: boolean
  isKilled: boolean
  lapsed: boolean
  killTimer: NodeJS.Timeout | undefined
}

/** Interval of the checks whether a process group has ended, in milliseconds: doubled from the first to the last. */
const pollMillis = { first: 2, last: 50 }

/** The last sixth of a lease, a quarter of a heartbeat, is reserved for a probe; a late probe has half of that. */
const probeShare = 6

let command: Command | undefined
let until = Number.NEGATIVE_INFINITY
let leaseTimer: NodeJS.Timeout | undefined
let probe: Probe | undefined
let isProbing = false

const send = (event: GuardianEvent) => {
  // The end of the controlling process is detected by `disconnect`.
  process.send?.(event, () => {})
}

const kill = (command: Command) => {
  command.isKilled = true
  signalGroup(command.pid, "SIGKILL")
}

/** Sends SIGTERM to the group, and SIGKILL after the grace. */
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
  const probeMillis = probe === undefined ? 0 : probe.leaseMillis / probeShare
  if (left > probeMillis) {
    leaseTimer = setTimeout(checkLease, Math.ceil(left - probeMillis))
  } else if (probe !== undefined) {
    probePeer(probe, Math.max(left, probeMillis / 2))
  } else {
    command.lapsed = !command.hasExited
    kill(command)
  }
}

/** Renews the lease, counted from the start of the probe, if the connection is refused: no peer ran then. */
const probePeer = ({ address, leaseMillis }: Probe, timeoutMillis: number) => {
  const at = machineMillis()
  isProbing = true
  probeAddress(address, timeoutMillis, (isRefused) => {
    isProbing = false
    if (isRefused) {
      until = Math.max(until, at + leaseMillis)
    } else {
      probe = undefined
    }
    checkLease()
  })
}

const renew = (request: Extract<GuardianRequest, { readonly _tag: "Start" | "Renew" }>) => {
  until = Math.max(until, request.until)
  probe = request.probe
}

const start = (request: Extract<GuardianRequest, { readonly _tag: "Start" }>) => {
  renew(request)
  if (until <= machineMillis()) {
    return send({ _tag: "Ended", code: null, signal: null, lapsed: true })
  }
  let child
  try {
    child = spawn(request.command, request.args, {
      detached: true,
      env: { ...process.env, ...request.env },
      stdio: ["ignore", "inherit", "inherit"]
    })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return send({ _tag: "NotStarted", code, message })
  }
  child.on(
    "error",
    ({ code, message }: NodeJS.ErrnoException) => send({ _tag: "NotStarted", code, message })
  )
  if (child.pid === undefined) {
    return
  }
  const started: Command = {
    pid: child.pid,
    graceMillis: request.graceMillis,
    hasExited: false,
    isKilled: false,
    lapsed: false,
    killTimer: undefined
  }
  command = started
  send({ _tag: "Started", pid: child.pid })
  checkLease()
  child.on("exit", (code, signal) => {
    started.hasExited = true
    // Processes that the command leaves behind end with it.
    stop(started)
    onGroupEnd(started.pid, () => {
      clearTimeout(started.killTimer)
      command = undefined
      send({ _tag: "Ended", code, signal, lapsed: started.lapsed })
    })
  })
}

const onGroupEnd = (pid: number, onEnd: () => void, waitMillis = pollMillis.first) => {
  if (mayRun(pid)) {
    setTimeout(() => onGroupEnd(pid, onEnd, Math.min(2 * waitMillis, pollMillis.last)), waitMillis)
  } else {
    onEnd()
  }
}

process.on("message", (request: GuardianRequest) => {
  // First, because this process may have stalled itself, with the renewal pending.
  checkLease()
  switch (request._tag) {
    case "Start":
      start(request)
      break
    case "Renew":
      renew(request)
      break
    case "Stop":
      if (command !== undefined) {
        stop(command)
      }
      break
  }
})

// A supervisor may signal all processes of a service. This one ends with its channel, and not before.
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
