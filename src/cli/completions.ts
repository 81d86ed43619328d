/** Scripts by which shells complete the command line of `bstar`: commands, options, their values, files and directories. */
import type { CommandOption, Operand, Syntax } from "./syntax.ts"
import * as syntax from "./syntax.ts"

/** What can be completed: one of a few words, a file, a directory, or nothing. */
type Completion = { readonly words: ReadonlyArray<string> } | "file" | "directory" | undefined

const ofOption = ({ setting, values }: CommandOption): Completion =>
  values.length > 0 ? { words: values } : setting?.path

const ofOperand = ({ path, values }: Operand): Completion => values === undefined ? path : { words: values }

const optionsOf = (command: Syntax): ReadonlyArray<CommandOption> => [
  ...syntax.options(command),
  ...syntax.everywhere
]

/** One line about an option. */
const summaryOf = ({ help, setting }: CommandOption): string => setting?.short ?? help.replace(/[.;](\s.*)?$/, "")

/** The options that have a value, of all commands. */
const withValue = (commands: ReadonlyArray<Syntax>): ReadonlyArray<string> => [
  ...new Set(
    commands.flatMap(optionsOf).filter(({ placeholder }) => placeholder !== "").map(({ flag }) => `--${flag}`)
  )
]

/** The words that may follow those of a command's name, and what each does. */
const following = (commands: ReadonlyArray<Syntax>, name: string): ReadonlyArray<readonly [string, string]> => {
  const start = name === "" ? "" : `${name} `
  const found = commands.filter((one) => one.name !== "" && one.name.startsWith(start))
    .map((one) => [one.name.slice(start.length).split(" ")[0]!, one.short] as const)
  const all = name === "" ? [...found, ["help", "Print the help of a command"] as const] : found
  return [...new Map(all)]
}

/** The names of commands and the first words of those that have two. */
const namesOf = (commands: ReadonlyArray<Syntax>): ReadonlyArray<string> => [
  ...new Set(commands.filter(({ name }) => name !== "").flatMap(({ name }) => [name, name.split(" ")[0]!]))
]

/** Words in bash, which splits an endpoint at its colons. */
const joinWords = `  for ((i = 0; i < \${#COMP_WORDS[@]}; i++)); do
    if [[ $i -gt 0 && ( \${COMP_WORDS[i]} == : || \${COMP_WORDS[i-1]} == : ) ]]; then
      words[\${#words[@]}-1]+=\${COMP_WORDS[i]}
    else
      words+=("\${COMP_WORDS[i]}")
    fi
    [[ $i == $COMP_CWORD ]] && cword=$((\${#words[@]} - 1))
  done
  prev=\${words[cword-1]}
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${words[cword-2]}; fi
`

/** The first word of a command whose name has two. */
const isPrefix = (commands: ReadonlyArray<Syntax>, name: string): boolean =>
  !commands.some((command) => command.name === name)

const bashAction = (completion: Completion): string =>
  completion === undefined
    ? "return"
    : completion === "file"
    ? "_bstar_paths -f; return"
    : completion === "directory"
    ? "_bstar_paths -d; return"
    : `_bstar_words "${completion.words.join(" ")}"; return`

