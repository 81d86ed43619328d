/** `--witness`: the third party of a pair. The code of an engine is loaded only where it is used. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"
import type { WitnessEndpoint } from "../wire/WitnessEndpoint.ts"
import type { Access, Connection } from "./engine.ts"
import { invalid, readText } from "./files.ts"

export type WitnessValues = Pick<
  Values<"server">,
  "witness" | "witnessCa" | "witnessCert" | "witnessKey" | "witnessPassword" | "witnessPasswordFile"
>

const read = (field: string, file: string | undefined): Effect.Effect<string | undefined, InvalidConfig> =>
  file === undefined ? Effect.succeed(undefined) : readText(field, file)

const attempt = <A>(field: string, message: string, parse: () => A): Effect.Effect<A, InvalidConfig> =>
  Effect.try({ try: parse, catch: () => invalid(field, message) })

/** The certificates of a file, the owner's first. All are parsed here, since TLS ignores an authority that it cannot parse. */
const certificatesOf = (
  field: string,
  file: string | undefined,
  text: string
): Effect.Effect<ReadonlyArray<X509Certificate>, InvalidConfig> => {
  const blocks = text.split(/(?=-----BEGIN )/).filter((block) => /^-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(block))
  return blocks.length === 0
    ? invalid(field, `${file} contains no certificate in PEM`)
    : Effect.forEach(
      blocks,
      (block, at) => attempt(field, `${file}: certificate ${at + 1} cannot be parsed`, () => new X509Certificate(block))
    )
}

/** Fails at once if TLS could not use the files: the driver of an engine reports it only when it connects, and retries forever. */
const checkCertificates = (
  { witnessCa, witnessCert, witnessKey }: WitnessValues,
  { ca, cert, key }: { readonly [name in "ca" | "cert" | "key"]: string | undefined }
): Effect.Effect<void, InvalidConfig> =>
  Effect.gen(function*() {
    yield* ca === undefined ? Effect.void : certificatesOf("witness-ca", witnessCa, ca)
    const [own] = cert === undefined ? [] : yield* certificatesOf("witness-cert", witnessCert, cert)
    const secret = key === undefined ? undefined : yield* attempt(
      "witness-key",
      `${witnessKey} contains no private key in PEM, or one with a passphrase`,
      () => createPrivateKey(key)
    )
    if (own !== undefined && secret !== undefined && !own.checkPrivateKey(secret)) {
      return yield* invalid("witness-key", `${witnessKey} is not the key of ${witnessCert}`)
    }
  })

const redacted = (text: string | undefined) => text === undefined ? undefined : Redacted.make(text)

/** The password of the witness's user, if there is one. A file overrides the environment. */
export const passwordOf = (
  { witnessPassword, witnessPasswordFile }: Pick<WitnessValues, "witnessPassword" | "witnessPasswordFile">
): Effect.Effect<Redacted.Redacted<string> | undefined, InvalidConfig> =>
  Effect.map(
    read("witness-password-file", witnessPasswordFile),
    (password) => password === undefined ? witnessPassword : Redacted.make(password.replace(/\r?\n$/, ""))
  )

/** Reads and checks the files of a witness. */
export const accessOf = (values: WitnessValues, endpoint: WitnessEndpoint): Effect.Effect<Access, InvalidConfig> =>
  Effect.gen(function*() {
    const certificates = {
      ca: yield* read("witness-ca", values.witnessCa),
      cert: yield* read("witness-cert", values.witnessCert),
      key: yield* read("witness-key", values.witnessKey)
    }
    yield* checkCertificates(values, certificates)
    return {
      ...certificates,
      endpoint,
      password: yield* passwordOf(values),
      key: redacted(certificates.key)
    }
  })

/** The connection to a witness. Nothing is connected yet. */
export const connectionOf = ({ endpoint, ...access }: Access): Effect.Effect<Connection> =>
  endpoint.engine === "etcd"
    ? Effect.map(Effect.promise(() => import("./etcd.ts")), ({ connect }) => connect({ ...access, endpoint }))
    : Effect.map(Effect.promise(() => import("./postgres.ts")), ({ connect }) => connect({ ...access, endpoint }))

/** The witness that was given. */
export const layerOf = (values: WitnessValues): Effect.Effect<Layer.Layer<never, InvalidConfig>, InvalidConfig> =>
  Effect.gen(function*() {
    if (values.witness === undefined) {
      return Layer.empty
    }
    return (yield* connectionOf(yield* accessOf(values, values.witness))).layer
  })
