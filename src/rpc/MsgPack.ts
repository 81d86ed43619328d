/**
 * MessagePack for a `Contract`.
 *
 * @since 0.1.0
 */
import { Packr } from "msgpackr"
import type { Codec } from "./Contract.ts"

// Records are an extension that only msgpackr reads.
const packr = new Packr({ useRecords: false })

/**
 * MessagePack: about half the bytes of JSON, and `Uint8Array`s as they are.
 *
 * @since 0.1.0
 * @category constants
 */
export const msgPack: Codec = {
  encode: (value) => packr.pack(value),
  decode: (frame) => packr.unpack(frame)
}