const bash = (commands: ReadonlyArray<Syntax>): string => {
  const values = commands.flatMap((command) =>
    optionsOf(command).filter(({ placeholder }) => placeholder !== "")
      .map((option) => [`"${command.name}:--${option.flag}"`, bashAction(ofOption(option))] as const)
  )
  const patterns = groupBy(values)
  return `# Completion of bstar for bash. Load it in ~/.bashrc: source <(bstar completions bash)
_bstar_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_bstar_paths() { local IFS=$'\\n'; compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen "$1" -- "$cur")); }
_bstar() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev words=() cword=0 command= operands=0 rest=0 i
${joinWords}  COMPREPLY=()
  for ((i = 1; i < cword; i++)); do
    case \${words[i]} in
      --) operands=$((cword - i - 1)) rest=1; break ;;
      ${withValue(commands).join("|")})
        [[ \${words[i+1]} == = ]] && ((i++)); ((i++)) ;;
      -*) ;;
      *)
        case "\${command:+$command }\${words[i]}" in
          ${
    [...namesOf(commands), "help"].map((name) => `"${name}"`).join("|")
  }) command="\${command:+$command }\${words[i]}" ;;
          *) operands=$((operands + 1)) ;;
        esac ;;
    esac
  done
  if [[ $command == run && ( $rest == 1 || $operands -gt 0 ) ]]; then
    if [[ $operands == 0 ]]; then COMPREPLY=($(compgen -c -- "$cur")); else _bstar_paths -f; fi
    return
  fi
  case "$command:$prev" in
${[...patterns].map(([action, names]) => `    ${names.join("|")}) ${action} ;;`).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    case $command in
${
    commands.map((command) =>
      `      "${command.name}") _bstar_words "${
        optionsOf(command).flatMap(({ alias, flag }) => [...alias === undefined ? [] : [`-${alias}`], `--${flag}`])
          .join(" ")
      }" ;;`
    ).join("\n")
  }
    esac
    return
  fi
  [[ $operands -gt 0 || $rest == 1 ]] && return
  case $command in
${
    ["", "help", ...namesOf(commands).filter((name) => isPrefix(commands, name))].map((name) =>
      `    "${name}") _bstar_words "${
        following(commands, name === "help" ? "" : name).map(([word]) => word).join(" ")
      }" ;;`
    ).join("\n")
  }
${
    commands.flatMap(({ name, operand }) =>
      operand === undefined ? [] : [
        `    "${name}") ${
          operand.isRest === true ? `COMPREPLY=($(compgen -c -- "$cur"))` : bashAction(ofOperand(operand))
        } ;;`
      ]
    ).join("\n")
  }
  esac
}
complete -F _bstar bstar`
}

/** The names of each action. */
const groupBy = (
  entries: ReadonlyArray<readonly [name: string, action: string]>
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const groups = new Map<string, Array<string>>()
  for (const [name, action] of entries) {
    groups.set(action, [...groups.get(action) ?? [], name])
  }
  return groups
}

/** Text in single quotes, also within the brackets of a specification of zsh. */
const zshText = (text: string): string => text.replaceAll(/[[\]:\\]/g, "\\$&").replaceAll("'", "'\\''")

const zshAction = (completion: Completion): string =>
  completion === undefined
    ? " "
    : completion === "file"
    ? "_files"
    : completion === "directory"
    ? "_files -/"
    : `(${completion.words.join(" ")})`

const zshOption = (option: CommandOption): string => {
  const { alias, flag, isRepeatable, placeholder } = option
  const text = `[${zshText(summaryOf(option))}]`
  const names = alias === undefined ? `--${flag}` : `{-${alias},--${flag}}`
  return placeholder === ""
    ? alias === undefined ? `'${names}${text}'` : `${names}'${text}'`
    : `'${isRepeatable ? "*" : ""}--${flag}=${text}:${
      zshText(option.setting?.kind.placeholder ?? placeholder).replaceAll("|", " ")
    }:${zshAction(ofOption(option))}'`
}

const zshOperands = ({ name, operand }: Syntax): ReadonlyArray<string> => {
  const words = name === "" ? [] : name.split(" ")
  const fixed = words.map((word, at) => `'${at + 1}: :(${word})'`)
  return operand === undefined
    ? fixed
    : operand.isRest === true
    ? [...fixed, `'${words.length + 1}:command:_command_names -e'`, `'*:argument:_files'`]
    : [...fixed, `'${words.length + 1}:${operand.name}:${zshAction(ofOperand(operand))}'`]
}

const zshWords = (words: ReadonlyArray<readonly [string, string]>): string =>
  `((${words.map(([word, text]) => `${word}\\:"${zshText(text)}"`).join(" ")}))`

