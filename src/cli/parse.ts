/**
 * Checks the command line, and splits it into the command, its options and its operands. The values of the options are read by
 * `options.ts`, and checked where they are resolved, so that all that are wrong are reported at once.
 */
import { didYouMean } from "../settings/Suggestion.ts"
import type { CommandOption, Syntax } from "./syntax.ts"
import * as syntax from "./syntax.ts"
import { UsageError } from "./usageError.ts"

/** What the command line asks for. */
export type Invocation<C extends Syntax> =
  | { readonly _tag: "Version" }
  | { readonly _tag: "Help"; readonly command: C; readonly isAll: boolean }
  | {
    readonly _tag: "Run"
    readonly command: C
    /** The options that are settings or flags of the command, by their long names: flags, then the others, each with its value. */
    readonly args: ReadonlyArray<string>
    readonly operands: ReadonlyArray<string>
    readonly logLevel: keyof typeof syntax.logLevels | undefined
  }

const isOption = (token: string): boolean => token.length > 1 && token.startsWith("-")

const write = ({ alias, flag }: CommandOption): ReadonlyArray<string> =>
  alias === undefined ? [`--${flag}`] : [`--${flag}`, `-${alias}`]

/** The option of a token, and the value that follows `=`. */
const find = (options: ReadonlyArray<CommandOption>, token: string) => {
  const at = token.startsWith("--") ? token.indexOf("=") : -1
  const name = at < 0 ? token : token.slice(0, at)
  return {
    name,
    option: options.find((one) => write(one).includes(name)),
    value: at < 0 ? undefined : token.slice(at + 1)
  }
}

const namesOf = (commands: ReadonlyArray<Syntax>) => commands.map(({ name }) => name).filter((name) => name !== "")

/** The command that the words before the first option begin, and how many words its name has. */
const commandOf = <C extends Syntax>(commands: ReadonlyArray<C>, words: ReadonlyArray<string>) => {
  for (const length of [2, 1]) {
    const command = commands.find(({ name }) => name !== "" && name === words.slice(0, length).join(" "))
    if (command !== undefined && words.length >= length) {
      return { command, length }
    }
  }
  return { command: commands.find(({ name }) => name === "")!, length: 0 }
}

const fail = (command: Syntax, message: string): never => {
  throw new UsageError({ message, usage: syntax.usage(command) })
}

/** A word that is no command: the first of two words, or one that is misspelt. */
const noCommand = (commands: ReadonlyArray<Syntax>, root: Syntax, words: ReadonlyArray<string>): never => {
  const [first = "", second] = words
  const inner = namesOf(commands).filter((name) => name.startsWith(`${first} `)).map((name) =>
    name.slice(first.length + 1)
  )
  if (inner.length > 0) {
    const list = inner.map((name) => `bstar ${first} ${name}`).join(", ")
    return fail(
      root,
      second === undefined
        ? `bstar ${first} needs a command: ${list}`
        : `bstar ${first} has no command ${JSON.stringify(second)}${
          didYouMean(second, inner, (name) => `bstar ${first} ${name}`) || `; it has ${list}`
        }`
    )
  }
  const names = [...new Set([...namesOf(commands).flatMap((name) => [name, name.split(" ")[0]!]), "help"])]
  return fail(
    root,
    `unknown command ${JSON.stringify(first)}${
      didYouMean(first, names, (name) => `bstar ${name}`) || "; bstar --help lists the commands"
    }`
  )
}

const unknownOption = (commands: ReadonlyArray<Syntax>, command: Syntax, name: string): never => {
  const own = [...syntax.options(command), ...syntax.everywhere]
  const elsewhere = commands.filter((other) => find(syntax.options(other), name).option !== undefined).map(syntax.title)
  return fail(
    command,
    elsewhere.length > 0
      ? `${name} is not an option of ${syntax.title(command)} but of ${elsewhere.slice(0, 3).join(", ")}${
        elsewhere.length > 3 ? " and others" : ""
      }`
      : `unknown option ${name}${
        didYouMean(name.replace(/^-+/, ""), own.map(({ flag }) => flag), (flag) => `--${flag}`)
      }`
  )
}

/** Whether a token can be the value of an option: a known option cannot. */
const isValue = (options: ReadonlyArray<CommandOption>, token: string | undefined): token is string =>
  token !== undefined && token !== "--" && !(isOption(token) && find(options, token).option !== undefined)

/** The words that may be the command's name: the first two that are neither options nor their values. */
const wordsOf = (commands: ReadonlyArray<Syntax>, tokens: ReadonlyArray<string>) => {
  const all = [...syntax.everywhere, ...commands.flatMap(syntax.options)]
  const words: Array<{ readonly word: string; readonly at: number }> = []
  for (let at = 0; at < tokens.length && words.length < 2; at++) {
    const token = tokens[at]!
    if (token === "--") {
      break
    }
    if (!isOption(token)) {
      words.push({ word: token, at })
      continue
    }
    const { option, value } = find(all, token)
    if (option === undefined) {
      break
    }
    at += option.placeholder !== "" && value === undefined && isValue(all, tokens[at + 1]) ? 1 : 0
  }
  return words
}

const valueOf = (
  command: Syntax,
  options: ReadonlyArray<CommandOption>,
  option: CommandOption,
  next: string | undefined
): string =>
  isValue(options, next)
    ? next
    : fail(
      command,
      `--${option.flag} needs a value: ${option.values.length > 0 ? option.values.join(", ") : option.placeholder}${
        next === undefined ? "" : `, but ${next} follows`
      }`
    )

