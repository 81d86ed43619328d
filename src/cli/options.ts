/** The options of a command for `@effect/cli`, which reads the values of a command line that `parse.ts` has checked. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { version } from "../internal/Version.ts"
import type { CommandOption, Syntax } from "./syntax.ts"
import * as syntax from "./syntax.ts"

/** Values by the key of their setting, as they were typed: text, a list of texts, or `true`. */
export type Typed = { readonly [key: string]: unknown }

/** An option that is not given has no value. */
const valueOf = ({ flag, isRepeatable, key, placeholder, setting }: CommandOption): Options.Options<Typed> => {
  const typed = (value: unknown): Typed => ({ [key]: value })
  if (placeholder === "") {
    const value = setting?.isFlags === true ? flag : true
    return Options.map(Options.boolean(flag), (isGiven) => isGiven ? typed(value) : {})
  }
  return isRepeatable
    ? Options.map(Options.repeated(Options.text(flag)), (texts) => texts.length === 0 ? {} : typed(texts))
    : Options.map(Options.optional(Options.text(flag)), Option.match({ onNone: () => ({}), onSome: typed }))
}

/** Reads the options of a command, and runs it. */
export const run = <E, R>(
  command: Syntax,
  args: ReadonlyArray<string>,
  execute: (typed: Typed) => Effect.Effect<void, E, R>
) =>
  Command.make(
    "bstar",
    Object.fromEntries(syntax.options(command).map((option) => [option.flag, valueOf(option)])),
    (values) => execute(Object.assign({}, ...Object.values(values)))
  ).pipe(
    Command.run({ name: syntax.title(command), version }),
    (run) => run(["node", "bstar", ...args])
  )
