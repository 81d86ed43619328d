/** Handlers without fibers: a request is answered at once, or after a random time. */
import * as Exit from "effect/Exit"
import type { Completion, Outbox, Responder } from "../../member/Responder.ts"
import type * as Frames from "../../wire/Frames.ts"

const exit = Exit.succeed("")
const none = () => {}

export class PlainResponder implements Omit<Responder, "endTerm"> {
  /** The time in milliseconds in which the next request is answered, if not at once. */
  readonly #latency: () => number | undefined
  readonly #later: (millis: number, completion: Completion) => void
  #running = 0
  #period = 0

  constructor(latency: () => number | undefined, later: (millis: number, completion: Completion) => void) {
    this.#latency = latency
    this.#later = later
  }

  handle(message: Frames.Frames, _state: unknown, at: number, { replies }: Outbox): void {
    const millis = this.#latency()
    if (millis === undefined) {
      replies.push(message)
      return
    }
    this.#running++
    const owner = { message, envelopeLength: 1, period: this.#period, stamp: undefined, at }
    this.#later(millis, { task: { owner, fiber: undefined, interrupt: none, isLate: false }, exit })
  }

  complete({ task: { owner: { message, period } } }: Completion, { replies }: Outbox): void {
    if (period === this.#period) {
      replies.push(message)
    }
  }

  /** A handler has completed. Those of an earlier term were interrupted. */
  end({ task: { owner: { period } } }: Completion): void {
    this.#running -= period === this.#period ? 1 : 0
  }

  /** Interrupts all handlers. A new term begins. */
  endTerm(): void {
    this.#period++
    this.#running = 0
  }

  reject(): void {}

  limit(): void {}

  running(): number {
    return this.#running
  }

  runningOf(): number {
    return this.#running
  }
}
