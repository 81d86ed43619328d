/**
 * Rounds in which the primary of a new pair is killed in its first two heartbeats as the active server. Its backup has to answer
 * within three.
 */
import { Effect, Option, Random } from "effect"
import { kill, readyAsActive, requests, start } from "../../support/pair.ts"
import { freeEndpoints } from "../../support/processes.ts"
import { playRounds } from "./rounds.ts"

export interface Options {
  readonly seed: number
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly heartbeatMillis: number
}

/** The results of a round. Times are in milliseconds. */
export interface Round {
  readonly number: number
  /** From the log line of the active primary until its end. */
  readonly killedAfterMillis: number
  /** From the signal until the first answer of the backup; `undefined` if it did not answer in time. */
  readonly answeredMillis: number | undefined
  readonly isInTime: boolean
}

/** A primary that is killed sooner may not have published its state. */
const leastMillis = 10

export const play = (options: Options, report: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  playRounds(options, (number) => Effect.orDie(Effect.scoped(playRound(options, number))), report)

const playRound = ({ heartbeatMillis, seed }: Options, number: number) =>
  Effect.gen(function*() {
    const killedAfterMillis = yield* Effect.withRandom(
      Random.nextRange(leastMillis, 2 * heartbeatMillis),
      Random.make(`${seed}/${number}`)
    )
    const at = yield* freeEndpoints
    yield* start("backup", at, heartbeatMillis)
    const replies = yield* requests(at.backup.frontend)
    const primary = yield* start("primary", at, heartbeatMillis)
    yield* primary.waitForLine(readyAsActive)
    yield* Effect.sleep(killedAfterMillis)
    const killedAt = performance.now()
    yield* kill(primary)
    const answer = yield* Effect.option(replies.find(() => true))
    const answeredMillis = Option.getOrUndefined(Option.map(answer, ({ at }) => at - killedAt))
    const round: Round = {
      number,
      killedAfterMillis,
      answeredMillis,
      isInTime: answeredMillis !== undefined && answeredMillis <= 3 * heartbeatMillis
    }
    return round
  })
