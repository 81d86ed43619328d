/**
 * What has to be known of the command line before it is parsed: which file holds the rest of the configuration.
 */
import type { Role } from "../protocol/StateMachine.ts"

/** What a command line says of the configuration file. */
export interface CommandLine {
  /** The name of a command, if it is not that of a server. */
  readonly command: string | undefined
  readonly config: string | undefined
  readonly role: Role | undefined
  /** Whether it is answered with a text about `bstar` itself. */
  readonly asksAboutItself: boolean
}

const roles: { readonly [name: string]: Role } = {
  "-p": "primary",
  "--primary": "primary",
  "-b": "backup",
  "--backup": "backup"
}

const aboutItself = new Set(["-h", "--help", "--version", "--wizard", "--completions"])

/** What begins with a dash and takes no value. All else does. */
const isFlag = (word: string): boolean => word in roles || aboutItself.has(word) || word === "--legacy"

/** Whether a member of a pair runs, which must not depend on what becomes of its output. That of a server has no name. */
export const isMember = ({ asksAboutItself, command }: CommandLine): boolean =>
  !asksAboutItself && [undefined, "proxy", "run"].includes(command)

/** Looks through the words behind `bstar`, up to `--`. */
export const scan = (words: ReadonlyArray<string>): CommandLine => {
  let command: string | undefined
  let config: string | undefined
  const given = new Set<Role>()
  let asksAboutItself = false
  for (let at = 0; at < words.length && words[at] !== "--"; at++) {
    const word = words[at]!
    if (!word.startsWith("-")) {
      command ??= word
    } else if (word.startsWith("--config=")) {
      config = word.slice("--config=".length)
    } else if (isFlag(word)) {
      asksAboutItself ||= aboutItself.has(word)
      const role = roles[word]
      if (role !== undefined) {
        given.add(role)
      }
    } else if (!word.includes("=")) {
      at++
      config = word === "--config" ? words[at] : config
    }
  }
  return { command, config, role: given.size === 1 ? [...given][0] : undefined, asksAboutItself }
}
