/** The texts of `--help`. The short help fits on one screen; `--help --all` explains every option. */
import { helpOf } from "../settings/Documentation.ts"
import * as Settings from "../settings/Settings.ts"
import type { CommandOption, Syntax } from "./syntax.ts"
import * as syntax from "./syntax.ts"
import type { Paint } from "./text.ts"

const width = 100

/** Above this number of options the short help of a command lists only the usual ones. */
const fewOptions = 14

const longestPlaceholder = 20

/** Text in lines, from the second on behind an indentation. */
const wrap = (text: string, indentation: number, first = indentation): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    const room = width - (lines.length === 0 ? first : indentation)
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else {
      line += `${line === "" ? "" : " "}${word}`
    }
  }
  return [...lines, line].join(`\n${" ".repeat(indentation)}`)
}

/** Rows of two columns. A first cell that is too wide is followed by a line break. */
const table = (rows: ReadonlyArray<readonly [string, string]>, widest: number): ReadonlyArray<string> => {
  const column = Math.min(widest, Math.max(...rows.map(([left]) => left.length))) + 4
  return rows.map(([left, right]) =>
    left.length + 4 > column
      ? `  ${left}\n${" ".repeat(column)}${wrap(right, column)}`
      : `  ${left.padEnd(column - 2)}${wrap(right, column)}`
  )
}

/** The option and what stands for its value, which is short in the short help. */
const writeOption = ({ alias, flag, isRepeatable, placeholder }: CommandOption, isAll: boolean): string => {
  const value = isAll || placeholder.length <= longestPlaceholder ? placeholder : flag.toUpperCase()
  return `${alias === undefined ? "" : `-${alias}, `}--${flag}${value === "" ? "" : ` ${value}`}${
    isRepeatable && value !== "" ? " ..." : ""
  }`
}

/** The command in the table of settings for whose defaults the help is, if there is one. */
const settingsOf = ({ settings }: Syntax) => settings.length === 1 || settings[0] === "client" ? settings[0] : undefined

/** The default for the short help: nothing if there is none. */
const shortDefault = (command: Syntax, setting: Settings.Setting): string => {
  const { commandDefaults, default: general } = setting
  const name = settingsOf(command)
  const value = (name && commandDefaults?.[name]) ?? general
  if (value === undefined || (Array.isArray(value) && value.length === 0)) {
    return ""
  }
  return typeof value === "object" && "primary" in value
    ? ` (${value.primary}, with -b ${value.backup})`
    : ` (${Settings.describeDefault(setting, name)})`
}

const shortHelp = (command: Syntax, { help, placeholder, setting }: CommandOption): string => {
  const text = (setting?.short ?? help).replace(/\.$/, "")
  return setting === undefined || setting.isRequired === true || placeholder === ""
    ? text
    : `${text}${shortDefault(command, setting)}`
}

const longHelp = (command: Syntax, { help, setting }: CommandOption): string =>
  setting === undefined || setting.isFlags === true ? help : helpOf(setting, settingsOf(command))

const isUsual = ({ setting }: CommandOption) => setting?.short !== undefined

const optionRows = (command: Syntax, isAll: boolean) => {
  const all = syntax.options(command)
  const isShort = !isAll && all.length > fewOptions
  const shown = isAll ? [...all, ...syntax.everywhere] : isShort ? all.filter(isUsual) : all
  const describe = isAll ? longHelp : shortHelp
  return {
    isShort,
    rows: shown.map((option): readonly [string, string] => [writeOption(option, isAll), describe(command, option)])
  }
}

const examples = ({ examples }: Syntax, paint: Paint): ReadonlyArray<string> =>
  examples.length === 0 ? [] : ["", paint("bold", "Examples"), ...table(examples, 52)]

const options = (command: Syntax, isAll: boolean, paint: Paint): ReadonlyArray<string> => {
  const { isShort, rows } = optionRows(command, isAll)
  const all = `${syntax.title(command)} --help --all`
  return rows.length === 0 ? [] : [
    "",
    isShort
      ? `${paint("bold", "The usual options")} and their defaults; ${all} has every one`
      : `${paint("bold", "Options")}${isAll ? "" : " and their defaults"}`,
    ...table(rows, isAll ? 24 : 34)
  ]
}

const commandRows = (commands: ReadonlyArray<Syntax>, paint: Paint): ReadonlyArray<string> =>
  syntax.groups.flatMap((group) =>
    commands.filter((command) => command.group === group && command.name !== "").map(({ name, short }, at) =>
      `${at === 0 ? paint("bold", group.padEnd(12)) : " ".repeat(12)}${name.padEnd(16)}${short}`
    )
  )

const rootHelp = (command: Syntax, commands: ReadonlyArray<Syntax>, isAll: boolean, paint: Paint): string =>
  [
    `${paint("bold", "Usage")}: bstar { -p | -b } [options]   a server of a pair: -p is the primary, -b its backup`,
    "       bstar COMMAND [options]       bstar COMMAND --help explains it",
    "",
    wrap(command.summary, 0),
    "",
    ...commandRows(commands, paint),
    ...options(command, isAll, paint),
    ...examples(command, paint)
  ].join("\n")

const commandHelp = (command: Syntax, isAll: boolean, paint: Paint): string => {
  const { operand, summary } = command
  return [
    `${paint("bold", "Usage")}${syntax.usage(command).split("\n")[0]!.slice("Usage".length)}`,
    "",
    wrap(summary, 0),
    ...(operand === undefined ? [] : ["", ...table([[operand.name, operand.help]], 34)]),
    ...options(command, isAll, paint),
    ...examples(command, paint)
  ].join("\n")
}

/** The help of a command, of which the first is that of a server. */
export const help = (command: Syntax, commands: ReadonlyArray<Syntax>, isAll: boolean, paint: Paint): string =>
  command.name === "" ? rootHelp(command, commands, isAll, paint) : commandHelp(command, isAll, paint)
