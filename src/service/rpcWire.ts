/**
 * What the two halves of RPC over a pair say to each other.
 *
 * What is in one frame is written by the serialization: a message of the RPC client, or what the RPC server has to say to
 * it. What the halves say to each other begins with an empty frame, which no serialization writes.
 */
import * as Frames from "../Frames.ts"

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
 * Stands behind a request for a stream.
 *
 * @internal
 */
export const stream: Frames.Frames = Frames.make("stream")

/** @internal */
export const isStream = (kind: Frames.Frames): boolean => kind.length > 0 && Frames.toString(kind) === "stream"

/**
 * - `Wait`: of a client: goes on waiting for a call. Of a server: the call still runs.
 * - `Keep`: the client is there and has not forgotten its calls, although it does not ask for more.
 * - `Gone`: this server does not run the call, or no longer.
 * - `Done`: there is nothing to say.
 *
 * @internal
 */
export type Word = "Wait" | "Keep" | "Gone" | "Done"

/** @internal */
export const say = (word: Word, ...calls: ReadonlyArray<string>): Frames.Frames => [
  Frames.delimiter,
  ...[word, ...calls].flatMap(Frames.make)
]

/** @internal */
export const still: Frames.Frames = say("Wait")

/** @internal */
export const gone: Frames.Frames = say("Gone")

/** @internal */
export const done: Frames.Frames = say("Done")

/**
 * The words of a message of the halves themselves; nothing where it is one of the serialization.
 *
 * @internal
 */
export const wordsOf = (body: Frames.Frames): ReadonlyArray<string> | undefined =>
  body[0]?.length === 0 ? body.slice(1).map((frame) => Frames.toString([frame])) : undefined
