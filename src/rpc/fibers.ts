import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Supervisor from "effect/Supervisor"

/**
 * The fibers in which the RPC server takes messages, and those that it starts there, one for each handler. It says that a
 * call has ended before the handler's fiber has, which waits for its children, and of a call that dies it says so to all
 * calls of the client. What handlers start by themselves as roots is daemons.
 *
 * @internal
 */
export class Running extends Supervisor.AbstractSupervisor<void> {
  readonly value = Effect.void
  /** Whether the next fiber takes a message. */
  isTaking = false
  readonly #taking = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly #handlers = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly #onEnd: () => void
  constructor(onEnd: () => void) {
    super()
    this.#onEnd = onEnd
  }
  get isEmpty() {
    return this.#taking.size + this.#handlers.size === 0
  }
  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ) {
    if (this.isTaking) {
      this.isTaking = false
      this.#taking.add(fiber)
    } else if (Option.isNone(parent) && Option.exists(Fiber.getCurrentFiber(), (by) => this.#taking.has(by))) {
      this.#handlers.add(fiber)
    }
  }
  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>) {
    if ((this.#taking.delete(fiber) || this.#handlers.delete(fiber)) && this.isEmpty) {
      this.#onEnd()
    }
  }
}
