/**
 * A pair, the link between its members and everything that may happen to them, as a finite set of states and moves. Each member is
 * the core that runs in production; only the world around it is modelled: processes, clocks, connections whose steps take time,
 * messages under way, operators, and budgets.
 *
 * Time passes in ticks of half a heartbeat. All times are relative to now and no longer than a decision can depend on them, so
 * that the states are finitely many.
 */
import { type Move, movesOf } from "./moves.ts"
import { after } from "./perform.ts"
import * as Setup from "./setup.ts"
import type { Observer } from "./update.ts"
import { disconnected, type World } from "./world.ts"

export { type Move, moves, tick } from "./moves.ts"
export { maxBudget, maxDelay, maxHandshake, type Options, tickMillis } from "./setup.ts"
export { roles, type Side, type World } from "./world.ts"

/**
 * A world to explore.
 *
 * @category models
 */
export interface Model {
  readonly setup: Setup.Setup
  /** No process runs yet. */
  readonly initial: World
  /** All moves that the budgets allow and that take no time. */
  readonly moves: ReadonlyArray<Move>
  /** The first of {@link moves}, without those of paused processes where there are none. */
  readonly movesFrom: (world: World) => ReadonlyArray<Move>
  /** The world after a move, or nothing if it is not possible now. */
  readonly after: (world: World, move: Move, observe?: Observer) => World | undefined
}

/**
 * Makes the model of a pair that follows a policy. Throws a `RangeError` if an option is too large.
 *
 * @category constructors
 */
export const make = (options: Setup.Options): Model => {
  const setup = Setup.make(options)
  const moves = movesOf(setup)
  const movesAwake = moves.filter(({ _tag }) => _tag !== "Resume")
  return {
    setup,
    initial: {
      processes: setup.down,
      messages: [[], []],
      connections: [disconnected, disconnected],
      isCut: false,
      knowsPassive: [false, false],
      unproven: [0, 0],
      rounds: 0,
      ...setup.budgets,
      unanswered: 0,
      hasAborted: false,
      hasKeptStaleTerm: false
    },
    moves,
    movesFrom: ({ processes: [primary, backup] }) =>
      primary.status === "paused" || backup.status === "paused" ? moves : movesAwake,
    after: (world, move, observe) => after(setup, world, move, observe)
  }
}
