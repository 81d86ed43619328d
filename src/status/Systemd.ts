/**
 * Notifications of systemd by the protocol of `sd_notify`, for units of `Type=notify`.
 *
 * Node has no Unix datagram sockets, and starting a process delays its event loop by 10 to 20 milliseconds. Therefore one
 * shell is started once, which runs `systemd-notify`, a part of systemd, for each message. The sender of a message is not the
 * main process of the service: the unit needs `NotifyAccess=all`.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import type * as net from "node:net"
import * as process from "node:process"
import { createInterface } from "node:readline"
import { withMonotonicTime } from "../internal/Clock.ts"
import { withStreams } from "../internal/Spawned.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Transition } from "../member/Report.ts"

/**
 * The settings that systemd passes to a service in its environment.
 *
 * @category models
 */
export interface Options {
  /** The socket of systemd, from `NOTIFY_SOCKET`: a path, or `@` and an abstract name. */
  readonly socket: string
  /** The watchdog timeout, from `WATCHDOG_USEC` (in microseconds). Default: none. */
  readonly watchdog?: Duration.DurationInput | undefined
}

/**
 * Reads messages, one a line, and answers each with the exit code and the output of `systemd-notify`. It ignores the signals
 * that stop the service, and ends with its input.
 */
const script = `set -f; trap "" HUP INT TERM
while IFS= read -r line; do output=$(systemd-notify "$line" 2>&1 </dev/null); echo $? $output; done`

interface Shell {
  readonly write: (text: string) => void
  readonly end: () => void
}

/** Starts the shell. `onAnswer` receives a line for each message, `onEnd` the reason why there are no more. */
const start = (socket: string, onAnswer: (line: string) => void, onEnd: (why: string) => void): Shell => {
  const shell = withStreams(spawn("sh", ["-c", script], {
    detached: true,
    env: { ...process.env, NOTIFY_SOCKET: socket },
    stdio: ["pipe", "pipe", "ignore"]
  }))
  shell.on("error", ({ message }) => onEnd(message))
  shell.on("exit", (code, signal) => onEnd(`its shell has ended (${code ?? signal})`))
  // Its end is reported by `exit`.
  shell.stdin.on("error", () => {})
  createInterface({ input: shell.stdout }).on("line", onAnswer)
  // It must not keep this process alive.
  shell.unref()
  for (const pipe of [shell.stdin, shell.stdout]) {
    const handle = pipe as unknown as net.Socket
    handle.unref()
  }
  return { write: (text) => shell.stdin.write(text), end: () => shell.stdin.end() }
}

interface Messenger {
  /** Sends a message and waits for the answer; one at a time. */
  readonly notify: (message: string) => Effect.Effect<void>
  /** Sends the final messages without waiting. */
  readonly notifyLast: (...messages: ReadonlyArray<string>) => Effect.Effect<void>
}

const makeMessenger = (socket: string): Effect.Effect<Messenger, never, Scope.Scope> =>
  Effect.gen(function*() {
    const mutex = yield* Effect.makeSemaphore(1)
    let shell: Shell | undefined
    let answer: Deferred.Deferred<string> | undefined
    let hasFailed = false

    const complete = (line: string) => {
      if (answer !== undefined) {
        Deferred.unsafeDone(answer, Effect.succeed(line))
      }
    }
    const write = (text: string) => {
      try {
        shell ??= start(socket, complete, (why) => {
          shell = undefined
          complete(why)
        })
        shell.write(text)
      } catch (error) {
        complete(error instanceof Error ? error.message : String(error))
      }
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => shell?.end()))

    const notify = (message: string) =>
      Effect.gen(function*() {
        answer = yield* Deferred.make<string>()
        write(`${message}\n`)
        const output = yield* Deferred.await(answer)
        const isNotified = output === "0"
        if (!isNotified && !hasFailed) {
          yield* Effect.logWarning(`cannot notify systemd: systemd-notify: ${output}`)
        }
        hasFailed = !isNotified
      }).pipe(mutex.withPermits(1))

    return {
      notify,
      notifyLast: (...messages) => Effect.sync(() => write(messages.map((message) => `${message}\n`).join("")))
    }
  })

const status = (text: string): string => `STATUS=${text.replaceAll(/\s+/g, " ")}`

const statusOf = (role: string, { explanation, message, to }: Transition): string =>
  status(`${role} ${to}: ${message}${explanation === undefined ? "" : ` (${explanation})`}`)

/**
 * Notifies systemd that the member has started (`READY=1`), of its state at each transition (`STATUS=`), that it stops
 * (`STOPPING=1`), and twice in each `watchdog` that it runs (`WATCHDOG=1`). A member that has ended and a process that is
 * stalled send no notifications. If systemd cannot be notified, a warning is logged.
 *
 * @category layers
 */
export const layer = ({ socket, watchdog }: Options): Layer.Layer<never, never, BinaryStar> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const member = yield* BinaryStar
    const { notify, notifyLast } = yield* makeMessenger(socket)
    // Unless it was stopped before, the member stops when this layer has been released.
    yield* Effect.addFinalizer(() => notifyLast("STOPPING=1", status(`${member.role}: stopping`)))

    const follow = member.transitions.pipe(
      Stream.map((transition) => statusOf(member.role, transition)),
      // A late notification reports the latest state.
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.runForEach(notify)
    )
    const live = watchdog === undefined
      ? Effect.never
      : Effect.zipRight(member.state, notify("WATCHDOG=1")).pipe(
        Effect.repeat(Schedule.fixed(Duration.times(watchdog, 0.5))),
        withMonotonicTime
      )
    yield* Effect.all([Effect.zipRight(notify("READY=1"), follow), live], { concurrency: "unbounded", discard: true })
      .pipe(
        // The end of the member is reported by its `join`.
        Effect.ignore,
        Effect.interruptible,
        Effect.forkScoped
      )
  }))
