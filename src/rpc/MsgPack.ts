/**
 * MessagePack for a `Contract`.
 */
import { Packr } from "msgpackr"
import type { Codec } from "./Contract.ts"

// Records are an extension of msgpackr, which other implementations cannot read.
const packr = new Packr({ useRecords: false })

/**
 * MessagePack: about half the size of JSON, and `Uint8Array`s without conversion.
 *
 * @category constants
 */
export const msgPack: Codec = {
  encode: (value) => packr.pack(value),
  decode: (frame) => packr.unpack(frame)
}
