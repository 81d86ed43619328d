/** `--witness`: the third party of a pair. The code of an engine is loaded only where it is used. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"
import type { WitnessEndpoint } from "../wire/WitnessEndpoint.ts"
import type { Access, Connection } from "./engine.ts"

export type WitnessValues = Pick<
  Values<"server">,
  "witness" | "witnessCa" | "witnessCert" | "witnessKey" | "witnessPassword" | "witnessPasswordFile"
>

const read = (field: string, file: string | undefined): Effect.Effect<string | undefined, InvalidConfig> =>
  file === undefined ? Effect.succeed(undefined) : Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) =>
      new InvalidConfig({
        issues: [{ field, message: `cannot read ${file}: ${error instanceof Error ? error.message : String(error)}` }]
      })
  }).pipe(
    Effect.filterOrFail(
      (content) => content.trim() !== "",
      () => new InvalidConfig({ issues: [{ field, message: `${file} is empty` }] })
    )
  )

const redacted = (text: string | undefined) => text === undefined ? undefined : Redacted.make(text)

/** Reads the files of a witness. */
export const accessOf = (values: WitnessValues, endpoint: WitnessEndpoint): Effect.Effect<Access, InvalidConfig> =>
  Effect.gen(function*() {
    const password = yield* read("witness-password-file", values.witnessPasswordFile)
    return {
      endpoint,
      password: password === undefined ? values.witnessPassword : Redacted.make(password.replace(/\r?\n$/, "")),
      ca: yield* read("witness-ca", values.witnessCa),
      cert: yield* read("witness-cert", values.witnessCert),
      key: redacted(yield* read("witness-key", values.witnessKey))
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
