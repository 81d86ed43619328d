/** Files that settings name. */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import * as FileErrors from "../internal/FileErrors.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"

export const invalid = (field: string, message: string): InvalidConfig =>
  new InvalidConfig({ issues: [{ field, message }] })

/** The text of a file, which must not be empty. An error names the setting. */
export const readText = (field: string, file: string): Effect.Effect<string, InvalidConfig> =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) => invalid(field, `cannot read ${file}: ${FileErrors.reasonOf(error)}`)
  }).pipe(
    Effect.filterOrFail((text) => text.trim() !== "", () => invalid(field, `${file} is empty`))
  )
