/**
 * Multipart messages as values.
 *
 * @since 0.1.0
 */

/**
 * A multipart message: its frames in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Frames = ReadonlyArray<Uint8Array>

/**
 * What may be given where frames are wanted: a text (one frame of UTF-8), bytes (one frame), or frames.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | Uint8Array | Frames

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The empty frame that separates an envelope from the body behind it.
 *
 * @since 0.1.0
 * @category constants
 */
export const delimiter: Uint8Array = new Uint8Array(0)

/**
 * Makes frames of a text, of bytes or of frames.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input): Frames =>
  typeof input === "string" ? [encoder.encode(input)] : input instanceof Uint8Array ? [input] : input

/**
 * The text of a message for people and for text protocols: its frames as UTF-8, joined by a space.
 *
 * @since 0.1.0
 * @category combinators
 */
export const toString = (frames: Frames): string => frames.map((frame) => decoder.decode(frame)).join(" ")

/**
 * How many frames of a message that came in through a ROUTER are its envelope: the routing frame and all that follows up
 * to the first empty frame, that one included. A sender that puts no empty frame has the routing frame alone as its
 * envelope.
 *
 * @since 0.1.0
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