/** An option as it was given, with its value. */
interface Given {
  readonly option: CommandOption
  readonly value: string | undefined
}

/** Whether another option of the same key was given before, which cannot be. */
const checkRepetition = (
  command: Syntax,
  options: ReadonlyArray<CommandOption>,
  { flag, isRepeatable, key, placeholder, setting }: CommandOption,
  earlier: ReadonlyArray<Given>
): void => {
  if (setting?.isFlags === true && earlier.some(({ option }) => option.key === key && option.flag !== flag)) {
    fail(
      command,
      `give only one of ${options.filter((one) => one.key === key).map((one) => write(one)[1]).join(" and ")}`
    )
  }
  if (placeholder !== "" && !isRepeatable && earlier.some(({ option }) => option.key === key)) {
    fail(command, `--${flag} is given twice`)
  }
}

/** Splits the tokens of a command whose name has been removed. */
const parseCommand = <C extends Syntax>(
  commands: ReadonlyArray<Syntax>,
  command: C,
  tokens: ReadonlyArray<string>
): Invocation<C> => {
  const options = [...syntax.options(command), ...syntax.everywhere]
  const { operand } = command
  const given: Array<Given> = []
  const operands: Array<string> = []
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!
    if (token === "--" || (!isOption(token) && operand?.isRest === true)) {
      operands.push(...tokens.slice(token === "--" ? at + 1 : at))
      break
    }
    if (!isOption(token)) {
      operands.push(token)
      continue
    }
    const { name, option, value } = find(options, token)
    if (option === undefined) {
      return unknownOption(commands, command, name)
    }
    if (option.placeholder === "" && value !== undefined) {
      return fail(command, `${name} takes no value`)
    }
    const text = option.placeholder === "" ? undefined : value ?? valueOf(command, options, option, tokens[++at])
    if (text !== undefined && !isValue(options, text)) {
      return fail(command, `--${option.flag}: the value cannot be an option, ${text}`)
    }
    checkRepetition(command, options, option, given)
    given.push({ option, value: text })
  }
  return invocationOf(command, options, given, operands)
}

/** A help text as the end of a sentence. */
const inSentence = (help: string): string => `${help[0]!.toLowerCase()}${help.slice(1).replace(/\..*$/, "")}`

/** A flag may be given more than once. */
const isFlagOfCommand = ({ option, value }: Given): boolean =>
  value === undefined && !syntax.everywhere.includes(option)

const invocationOf = <C extends Syntax>(
  command: C,
  options: ReadonlyArray<CommandOption>,
  given: ReadonlyArray<Given>,
  operands: ReadonlyArray<string>
): Invocation<C> => {
  const find = (key: string) => given.find(({ option }) => option.key === key)
  const isAll = find("all") !== undefined
  if (isAll || find("help") !== undefined) {
    return { _tag: "Help", command, isAll }
  }
  if (find("version") !== undefined) {
    return { _tag: "Version" }
  }
  const missing = options.find(({ isRequired, key }) => isRequired && find(key) === undefined)
  if (missing !== undefined) {
    return fail(command, `--${missing.flag} ${missing.placeholder} is missing: ${inSentence(missing.help)}`)
  }
  const logLevel = find("log-level")?.value
  if (logLevel !== undefined && !Object.hasOwn(syntax.logLevels, logLevel)) {
    const levels = Object.keys(syntax.logLevels)
    return fail(
      command,
      `--log-level: expected one of ${levels.join(", ")}, got ${JSON.stringify(logLevel)}${
        didYouMean(logLevel, levels)
      }`
    )
  }
  const { operand } = command
  if (operand !== undefined && operand.isOptional !== true && operands.length === 0) {
    return fail(command, `${operand.name} is missing: ${inSentence(operand.help)}`)
  }
  if (operand?.isRest !== true && operands.length > (operand === undefined ? 0 : 1)) {
    return fail(command, `${syntax.title(command)} takes no argument ${JSON.stringify(operands.at(-1))}`)
  }
  const [first] = operands
  if (operand?.values !== undefined && first !== undefined && !operand.values.includes(first)) {
    return fail(
      command,
      `${operand.name}: expected ${operand.values.join(" or ")}, got ${JSON.stringify(first)}${
        didYouMean(first, operand.values)
      }`
    )
  }
  return {
    _tag: "Run",
    command,
    args: [
      ...new Set(given.filter(isFlagOfCommand).map(({ option }) => `--${option.flag}`)),
      ...given.flatMap(({ option, value }) =>
        value === undefined || syntax.everywhere.includes(option) ? [] : [`--${option.flag}`, value]
      )
    ],
    operands,
    logLevel: logLevel as keyof typeof syntax.logLevels | undefined
  }
}

/** Parses the arguments of `bstar`. Throws a `UsageError`. */
export const parse = <C extends Syntax>(commands: ReadonlyArray<C>, args: ReadonlyArray<string>): Invocation<C> => {
  const words = wordsOf(commands, args)
  const isHelp = words[0]?.word === "help"
  const asked = isHelp
    ? args.filter((token, at) => at !== words[0]!.at && !isOption(token))
    : words.map(({ word }) => word)
  const { command, length } = commandOf(commands, asked)
  if (length === 0 && asked.length > 0) {
    return noCommand(commands, command, asked)
  }
  if (isHelp) {
    return { _tag: "Help", command, isAll: args.includes("--all") }
  }
  const name = new Set(words.slice(0, length).map(({ at }) => at))
  return parseCommand(commands, command, args.filter((_, at) => !name.has(at)))
}
