/** Multipart messages as values. */

/**
 * A multipart message: its frames in order.
 *
 * @category models
 */
export type Frames = ReadonlyArray<Uint8Array>

/**
 * Input where frames are expected: a text (one frame of UTF-8), bytes (one frame), or frames.
 *
 * @category models
 */
export type Input = string | Uint8Array | Frames

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The empty frame between an envelope and the body.
 *
 * @category constants
 */
export const delimiter: Uint8Array = new Uint8Array(0)

/**
 * Makes frames of a text, of bytes or of frames.
 *
 * @category constructors
 */
export const make = (input: Input): Frames =>
  typeof input === "string" ? [encoder.encode(input)] : input instanceof Uint8Array ? [input] : input

/**
 * Text of a message: its frames as UTF-8, joined by a space.
 *
 * @category combinators
 */
export const toString = (frames: Frames): string => frames.map((frame) => decoder.decode(frame)).join(" ")

/**
 * Number of envelope frames in a message from a ROUTER: the routing frame and all frames up to the first empty one,
 * inclusive. Without an empty frame the envelope is the routing frame alone.
 *
 * @category combinators
 */
export const envelopeLength = (message: Frames): number => {
  for (let i = 1; i < message.length; i++) {
    if (message[i]!.length === 0) {
      return i + 1
    }
  }
  return 1
}
