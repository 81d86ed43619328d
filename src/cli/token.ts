/** The token of an operator, from a file or the environment. It is a secret, so it is never an argument, and no output contains it. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { isToken, tokenMessage } from "../http/Token.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { operations } from "../settings/Settings.ts"
import { invalid, readText } from "./files.ts"

/** A token, or the error of a text that cannot be one. */
export const checked = (token: string, field: string): Effect.Effect<Redacted.Redacted<string>, InvalidConfig> =>
  isToken(token) ? Effect.succeed(Redacted.make(token)) : invalid(field, tokenMessage)

/** The token in a file. */
export const inFile = (file: string, field: string): Effect.Effect<Redacted.Redacted<string>, InvalidConfig> =>
  Effect.flatMap(readText(field, file), (text) => checked(text.trim(), field))

/** The token of a server, if it has one. A file overrides the environment. */
export const ofServer = ({ httpToken, httpTokenFile }: {
  readonly httpToken?: Redacted.Redacted<string> | undefined
  readonly httpTokenFile?: string | undefined
}): Effect.Effect<Redacted.Redacted<string> | undefined, InvalidConfig> => {
  if (httpTokenFile !== undefined) {
    return inFile(httpTokenFile, operations.httpTokenFile.flag)
  }
  return httpToken === undefined
    ? Effect.succeed(undefined)
    : checked(Redacted.value(httpToken), operations.httpToken.variable)
}
