/**
 * Runs the program until it ends or a signal stops it.
 *
 * `NodeRuntime.runMain` takes only SIGINT and SIGTERM, and leaves the rest to Node: SIGHUP kills, SIGUSR1 opens the debugger.
 */
import { makeRunMain } from "@effect/platform/Runtime"
import { constVoid } from "effect/Function"
import * as os from "node:os"
import process from "node:process"

/** Signals for an orderly stop; a second one ends the process at once. */
const stops = ["SIGINT", "SIGTERM", "SIGQUIT"] as const

/**
 * Signals for an orderly stop that change nothing when they are repeated: a terminal that closes sends SIGHUP twice, systemd may
 * send it right after SIGTERM, and a CPU limit sends SIGXCPU every second.
 */
const notices = ["SIGHUP", "SIGALRM", "SIGXCPU", "SIGPWR"] as const

/** Signals that some tools send to have log files reopened. */
const ignored = ["SIGUSR1", "SIGUSR2"] as const

const longest = 2 ** 31 - 1

export const runMain = makeRunMain(({ fiber, teardown }) => {
  const keepAlive = setInterval(constVoid, longest)
  let isStopping = false

  const restoreDefaults = () => stops.forEach((signal) => process.removeListener(signal, stop))

  const stop = () => {
    if (!isStopping) {
      isStopping = true
      restoreDefaults()
      if (process.pid === 1) {
        stops.forEach((signal) => process.on(signal, endNow))
      }
      fiber.unsafeInterruptAsFork(fiber.id())
    }
  }

  stops.forEach((signal) => process.on(signal, stop))
  notices.forEach((signal) => process.on(signal, stop))
  ignored.forEach((signal) => process.on(signal, constVoid))

  fiber.addObserver((exit) => {
    if (!isStopping) {
      restoreDefaults()
    }
    clearInterval(keepAlive)
    teardown(exit, (code) => {
      if (isStopping || code !== 0) {
        process.exit(code)
      }
    })
  })
})

/** The kernel drops signals that process 1 does not handle, so they have no default action. */
const endNow = (signal: NodeJS.Signals) => process.exit(128 + os.constants.signals[signal])
