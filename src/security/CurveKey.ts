/**
 * Keys of CURVE, the encryption of ZeroMQ: Curve25519, written in Z85, 40 characters each.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import type { ConfigIssue } from "../settings/InvalidConfig.ts"

/**
 * A public key and its secret. The secret proves to others the identity behind the public key.
 *
 * @category models
 */
export interface KeyPair {
  readonly publicKey: string
  readonly secretKey: Redacted.Redacted
}

/**
 * Public keys, each with the name of its file, and the issues of those that are not usable.
 *
 * @category models
 */
export interface Keys {
  readonly names: ReadonlyMap<string, string>
  readonly issues: ReadonlyArray<ConfigIssue>
}

/**
 * The keys that are accepted now. Evaluated for each connection, so that a change needs no restart. An issue at start-up is fatal;
 * later it is logged, and the usable keys count.
 *
 * @category models
 */
export type Accepted = Effect.Effect<Keys>

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

/**
 * Encodes the 32 bytes of a key as text.
 *
 * @category combinators
 */
export const encode = (bytes: Uint8Array): string => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ""
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    let value = view.getUint32(at)
    let five = ""
    for (let i = 0; i < 5; i++) {
      five = alphabet[value % 85]! + five
      value = Math.floor(value / 85)
    }
    text += five
  }
  return text
}

/** The bytes of a key. `undefined` if the text is not a key. */
const decode = (text: string): Buffer | undefined => {
  if (text.length !== 40) {
    return undefined
  }
  const bytes = Buffer.alloc(32)
  for (let at = 0; at < 8; at++) {
    let value = 0
    for (const letter of text.slice(at * 5, at * 5 + 5)) {
      const digit = alphabet.indexOf(letter)
      value = digit === -1 ? Number.NaN : value * 85 + digit
    }
    if (!(value < 2 ** 32)) {
      return undefined
    }
    bytes.writeUInt32BE(value, at * 4)
  }
  return bytes
}

/**
 * Whether a text is a key: 40 characters of Z85 that encode 32 bytes.
 *
 * @category guards
 */
export const isKey = (text: string): boolean => decode(text) !== undefined

/** The prefix of the 32 bytes of an X25519 key in PKCS 8. */
const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex")

const publicPart = (key: crypto.KeyObject): string => encode(Buffer.from(key.export({ format: "jwk" }).x!, "base64url"))

/**
 * The public key of a secret one. `undefined` if that is not a key.
 *
 * @category combinators
 */
export const publicKeyOf = (secretKey: Redacted.Redacted): string | undefined => {
  const bytes = decode(Redacted.value(secretKey))
  return bytes && publicPart(
    crypto.createPublicKey(
      crypto.createPrivateKey({ key: Buffer.concat([pkcs8, bytes]), format: "der", type: "pkcs8" })
    )
  )
}

/**
 * A new pair of keys.
 *
 * @category constructors
 */
export const generate: Effect.Effect<KeyPair> = Effect.sync(() => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("x25519")
  return {
    publicKey: publicPart(publicKey),
    secretKey: Redacted.make(encode(Buffer.from(privateKey.export({ format: "jwk" }).d!, "base64url")))
  }
})
