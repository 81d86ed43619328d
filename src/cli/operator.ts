/**
 * What the operator's commands have in common: which servers they ask, with which token, and how they end.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Terminal from "@effect/platform/Terminal"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as OperatorClient from "../http/OperatorClient.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"
import { validate } from "../settings/Validation.ts"
import type { Observation } from "../status/Doctor.ts"
import { ansi, type Paint, plain, printable } from "./text.ts"

/** All has been said; this is the exit code. */
export class EndedWith extends Data.TaggedError("EndedWith")<{ readonly code: number }> {}

/** Why a command does not do what it was asked to. */
export class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

/** The servers that a command is about. */
export interface Servers {
  readonly addresses: ReadonlyArray<string>
  readonly clientOf: (
    address: string
  ) => Effect.Effect<OperatorClient.OperatorClient, never, HttpClient.HttpClient>
  /** What they say now. */
  readonly observe: Effect.Effect<ReadonlyArray<Observation>, never, HttpClient.HttpClient>
}

const Addresses = Schema.Struct({
  http: Schema.Array(OperatorClient.Address).pipe(
    Schema.minItems(1, {
      message: () =>
        "say where the servers tell their status, which is their --http: --http HOST:PORT, once or twice, or BSTAR_HTTP_SERVERS"
    }),
    Schema.maxItems(2, { message: () => "a pair has two servers" })
  )
})

/** The token is a secret, so it is never an argument, and nothing that is told holds it. */
const tokenOf = (
  file: string | undefined
): Effect.Effect<
  Redacted.Redacted<string> | undefined,
  ConfigError.ConfigError | InvalidConfig,
  FileSystem.FileSystem
> =>
  file === undefined
    ? Effect.flatMap(
      Config.withDefault(Config.string("BSTAR_HTTP_TOKEN"), ""),
      (token) => token === "" ? Effect.succeed(undefined) : checked(token, "BSTAR_HTTP_TOKEN")
    )
    : Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(file)).pipe(
      Effect.mapError(({ message }) => invalidToken("token-file", message)),
      Effect.flatMap((token) => checked(token.trim(), "token-file"))
    )

const invalidToken = (field: string, message: string) => new InvalidConfig({ issues: [{ field, message }] })

/** Anything else cannot be sent. */
const checked = (token: string, field: string): Effect.Effect<Redacted.Redacted<string>, InvalidConfig> =>
  /^[\x21-\x7e]+$/.test(token)
    ? Effect.succeed(Redacted.make(token))
    : invalidToken(field, "expected a token of visible ASCII characters without spaces")

/** Finds out which servers a command is about. */
export const serversOf = (
  parsed: Pick<Values<"status">, "http"> & Partial<Pick<Values<"resume">, "tokenFile">>
): Effect.Effect<Servers, ConfigError.ConfigError | InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { http: addresses } = yield* validate(Addresses, { http: parsed.http })
    const token = "tokenFile" in parsed ? yield* tokenOf(parsed.tokenFile) : undefined
    const clientOf = (address: string) => OperatorClient.make({ address, token })
    return {
      addresses,
      clientOf,
      observe: OperatorClient.observe(addresses, clientOf)
    }
  })

/** Asks over HTTP. An order is not sent on to wherever somebody says. */
export const layerHttp = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" })
)

/** Colours for people, none for programs. */
export const paintOf: Effect.Effect<Paint, ConfigError.ConfigError, Terminal.Terminal> = Effect.gen(function*() {
  const isTTY = yield* Effect.flatMap(Terminal.Terminal, ({ isTTY }) => isTTY)
  const refuses = yield* Config.withDefault(Config.string("NO_COLOR"), "")
  return isTTY && refuses === "" ? ansi : plain
})

/** Writes a line that may hold text from servers. */
export const report = (line: string): Effect.Effect<void> => Console.log(printable(line))

/** Says why something could not be done, and goes on. */
export const complain = (message: string): Effect.Effect<void> => Console.error(`E: ${printable(message)}`)
