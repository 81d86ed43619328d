/** The options of the command line, made of the table of settings. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { helpOf, placeholderOf } from "../settings/Documentation.ts"
import * as Settings from "../settings/Settings.ts"

/** Values by the key of their setting, as they were typed. */
export type Typed = { readonly [key: string]: unknown }

/** Each value is a flag of its own, of which one can be given. */
const flagsOf = ({ kind }: Settings.Setting): Options.Options<string | undefined> =>
  Options.all(
    kind.placeholder.split("|").map((value) =>
      Options.boolean(value, { aliases: [value[0]!] }).pipe(
        Options.withDescription(`Run the ${value} server.`),
        Options.map((isGiven) => isGiven ? [value] : [])
      )
    )
  ).pipe(Options.mapEffect((given) => given.flat().length > 1 ? noRole : Effect.succeed(given.flat()[0])))

/** The role is neither an option nor in the environment or a file, or it is not clear. */
export const noRole = Effect.fail(ValidationError.invalidArgument(HelpDoc.p("exactly one of -p and -b is needed")))

const optionOf = (setting: Settings.Setting, command: Settings.Command | undefined): Options.Options<unknown> => {
  const { flag, isFlags, isRequired, kind } = setting
  if (isFlags === true) {
    return flagsOf(setting)
  }
  const help = Options.withDescription(helpOf(setting, command))
  if (kind.placeholder === "") {
    return help(Options.boolean(flag))
  }
  const text = Options.withPseudoName(Options.text(flag), placeholderOf(setting))
  if (kind.fileTypes.includes("object")) {
    return help(Options.map(Options.repeated(text), (items) => items.length === 0 ? undefined : items))
  }
  return help(isRequired === true ? text : Options.map(Options.optional(text), Option.getOrUndefined))
}

/** The options of commands. Values are checked where they are resolved, so that all that are wrong are reported at once. */
export const of = (...commands: ReadonlyArray<Settings.Command>): Options.Options<Typed> =>
  Options.all(
    Object.fromEntries(
      Settings.of(...commands).filter(({ from }) => from.includes("option")).map((
        setting
      ) => [
        setting.key,
        optionOf(setting, commands.length === 1 || commands[0] === "client" ? commands[0] : undefined)
      ])
    )
  )
