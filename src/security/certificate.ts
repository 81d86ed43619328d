/** The text of key files: the certificate format of CZMQ and pyzmq, in both directions. */
import * as Redacted from "effect/Redacted"
import type { KeyPair } from "./CurveKey.ts"
import { isKey, publicKeyOf } from "./CurveKey.ts"

const head = (what: string) =>
  `#   ZeroMQ CURVE ${what} of effect-binary-star; CZMQ and pyzmq read it too.\n\nmetadata\ncurve\n`

const line = (name: string, key: string) => `    ${name} = "${key}"\n`

/** The text of a file with a public key. */
export const publicText = ({ publicKey }: KeyPair): string => head("public key") + line("public-key", publicKey)

/** The text of a file with a secret key. */
export const secretText = ({ publicKey, secretKey }: KeyPair): string =>
  head("SECRET key, readable by its owner only,") +
  line("public-key", publicKey) +
  line("secret-key", Redacted.value(secretKey))

const valueOf = (name: string, text: string): string | undefined =>
  new RegExp(`^[ \\t]*${name}[ \\t]*=[ \\t]*"([^"\\n]*)"[ \\t]*\\r?$`, "m").exec(text)?.[1]

const notAKey = { wrong: "contains a text that is not a key of CURVE, which is 40 characters of Z85" }

/** The public key in the text of a file, or what is wrong with it. */
export const readPublic = (text: string): { readonly key: string } | { readonly wrong: string } => {
  const key = valueOf("public-key", text)
  if (valueOf("secret-key", text) !== undefined) {
    return { wrong: "contains a secret key, which does not belong in a public file" }
  }
  if (key === undefined) {
    return { wrong: `has no line public-key = "..."` }
  }
  return isKey(key) ? { key } : notAKey
}

/** Both keys in the text of a file, or what is wrong with it, without the secret. */
export const readSecret = (text: string): { readonly keys: KeyPair } | { readonly wrong: string } => {
  const secret = valueOf("secret-key", text)
  if (secret === undefined) {
    return { wrong: `has no line secret-key = "..."` }
  }
  const secretKey = Redacted.make(secret)
  const publicKey = publicKeyOf(secretKey)
  const written = valueOf("public-key", text)
  if (publicKey === undefined) {
    return notAKey
  }
  return written !== undefined && written !== publicKey
    ? { wrong: "contains a public and a secret key that do not belong together" }
    : { keys: { publicKey, secretKey } }
}
