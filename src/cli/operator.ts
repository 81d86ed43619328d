/**
 * Shared by the operator's commands: the servers, the token, the HTTP client, the output and the exit code.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as OperatorClient from "../http/OperatorClient.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"
import { validate } from "../settings/Validation.ts"
import type { Observation } from "../status/Observation.ts"
import { printable } from "./text.ts"
import * as Token from "./token.ts"

/** Exit with this code; output is already written. */
export class EndedWith extends Data.TaggedError("EndedWith")<{ readonly code: number }> {}

/** The command cannot be carried out now. */
export class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

/** The servers of a command. */
export interface Servers {
  readonly addresses: ReadonlyArray<string>
  readonly clientOf: (
    address: string
  ) => Effect.Effect<OperatorClient.OperatorClient, never, HttpClient.HttpClient>
  /** Requests their statuses. */
  readonly observe: Effect.Effect<ReadonlyArray<Observation>, never, HttpClient.HttpClient>
}

const Addresses = Schema.Struct({
  http: Schema.Array(OperatorClient.Address).pipe(
    Schema.minItems(1, {
      message: () => "give the --http of the servers: --http HOST:PORT, once or twice, or BSTAR_HTTP_SERVERS"
    }),
    Schema.maxItems(2, { message: () => "a pair has two servers" })
  )
})

/** The token of a command, if there is one. */
const tokenOf = (
  file: string | undefined
): Effect.Effect<Redacted.Redacted<string> | undefined, ConfigError.ConfigError | InvalidConfig> =>
  file === undefined
    ? Effect.flatMap(
      Config.withDefault(Config.string("BSTAR_HTTP_TOKEN"), ""),
      (token) => token === "" ? Effect.succeed(undefined) : Token.checked(token, "BSTAR_HTTP_TOKEN")
    )
    : Token.inFile(file, "token-file")

/** The servers of a command, by its options or the environment. */
export const serversOf = (
  parsed: Pick<Values<"status">, "http"> & Partial<Pick<Values<"resume">, "tokenFile">>
): Effect.Effect<Servers, ConfigError.ConfigError | InvalidConfig> =>
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

/** The HTTP client. It follows no redirects: a command, with its token, is not sent to another server. */
export const layerHttp = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" })
)

/** Writes a line that may contain text from servers. */
export const report = (line: string): Effect.Effect<void> => Console.log(printable(line))

/** Writes an error and goes on. */
export const complain = (message: string): Effect.Effect<void> => Console.error(`E: ${printable(message)}`)