const zsh = (commands: ReadonlyArray<Syntax>): string =>
  `#compdef bstar
# Completion of bstar for zsh. Load it in ~/.zshrc, after compinit: source <(bstar completions zsh)
_bstar() {
  local command= i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      --) break ;;
      ${withValue(commands).join("|")}) ((i++)) ;;
      -*) ;;
      *)
        case "\${command:+$command }$words[i]" in
          ${
    [...namesOf(commands), "help"].map((name) => `"${name}"`).join("|")
  }) command="\${command:+$command }$words[i]" ;;
          *) break ;;
        esac ;;
    esac
  done
  case $command in
${
    commands.map((command) =>
      `    "${command.name}") _arguments ${
        [
          ...optionsOf(command).map(zshOption),
          ...zshOperands(command),
          ...(command.name === "" ? [`'1:command:${zshWords(following(commands, ""))}'`] : [])
        ].join(" ")
      } ;;`
    ).join("\n")
  }
    "help") _arguments '1: :(help)' '2:command:${zshWords(following(commands, ""))}' ;;
${
    namesOf(commands).filter((name) => isPrefix(commands, name)).map((name) =>
      `    "${name}") _arguments '1: :(${name})' '2:command:${zshWords(following(commands, name))}' ;;`
    ).join("\n")
  }
  esac
}
if [[ $funcstack[1] == _bstar ]]; then _bstar "$@"; else compdef _bstar bstar; fi`

const fishText = (text: string): string => `'${text.replaceAll(/['\\]/g, "\\$&")}'`

const fishAction = (completion: Completion): string =>
  completion === undefined
    ? "-x"
    : completion === "file"
    ? "-r -F"
    : completion === "directory"
    ? "-x -a '(__fish_complete_directories)'"
    : `-x -a '${completion.words.join(" ")}'`

const fish = (commands: ReadonlyArray<Syntax>): string => {
  const line = (condition: string, rest: string) => `complete -c bstar -n '${condition}' ${rest}`
  const words = (condition: string, list: ReadonlyArray<readonly [string, string]>) =>
    list.map(([word, text]) => line(condition, `-a ${word} -d ${fishText(text)}`))
  const prefixes = namesOf(commands).filter((name) => isPrefix(commands, name))
  return `# Completion of bstar for fish. Load it: bstar completions fish > ~/.config/fish/completions/bstar.fish
function __bstar_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case ${withValue(commands).join(" ")}
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end
function __bstar_in
    set -l typed (string join ' ' (__bstar_words))
    test "$typed" = "$argv"; or begin; test -n "$argv"; and string match -q -- "$argv *" "$typed"; end
end
function __bstar_at
    set -l typed (string join ' ' (__bstar_words))
    test "$typed" = "$argv"
end
complete -c bstar -f
${
    [
      ...words("__bstar_at", following(commands, "")),
      ...words("__bstar_at help", following(commands, "")),
      ...prefixes.flatMap((name) => words(`__bstar_at ${name}`, following(commands, name))),
      ...commands.flatMap((command) => [
        ...optionsOf(command).map((option) =>
          line(
            `__bstar_in ${command.name}`.trim(),
            [
              ...(option.alias === undefined ? [] : [`-s ${option.alias}`]),
              `-l ${option.flag}`,
              ...(option.placeholder === "" ? [] : [fishAction(ofOption(option))]),
              `-d ${fishText(summaryOf(option))}`
            ].join(" ")
          )
        ),
        ...(command.operand === undefined ? [] : command.operand.isRest === true
          ? [line(`__bstar_in ${command.name}`, "-a '(__fish_complete_subcommand --fcs-skip=2)'")]
          : ofOperand(command.operand) === undefined
          ? []
          : [line(`__bstar_at ${command.name}`, fishAction(ofOperand(command.operand)).replace(/^-x /, ""))])
      ])
    ].join("\n")
  }`
}

const scripts = { bash, zsh, fish }

/** The script for a shell. */
export const script = (shell: syntax.Shell, commands: ReadonlyArray<Syntax>): string => scripts[shell](commands)
