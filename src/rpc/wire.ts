/**
 * What the two halves of RPC over a pair say to each other.
 *
 * A frame that the serialization has written holds a message of the RPC client, or what the RPC server has to say to it.
 * Several of them are messages that were to be sent at the same time. What the halves say to each other begins with an empty
 * frame, which no serialization writes.
 */
import * as Frames from "../wire/Frames.ts"

/**
 * How long, in seconds, a server keeps a client waiting before it answers that the call still runs. The client then asks
 * again, which tells the server that it is there, and the client that the server is.
 *
 * @internal
 */
export const holdSeconds = 5

/**
 * How long, in seconds, the client of a call that runs may be silent before the call is interrupted.
 *
 * @internal
 */
export const silenceSeconds = 15

/**
 * - `Stream`: of a client: what follows is a request for a stream.
 * - `Wait`: of a client: goes on waiting for a call. Of a server: the call still runs.
 * - `Keep`: of a client: it is there and has not forgotten these calls, although it does not ask for more.
 * - `All`: of a server: the answers to messages that came together, in the same order. Where one is empty the call still
 *   runs, or the client has to ask for it by itself.
 * - `Gone`: of a server: it does not run the call, or no longer.
 * - `Done`: of a server: there is nothing to say.
 *
 * @internal
 */
export type Word = "Stream" | "Wait" | "Keep" | "All" | "Gone" | "Done"

/** @internal */
export const say = (word: Word, ...rest: ReadonlyArray<string | Uint8Array>): Frames.Frames => [
  Frames.delimiter,
  ...[word, ...rest].flatMap(Frames.make)
]

/** @internal */
export const still: Frames.Frames = say("Wait")

/** @internal */
export const gone: Frames.Frames = say("Gone")

/** @internal */
export const done: Frames.Frames = say("Done")

/** @internal */
export const all = (answers: ReadonlyArray<Frames.Frames>): Frames.Frames =>
  say("All", ...answers.map((answer) => answer.length === 1 ? answer[0]! : Frames.delimiter))

/**
 * The word with which a message of the halves themselves begins; nothing where it is one of the serialization.
 *
 * @internal
 */
export const wordOf = (body: Frames.Frames): string | undefined =>
  body[0]?.length === 0 ? Frames.toString(body.slice(1, 2)) : undefined

/** @internal */
export const restOf = (body: Frames.Frames): Frames.Frames => body.slice(2)
