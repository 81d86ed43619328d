import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as Supervisor from "effect/Supervisor"

/**
 * Tracks the fibers that hand messages to the RPC server, and those that the RPC server starts there, one for each handler.
 * The RPC server does not report when these end: it responds before a handler's children have ended, and reports a defect as
 * the end of all calls of a client. Root fibers that handlers start are daemons, and are not tracked.
 */
export class HandlerFibers extends Supervisor.AbstractSupervisor<void> {
  readonly value = Effect.void
  /** Marks the next fiber as one that hands over a message. */
  isHandingOver = false
  onEmpty = constVoid
  readonly #deliveries = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly #handlers = new Set<Fiber.Fiber<unknown, unknown>>()
  get isEmpty(): boolean {
    return this.#deliveries.size + this.#handlers.size === 0
  }
  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ) {
    if (this.isHandingOver) {
      this.isHandingOver = false
      this.#deliveries.add(fiber)
    } else if (Option.isNone(parent) && Option.exists(Fiber.getCurrentFiber(), (by) => this.#deliveries.has(by))) {
      this.#handlers.add(fiber)
    }
  }
  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>) {
    if ((this.#deliveries.delete(fiber) || this.#handlers.delete(fiber)) && this.isEmpty) {
      this.onEmpty()
    }
  }
}
