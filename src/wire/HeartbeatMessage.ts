/**
 * Heartbeat between two members of this implementation, beside the digit of `PeerMessage`: one message, one frame, `bstar/2 ` and a
 * JSON object. A publisher sends it only while a subscriber of that topic is connected, which servers of other implementations are
 * not: they receive nothing but the digit.
 */
import * as Either from "effect/Either"
import type { Echo, Heartbeat, Question } from "../protocol/Heartbeat.ts"
import { peerStates } from "../protocol/StateMachine.ts"
import { maxNumber, stepsPerNumber, type Term } from "../protocol/Term.ts"
import type * as Frames from "./Frames.ts"

/**
 * Topic of heartbeats, their first bytes. A subscription to it, beside the one to everything, asks for them.
 *
 * @category constants
 */
export const topic = "bstar/2 "

/**
 * Largest size of a heartbeat in bytes. Members accept no larger frame from a peer.
 *
 * @category constants
 */
export const maxBytes = 512

/**
 * Longest life, and longest fingerprint of a witness, in characters.
 *
 * @category constants
 */
export const maxLength = { life: 32, witness: 64 }

const lifePattern = new RegExp(`^[0-9A-Za-z]{1,${maxLength.life}}$`)

/** Neither a quote nor a backslash, which JSON would escape. */
const fingerprintPattern = new RegExp(`^[!#-\\[\\]-~]{1,${maxLength.witness}}$`)

/**
 * Whether a text can be the fingerprint of a witness in a heartbeat.
 *
 * @category guards
 */
export const isFingerprint = (text: string): boolean => fingerprintPattern.test(text)

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

const topicBytes = encoder.encode(topic)

/**
 * Whether a message of a state port is a heartbeat, which may be malformed.
 *
 * @category guards
 */
export const isHeartbeat = ([frame]: Frames.Frames): boolean =>
  frame !== undefined && frame.length >= topicBytes.length && topicBytes.every((byte, i) => byte === frame[i])

const bytesOf = (heartbeat: Heartbeat): Uint8Array => encoder.encode(topic + JSON.stringify(heartbeat))

/** The beginning of a text that takes no more bytes in JSON, with an ellipsis where it is cut. */
const cut = (text: string, room: number): string => {
  const ellipsis = "…"
  let left = room - encoder.encode(ellipsis).length
  if (left < 0) {
    return ""
  }
  const characters: Array<string> = []
  for (const character of text) {
    left -= encoder.encode(JSON.stringify(character)).length - 2
    if (left < 0) {
      break
    }
    characters.push(character)
  }
  return characters.join("") + ellipsis
}

/**
 * A heartbeat as a message. A reason for which there is no room is cut.
 *
 * @category combinators
 */
export const encode = (heartbeat: Heartbeat): Frames.Frames => {
  const bytes = bytesOf(heartbeat)
  if (heartbeat.reason === undefined || bytes.length <= maxBytes) {
    return [bytes]
  }
  const room = maxBytes - bytesOf({ ...heartbeat, reason: "" }).length
  return [bytesOf({ ...heartbeat, reason: cut(heartbeat.reason, room) })]
}

/** The problem of a value, if it has one. */
type Guard = (value: unknown, path: string) => string | undefined

const guard = (expected: string, isValid: (value: unknown) => boolean): Guard => (value, path) =>
  isValid(value) ? undefined : `${path} is not ${expected}`

const integer = (least: number, most = Number.MAX_SAFE_INTEGER): Guard =>
  guard(
    `a whole number from ${least} to ${most}`,
    (value) => Number.isSafeInteger(value) && value as number >= least && value as number <= most
  )

const text = (expected: string, isValid: (text: string) => boolean): Guard =>
  guard(expected, (value) => typeof value === "string" && isValid(value))

const oneOf = (...texts: ReadonlyArray<unknown>): Guard =>
  guard(`one of ${texts.join(", ")}`, (value) => texts.includes(value))

const boolean = guard("true or false", (value) => typeof value === "boolean")

const optional = (guard: Guard): Guard => (value, path) => value === undefined ? undefined : guard(value, path)

const record = <A>(guards: { readonly [K in keyof A]-?: Guard }): Guard => (value, path) => {
  if (typeof value !== "object" || value === null) {
    return `${path || "heartbeat"} is not an object`
  }
  for (const name in guards) {
    const problem = guards[name](value[name as never], path === "" ? name : `${path}.${name}`)
    if (problem !== undefined) {
      return problem
    }
  }
  return undefined
}

const echo = {
  life: text(`a text of 1 to ${maxLength.life} letters and digits`, (life) => lifePattern.test(life)),
  sequence: integer(1)
} satisfies { readonly [K in keyof Echo]: Guard }

const problemOf = record<Heartbeat>({
  ...echo,
  state: oneOf(...peerStates),
  received: optional(record<Echo>(echo)),
  term: optional(record<Term>({ number: integer(0, maxNumber), step: integer(0, stepsPerNumber - 1) })),
  isRecorded: boolean,
  question: optional(oneOf("Serve", "Resume", "Stand" satisfies Question)),
  promises: boolean,
  handsOver: boolean,
  reason: optional(text("a text", () => true)),
  activeMillis: optional(integer(0)),
  witness: optional(text(`a text of 1 to ${maxLength.witness} printable characters`, isFingerprint))
})

/** The known fields. Those of a later version are ignored. */
const pick = (heartbeat: Heartbeat): Heartbeat => ({
  life: heartbeat.life,
  sequence: heartbeat.sequence,
  state: heartbeat.state,
  received: heartbeat.received && { life: heartbeat.received.life, sequence: heartbeat.received.sequence },
  term: heartbeat.term && { number: heartbeat.term.number, step: heartbeat.term.step },
  isRecorded: heartbeat.isRecorded,
  question: heartbeat.question,
  promises: heartbeat.promises,
  handsOver: heartbeat.handsOver,
  reason: heartbeat.reason,
  activeMillis: heartbeat.activeMillis,
  witness: heartbeat.witness
})

const parse = (bytes: Uint8Array): Either.Either<unknown, string> =>
  Either.try({ try: () => JSON.parse(decoder.decode(bytes)), catch: () => "heartbeat is not JSON" })

/**
 * The heartbeat of a message, or why it is malformed, without its content.
 *
 * @category combinators
 */
export const decode = (message: Frames.Frames): Either.Either<Heartbeat, string> => {
  const [frame] = message
  if (frame === undefined || message.length !== 1 || !isHeartbeat(message)) {
    return Either.left(`heartbeat is not one frame of ${JSON.stringify(topic)} and JSON`)
  }
  if (frame.length > maxBytes) {
    return Either.left(`heartbeat is longer than ${maxBytes} bytes`)
  }
  return Either.flatMap(parse(frame.subarray(topicBytes.length)), (value) => {
    const problem = problemOf(value, "")
    return problem === undefined ? Either.right(pick(value as Heartbeat)) : Either.left(problem)
  })
}
