/**
 * Rounds in which the primary of a new pair dies in its first two heartbeats as the active server: its backup has to answer
 * within three.
 */
import { Effect, Option, Random } from "effect"
import { freeEndpoints } from "../../support/processes.ts"
import { kill, readyAsActive, requests, start } from "../../support/pair.ts"

export interface Options {
  readonly seed: number
  readonly rounds: number
  /** The number of the first round. */
  readonly from: number
  readonly heartbeatMillis: number
}

/** What a round has brought. Times are in milliseconds. */
export interface Round {
  readonly number: number
  /** From the line by which the primary reports that it is active to its end. */
  readonly killedAfterMillis: number
  /** From the signal to the first answer of the backup, if one came within ten heartbeats. */
  readonly answeredMillis: number | undefined
  readonly isInTime: boolean
}

/** What a line on standard output and a signal take: a primary that is killed sooner may not have published its state. */
const leastMillis = 10

export const play = (options: Options, tell: (round: Round) => Effect.Effect<void>): Effect.Effect<Array<Round>> =>
  Effect.gen(function*() {
    const rounds: Array<Round> = []
    for (let number = options.from; number < options.from + options.rounds; number++) {
      const round = yield* Effect.orDie(Effect.scoped(playRound(options, number)))
      rounds.push(round)
      yield* tell(round)
    }
    return rounds
  })

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
    const answer = yield* Effect.timeoutOption(Effect.orDie(replies.find(() => true)), 10 * heartbeatMillis)
    const answeredMillis = Option.getOrUndefined(Option.map(answer, ({ at }) => at - killedAt))
    const round: Round = {
      number,
      killedAfterMillis,
      answeredMillis,
      isInTime: answeredMillis !== undefined && answeredMillis <= 3 * heartbeatMillis
    }
    return round
  })
