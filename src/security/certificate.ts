/** Key files: the certificates of CZMQ and pyzmq, which read them, and write some that are read here. */
import * as Redacted from "effect/Redacted"
import type { KeyPair } from "./CurveKey.ts"
import { isKey, publicKeyOf } from "./CurveKey.ts"

const head = (what: string) =>
  `#   ZeroMQ CURVE ${what} of effect-binary-star; CZMQ and pyzmq read it too.\n\nmetadata\ncurve\n`

const line = (name: string, key: string) => `    ${name} = "${key}"\n`

/** The text of a file that may be given away. */
export const publicText = ({ publicKey }: KeyPair): string => head("public key") + line("public-key", publicKey)

/** The text of a file that nobody else may read. */
export const secretText = ({ publicKey, secretKey }: KeyPair): string =>
  head("SECRET key, not to be shown to anybody,") +
  line("public-key", publicKey) +
  line("secret-key", Redacted.value(secretKey))

const valueOf = (name: string, text: string): string | undefined =>
  new RegExp(`^[ \\t]*${name}[ \\t]*=[ \\t]*"([^"\\n]*)"[ \\t]*\\r?$`, "m").exec(text)?.[1]

/** The public key in a file's text, or what is wrong with it. */
export const readPublic = (text: string): { readonly key: string } | { readonly wrong: string } => {
  const key = valueOf("public-key", text)
  // Its name says that it is to be given away.
  return valueOf("secret-key", text) !== undefined
    ? { wrong: "holds a secret key, which does not belong into a public file" }
    : key === undefined
    ? { wrong: `has no line public-key = "..."` }
    : isKey(key)
    ? { key }
    : { wrong: "holds something else than a key of CURVE, which is 40 characters of Z85" }
}

/** Both keys in a file's text, or what is wrong with it, without the secret. */
export const readSecret = (text: string): { readonly keys: KeyPair } | { readonly wrong: string } => {
  const secret = valueOf("secret-key", text)
  if (secret === undefined) {
    return { wrong: `has no line secret-key = "..."` }
  }
  const secretKey = Redacted.make(secret)
  const publicKey = publicKeyOf(secretKey)
  const written = valueOf("public-key", text)
  return publicKey === undefined
    ? { wrong: "holds something else than a key of CURVE, which is 40 characters of Z85" }
    : written !== undefined && written !== publicKey
    ? { wrong: "holds a public and a secret key that do not belong together" }
    : { keys: { publicKey, secretKey } }
}
