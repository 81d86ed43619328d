/**
 * The output of the program. A server never waits for its output and never ends because of it: lines that cannot be written are
 * dropped. A command whose output is its result fails if that cannot be written.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Console } from "node:console"
import * as process from "node:process"
import { Writable } from "node:stream"
import { setTimeout } from "node:timers"
import { droppedLogLines } from "../internal/DroppedLogLines.ts"
import * as channel from "./channel.ts"
import type { Policy } from "./lineWriter.ts"
import { LineWriter } from "./lineWriter.ts"
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
  /** From now on this is the output of a server: lines are dropped rather than waited for, and no failed write is an error. */
  readonly neverWait: Effect.Effect<void>
  /** Sets how a server writes that lines were dropped. */
  readonly onDropped: (write: (message: string) => void) => void
}>() {}

export interface Streams {
  readonly output: Context.Tag.Service<typeof Output>
  /** Calls back, with the first failure, when all is written or cannot be. With `soon`, and for a server, within a limit. */
  readonly close: (soon: boolean, done: (failure: Failure | undefined) => void) => void
}

/** How many bytes of a server's lines are queued for a stream that takes nothing. */
const serverCapacity = 256 * 1024

/** How long, in milliseconds, the last lines of what has to end now may take. */
const lastLinesMillis = 500

/** How long, in milliseconds, a write that was abandoned may take to end. Its error ends the wait, within a few on an idle machine. */
const abandonedMillis = 1000
const forever = 2 ** 31 - 1

const names = { 1: "standard output", 2: "standard error" } as const

/** The state of the output of this process. */
class State {
  isServer = false
  failure: Failure | undefined
  readonly watchers = new Set<() => void>()
  writeNotice = (message: string): void => globalThis.console.warn(`W: ${message}`)

  policyOf(fd: 1 | 2): Policy {
    const isServer = () => this.isServer
    return {
      get capacity() {
        return isServer() ? serverCapacity : Number.POSITIVE_INFINITY
      },
      onFailure: (error) => {
        if (!this.isServer) {
          this.failure ??= { stream: names[fd], error }
          this.watchers.forEach((watcher) => watcher())
        }
      },
      onLost: (lost) => this.isServer && droppedLogLines.unsafeUpdate(lost, []),
      onRoom: (lost) =>
        this.isServer && this.writeNotice(`${count(lost, "log line")} ${lost === 1 ? "was" : "were"} dropped`)
    }
  }
}

const open = (fd: 1 | 2, state: State) => {
  const opened = channel.open(fd)
  return { channel: opened, writer: new LineWriter(opened, state.policyOf(fd)) }
}

const writable = (writer: LineWriter) =>
  new Writable({
    decodeStrings: false,
    write: (text, _, done) => {
      writer.write(String(text))
      done()
    }
  })

/** Takes over everything that is written with `console`, first for a command. */
export const install = (): Streams => {
  const state = new State()
  const output = open(1, state)
  const errors = channel.areOne() ? output : open(2, state)
  const channels = [output.channel, errors.channel]
  const whenIdle = (done: () => void) => output.writer.whenIdle(() => errors.writer.whenIdle(done))
  Object.assign(globalThis.console, new Console(writable(output.writer), writable(errors.writer)))

  return {
    output: {
      written: Effect.async((resume) => whenIdle(() => resume(Effect.void))),
      failed: Effect.async((resume) => {
        const watcher = () => resume(Effect.void)
        state.watchers.add(watcher)
        return Effect.sync(() => state.watchers.delete(watcher))
      }),
      neverWait: Effect.sync(() => {
        state.isServer = true
      }),
      onDropped: (write) => {
        state.writeNotice = write
      }
    },
    close: (soon, done) => {
      const end = () => {
        clearTimeout(timer)
        done(state.failure)
      }
      const timer = setTimeout(() => {
        channels.forEach(({ abandon }) => abandon())
        // A thread that is still blocked then would keep this process from exiting for ever.
        setTimeout(
          () => channels.some(({ isBlocked }) => isBlocked()) ? process.kill(process.pid, "SIGKILL") : end(),
          abandonedMillis
        )
      }, soon || state.isServer ? lastLinesMillis : forever)
      whenIdle(end)
    }
  }
}
