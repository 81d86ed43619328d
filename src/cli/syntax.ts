/** What a command line may contain: commands, and their options, which are made of the table of settings. */
import { placeholderOf } from "../settings/Documentation.ts"
import * as Settings from "../settings/Settings.ts"

/** Groups of commands, in the order of the help. */
export const groups = ["Serve", "Connect", "Operate", "Set up", "Understand"] as const

/** The shells whose completions there are. */
export const shells = ["bash", "zsh", "fish"] as const

export type Shell = typeof shells[number]

/** What follows the options of a command. */
export interface Operand {
  readonly name: string
  readonly help: string
  readonly isOptional?: true
  /** The rest of the line belongs to it, options included. */
  readonly isRest?: true
  readonly values?: ReadonlyArray<string>
  readonly path?: "file" | "directory"
}

/** The syntax and the help of a command. */
export interface Syntax {
  /** As it is typed after `bstar`, such as `config check`; empty for a server of a pair. */
  readonly name: string
  readonly group: typeof groups[number]
  /** One sentence. */
  readonly summary: string
  /** The summary among those of the other commands. */
  readonly short: string
  /** The commands in the table of settings whose options it has. */
  readonly settings: ReadonlyArray<Settings.Command>
  readonly operand?: Operand
  /** Flags that are no settings, and what each does. */
  readonly flags?: { readonly [flag: string]: string }
  /** Command lines, and what each is for. */
  readonly examples: ReadonlyArray<readonly [line: string, meaning: string]>
}

/** An option of a command. */
export interface CommandOption {
  readonly flag: string
  readonly alias?: string
  /** The key of its value. */
  readonly key: string
  /** Stands for its value; empty if it has none. */
  readonly placeholder: string
  /** The values that it may have, if they are few. */
  readonly values: ReadonlyArray<string>
  readonly isRequired: boolean
  readonly isRepeatable: boolean
  readonly help: string
  readonly setting?: Settings.Setting
}

const isListed = (placeholder: string): boolean => /^[a-z-]+(\|[a-z-]+)+$/.test(placeholder)

const optionsOf = (setting: Settings.Setting): ReadonlyArray<CommandOption> => {
  const { flag, help, isFlags, isRequired, key, kind } = setting
  const common = { key, isRepeatable: kind.fileTypes.includes("object"), setting }
  if (isFlags === true) {
    return kind.placeholder.split("|").map((value) => ({
      ...common,
      ...{ flag: value, alias: value[0]!, placeholder: "", values: [], isRequired: false },
      help: `Run the ${value} server.`
    }))
  }
  const placeholder = placeholderOf(setting)
  return [{
    ...common,
    ...{ flag, placeholder, help },
    values: isListed(placeholder) ? placeholder.split("|") : [],
    isRequired: isRequired === true
  }]
}

/** The options of a command, in the order of the help. */
export const options = ({ flags = {}, settings }: Syntax): ReadonlyArray<CommandOption> => [
  ...Object.entries(flags).map(([flag, help]): CommandOption => ({
    ...{ flag, key: flag, placeholder: "", values: [], help },
    isRequired: false,
    isRepeatable: false
  })),
  ...Settings.of(...settings).filter(({ from }) => from.includes("option")).flatMap(optionsOf)
]

/** The levels of `--log-level`, by the names that Effect has for them. */
export const logLevels = {
  all: "All",
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warning: "Warning",
  error: "Error",
  fatal: "Fatal",
  none: "None"
} as const

const general = { isRequired: false, isRepeatable: false, values: [], placeholder: "" } as const

/** The options that every command has. */
export const everywhere: ReadonlyArray<CommandOption> = [
  { ...general, flag: "help", alias: "h", key: "help", help: "Print the help of a command." },
  { ...general, flag: "all", key: "all", help: "With --help: every option, with its default and its variable." },
  { ...general, flag: "version", alias: "v", key: "version", help: "Print the version." },
  {
    ...general,
    ...{ flag: "log-level", key: "log-level", placeholder: "LEVEL", values: Object.keys(logLevels) },
    help: `The least level of the log lines that are written: ${Object.keys(logLevels).join(", ")}. Default: info.`
  }
]

/** The name of a command as it is typed. */
export const title = ({ name }: Pick<Syntax, "name">): string => name === "" ? "bstar" : `bstar ${name}`

/** The usage of a command in two lines. */
export const usage = (syntax: Syntax): string => {
  const { name, operand, settings } = syntax
  const role = settings.includes("check") ? "[-p | -b] " : Settings.of(...settings).includes(Settings.identity.role)
    ? "{ -p | -b } "
    : ""
  const required = options(syntax).filter(({ isRequired }) => isRequired)
    .map(({ flag, placeholder }) => `--${flag} ${placeholder} `)
    .join("")
  const operands = operand === undefined
    ? ""
    : operand.isRest
    ? ` [--] ${operand.name}`
    : operand.isOptional
    ? ` [${operand.name}]`
    : ` ${operand.name}`
  return `Usage: ${title(syntax)} ${role}${required}[options]${operands}\n       ${title(syntax)} --help explains ${
    name === "" ? "them and lists the commands" : "them"
  }`
}
