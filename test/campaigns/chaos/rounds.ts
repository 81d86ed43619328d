/** The rounds of a campaign, in their order. */
import { Effect } from "effect"

/** Plays rounds from one number on, and reports each when it has ended. */
export const playRounds = <Round, E, R>(
  { from, rounds }: { readonly from: number; readonly rounds: number },
  playRound: (number: number) => Effect.Effect<Round, E, R>,
  report: (round: Round) => Effect.Effect<void>
): Effect.Effect<Array<Round>, E, R> =>
  Effect.forEach(Array.from({ length: rounds }, (_, i) => from + i), (number) => Effect.tap(playRound(number), report))
