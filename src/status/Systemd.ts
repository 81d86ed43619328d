/**
 * Tells systemd how a member is: the protocol of `sd_notify`, for units of `Type=notify`.
 *
 * Node has no datagram sockets of the Unix kind, and starting a process from Node holds its event loop up for 10 to 20
 * milliseconds. So one small shell is started, once, which runs `systemd-notify`, a part of systemd, for each message. The
 * messages come from processes of the service that are not its main one: the unit needs `NotifyAccess=all`.
 *
 * @since 0.1.0
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
 * What systemd says to the processes that it starts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where it listens, from `NOTIFY_SOCKET`: a path, or `@` and an abstract name. */
  readonly socket: string
  /** How long it waits for a sign of life, from `WATCHDOG_USEC`, which is in microseconds. By default it wants none. */
  readonly watchdog?: Duration.DurationInput | undefined
}

/**
 * Reads messages, one a line, and answers each with an exit code and what was said. It outlives the signals that stop the
 * service, and ends with its input.
 */
const script = `set -f; trap "" HUP INT TERM
while IFS= read -r line; do said=$(systemd-notify "$line" 2>&1 </dev/null); echo $? $said; done`

interface Shell {
  readonly write: (text: string) => void
  readonly end: () => void
}

/** Starts the shell. `onAnswer` gets a line for each message, and `onEnd` why there will be no more. */
const start = (socket: string, onAnswer: (line: string) => void, onEnd: (why: string) => void): Shell => {
  const shell = withStreams(spawn("sh", ["-c", script], {
    detached: true,
    env: { ...process.env, NOTIFY_SOCKET: socket },
    stdio: ["pipe", "pipe", "ignore"]
  }))
  shell.on("error", ({ message }) => onEnd(message))
  shell.on("exit", (code, signal) => onEnd(`its shell has ended (${code ?? signal})`))
  // That it has ended is told by its end.
  shell.stdin.on("error", () => {})
  createInterface({ input: shell.stdout }).on("line", onAnswer)
  // It must not keep alive what it speaks for.
  shell.unref()
  for (const pipe of [shell.stdin, shell.stdout]) {
    const handle = pipe as unknown as net.Socket
    handle.unref()
  }
  return { write: (text) => shell.stdin.write(text), end: () => shell.stdin.end() }
}

/** Whoever sends messages. `last` sends some without waiting, and no others come after it. */
interface Messenger {
  readonly tell: (message: string) => Effect.Effect<void>
  readonly last: (...messages: ReadonlyArray<string>) => Effect.Effect<void>
}

const makeMessenger = (socket: string): Effect.Effect<Messenger, never, Scope.Scope> =>
  Effect.gen(function*() {
    const oneByOne = yield* Effect.makeSemaphore(1)
    let shell: Shell | undefined
    let answer: Deferred.Deferred<string> | undefined
    let hasFailed = false

    const settle = (line: string) => {
      if (answer !== undefined) {
        Deferred.unsafeDone(answer, Effect.succeed(line))
      }
    }
    const write = (text: string) => {
      try {
        shell ??= start(socket, settle, (why) => {
          shell = undefined
          settle(why)
        })
        shell.write(text)
      } catch (error) {
        settle(error instanceof Error ? error.message : String(error))
      }
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => shell?.end()))

    const tell = (message: string) =>
      Effect.gen(function*() {
        answer = yield* Deferred.make<string>()
        write(`${message}\n`)
        const said = yield* Deferred.await(answer)
        const isTold = said === "0"
        if (!isTold && !hasFailed) {
          yield* Effect.logWarning(`systemd is not told how this server is: systemd-notify: ${said}`)
        }
        hasFailed = !isTold
      }).pipe(oneByOne.withPermits(1))

    return {
      tell,
      last: (...messages) => Effect.sync(() => write(messages.map((message) => `${message}\n`).join("")))
    }
  })

const status = (text: string): string => `STATUS=${text.replaceAll(/\s+/g, " ")}`

const tellOf = (role: string, { explanation, message, to }: Transition): string =>
  status(`${role} ${to}: ${message}${explanation === undefined ? "" : ` (${explanation})`}`)

/**
 * Tells systemd that the member is there (`READY=1`), its state at each transition (`STATUS=`), that it stops
 * (`STOPPING=1`), and, twice in each `watchdog`, that it lives (`WATCHDOG=1`). A member that has ended, or a process that
 * stands still, tells nothing any more. Where systemd cannot be told, a warning is logged.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({ socket, watchdog }: Options): Layer.Layer<never, never, BinaryStar> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const member = yield* BinaryStar
    const { last, tell } = yield* makeMessenger(socket)
    // The member stops when this layer has been released.
    yield* Effect.addFinalizer(() => last("STOPPING=1", status(`${member.role}: stopping`)))

    const follow = member.transitions.pipe(
      Stream.map((transition) => tellOf(member.role, transition)),
      // What is told late is told as it is then.
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.runForEach(tell)
    )
    const live = watchdog === undefined
      ? Effect.never
      : Effect.zipRight(member.state, tell("WATCHDOG=1")).pipe(
        Effect.repeat(Schedule.fixed(Duration.times(watchdog, 0.5))),
        withMonotonicTime
      )
    yield* Effect.all([Effect.zipRight(tell("READY=1"), follow), live], { concurrency: "unbounded", discard: true })
      .pipe(
        // That the member has ended is told by its `join`.
        Effect.ignore,
        Effect.interruptible,
        Effect.forkScoped
      )
  }))
