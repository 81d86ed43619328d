/**
 * Messages that the two halves of the RPC protocol exchange beside those of `@effect/rpc`.
 *
 * A body holds messages of `@effect/rpc`, one in each frame, as the serialization writes them. An empty first frame, which
 * no serialization writes, marks a control frame instead: one letter follows, then its content.
 */
import * as Frames from "../wire/Frames.ts"

/**
 * Longest time, in seconds, that a poll waits for a response. The server then replies that the call still runs, which
 * proves both ends alive to each other.
 */
export const pollSeconds = 5

/** Time, in seconds, after which a call is interrupted if its client has neither polled it nor kept it alive. */
export const silenceSeconds = 15

/**
 * - `Stream`, from a client: the content is a request whose result is a stream.
 * - `Poll`, from a client: the next response of this call is wanted. From a server: the call still runs; poll again.
 * - `KeepAlive`, from a client: it still holds these calls, although it does not poll them.
 * - `Batch`, from a server: replies to messages that arrived together, in their order. An empty one means that the call
 *   has to be polled by itself.
 * - `Unknown`, from a server: it does not run this call, or no longer.
 * - `Ok`, from a server: received.
 */
export type ControlFrame = "Stream" | "Poll" | "KeepAlive" | "Batch" | "Unknown" | "Ok"

const encoder = new TextEncoder()

const letters: { readonly [K in ControlFrame]: Uint8Array } = {
  Stream: encoder.encode("S"),
  Poll: encoder.encode("P"),
  KeepAlive: encoder.encode("K"),
  Batch: encoder.encode("B"),
  Unknown: encoder.encode("U"),
  Ok: encoder.encode("O")
}

const kinds = new Map(Object.entries(letters).map(([kind, letter]) => [letter[0]!, kind as ControlFrame]))

export const make = (kind: ControlFrame, ...content: ReadonlyArray<string | Uint8Array>): Frames.Frames => [
  Frames.delimiter,
  letters[kind],
  ...content.flatMap(Frames.make)
]

export const stillRunning: Frames.Frames = make("Poll")

export const unknown: Frames.Frames = make("Unknown")

export const ok: Frames.Frames = make("Ok")

/** Replies to messages that arrived together. Only replies of one frame fit; a client polls for the others. */
export const batch = (replies: ReadonlyArray<Frames.Frames>): Frames.Frames =>
  make("Batch", ...replies.map((reply) => reply.length === 1 ? reply[0]! : Frames.delimiter))

/** Kind of a control frame; `undefined` for messages of the serialization. */
export const kindOf = (body: Frames.Frames): ControlFrame | "Malformed" | undefined => {
  if (body[0]?.length !== 0) {
    return undefined
  }
  const letter = body[1]
  return (letter?.length === 1 ? kinds.get(letter[0]!) : undefined) ?? "Malformed"
}

export const contentOf = (body: Frames.Frames): Frames.Frames => body.slice(2)
