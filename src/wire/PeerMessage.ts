/**
 * The state message that the two servers of a pair send to each other.
 *
 * One message, one frame, one ASCII digit: `1` PRIMARY, `2` BACKUP, `3` ACTIVE, `4` PASSIVE. Every implementation of the
 * Guide's pattern speaks exactly this, in whatever language.
 *
 * @since 0.1.0
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Event, PeerState } from "../protocol/StateMachine.ts"
import { eventOf, peerStates } from "../protocol/StateMachine.ts"
import type * as Frames from "./Frames.ts"

const firstDigit = 0x31

/**
 * A word and its message. Anything that is not exactly one frame of one digit from 1 to 4 is malformed.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PeerMessage: Schema.Schema<PeerState, Frames.Frames> = Schema.transformOrFail(
  Schema.Array(Schema.Uint8ArrayFromSelf),
  Schema.Literal("PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"),
  {
    strict: true,
    decode: (frames, _, ast) => {
      const word = frames.length === 1 && frames[0]!.length === 1 ? peerStates[frames[0]![0]! - firstDigit] : undefined
      return word === undefined
        ? ParseResult.fail(new ParseResult.Type(ast, frames))
        : ParseResult.succeed(word)
    },
    encode: (word) => ParseResult.succeed([Uint8Array.of(firstDigit + peerStates.indexOf(word))])
  }
).annotations({
  message: ({ actual }) => ({ message: `expected one of 1, 2, 3, 4, got ${describe(actual)}`, override: true })
})

/**
 * The event that a peer's message is to the one who hears it.
 *
 * @since 0.1.0
 * @category transitions
 */
export const toEvent = (word: PeerState, now: number): Event => ({ _tag: eventOf[word], now })

const describe = (message: unknown): string => {
  const frames = message as Frames.Frames
  const head = frames[0]
  if (frames.length !== 1 || head === undefined) {
    return `${frames.length} frames`
  }
  return head.length <= 16 ? JSON.stringify(String.fromCharCode(...head)) : `${head.length} bytes`
}
