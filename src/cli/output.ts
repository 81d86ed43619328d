/**
 * What the program writes. A server must not wait for its output and must not end because of it, so that lines are dropped
 * where they cannot be written. A command whose output is its result fails where that cannot be written.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Console } from "node:console"
import * as process from "node:process"
import { Writable } from "node:stream"
import { setTimeout } from "node:timers"
import { droppedLogLines } from "../internal/DroppedLogLines.ts"
import * as channel from "./channel.ts"
import * as LineWriter from "./lineWriter.ts"
import { count } from "./text.ts"

/** Why something could not be written. */
export interface Failure {
  readonly stream: "standard output" | "standard error"
  readonly error: NodeJS.ErrnoException
}

/** The output of a command. */
export class Output extends Context.Tag("effect-binary-star/cli/Output")<Output, {
  /** Waits until all is written, or cannot be written. */
  readonly written: Effect.Effect<void>
  /** Waits until something cannot be written. */
  readonly failed: Effect.Effect<void>
  /** Sets how a server writes that lines were dropped. */
  readonly onDropped: (write: (message: string) => void) => void
}>() {}

export interface Streams {
  readonly output: Context.Tag.Service<typeof Output>
  /** Calls back, with the first failure, when all is written or cannot be, at the latest after a limit. */
  readonly close: (limitMillis: number | undefined, done: (failure: Failure | undefined) => void) => void
}

/** How many bytes of a server's lines wait for a stream that takes nothing. */
const capacity = 256 * 1024

/** How long, in milliseconds, a write that was abandoned may take to end. */
const abandonedMillis = 100
const forever = 2 ** 31 - 1

const names = { 1: "standard output", 2: "standard error" } as const

/** Takes over everything that is written with `console`, for a server or for a command. */
export const install = (kind: "server" | "command"): Streams => {
  let failure: Failure | undefined
  let writeNotice = (message: string) => globalThis.console.warn(`W: ${message}`)
  const watchers = new Set<() => void>()

  const policyOf = (fd: 1 | 2): LineWriter.Policy =>
    kind === "server"
      ? {
        capacity,
        onFailure: () => {},
        onLost: (lost) => droppedLogLines.unsafeUpdate(lost, []),
        onRoom: (lost) => writeNotice(`${count(lost, "log line")} ${lost === 1 ? "was" : "were"} dropped`)
      }
      : {
        capacity: Number.POSITIVE_INFINITY,
        onFailure: (error) => {
          failure ??= { stream: names[fd], error }
          watchers.forEach((watcher) => watcher())
        },
        onLost: () => {},
        onRoom: () => {}
      }
  const open = (fd: 1 | 2) => {
    const opened = channel.open(fd)
    return { channel: opened, writer: LineWriter.make(opened, policyOf(fd)) }
  }
  const output = open(1)
  const errors = channel.areOne() ? output : open(2)
  const channels = [output.channel, errors.channel]
  const whenIdle = (done: () => void) => output.writer.whenIdle(() => errors.writer.whenIdle(done))

  const writable = ({ writer }: ReturnType<typeof open>) =>
    new Writable({
      decodeStrings: false,
      write: (text, _, done) => {
        writer.write(String(text))
        done()
      }
    })
  Object.assign(globalThis.console, new Console(writable(output), writable(errors)))

  return {
    output: {
      written: Effect.async((resume) => whenIdle(() => resume(Effect.void))),
      failed: Effect.async((resume) => {
        const watcher = () => resume(Effect.void)
        watchers.add(watcher)
        return Effect.sync(() => watchers.delete(watcher))
      }),
      onDropped: (write) => {
        writeNotice = write
      }
    },
    close: (limitMillis, done) => {
      const end = () => {
        clearTimeout(timer)
        done(failure)
      }
      const timer = setTimeout(() => {
        channels.forEach(({ abandon }) => abandon())
        // A thread that still waits then would keep this process from exiting for ever.
        setTimeout(
          () => channels.some(({ isBlocked }) => isBlocked()) ? process.kill(process.pid, "SIGKILL") : end(),
          abandonedMillis
        )
      }, limitMillis ?? forever)
      whenIdle(end)
    }
  }
}
