/**
 * State message between the two servers of a pair, the payload of every heartbeat.
 *
 * One message, one frame, one ASCII digit: `1` PRIMARY, `2` BACKUP, `3` ACTIVE, `4` PASSIVE. The servers of the Guide in C,
 * C++, Go and Python use the same format.
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { PeerState } from "../protocol/StateMachine.ts"
import { peerStates } from "../protocol/StateMachine.ts"
import type * as Frames from "./Frames.ts"

const firstDigit = 0x31

/**
 * A state and its message. Any message other than one frame of one digit from 1 to 4 is malformed.
 *
 * @category schemas
 */
export const PeerMessage: Schema.Schema<PeerState, Frames.Frames> = Schema.transformOrFail(
  Schema.Array(Schema.Uint8ArrayFromSelf),
  Schema.Literal("PRIMARY", "BACKUP", "ACTIVE", "PASSIVE"),
  {
    strict: true,
    decode: (frames, _, ast) => {
      const state = frames.length === 1 && frames[0]!.length === 1 ? peerStates[frames[0]![0]! - firstDigit] : undefined
      return state === undefined
        ? ParseResult.fail(new ParseResult.Type(ast, frames))
        : ParseResult.succeed(state)
    },
    encode: (state) => ParseResult.succeed([Uint8Array.of(firstDigit + peerStates.indexOf(state))])
  }
).annotations({
  message: ({ actual }) => ({ message: `expected one of 1, 2, 3, 4, got ${describe(actual)}`, override: true })
})

/** Recognizes the state messages of other implementations of the Guide, which no server of another language understands. */
const foreignFormat = (text: string): string | undefined => {
  if (text === "0") {
    return "its states are numbered from 0"
  }
  if (/^(primary|backup|active|passive)$/i.test(text)) {
    return "its states are words"
  }
  return /^(\0\0\0[\0-\x04]|[\0-\x04]\0\0\0)$/.test(text) ? "its states are integers of four bytes" : undefined
}

/** Describes a malformed message for a log line, without its content where that is long. */
const describe = (message: unknown): string => {
  const frames = message as Frames.Frames
  const head = frames[0]
  if (frames.length !== 1 || head === undefined) {
    return `${frames.length} frames`
  }
  if (head.length > 16) {
    return `${head.length} bytes`
  }
  const text = String.fromCharCode(...head)
  const format = foreignFormat(text)
  return `${JSON.stringify(text)}${format === undefined ? "" : `: ${format}`}`
}
