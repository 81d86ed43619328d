/** The description of a setting in help and documentation. */
import type { Command, Setting } from "./Settings.ts"
import { all, describeDefault } from "./Settings.ts"

/** Commands as a user types them. */
const names: { readonly [C in Command]: string } = {
  server: "`-p`, `-b`",
  proxy: "`proxy`",
  run: "`run`",
  client: "`client`",
  legacy: "`client --legacy`",
  check: "`config check`",
  keygen: "`keygen DIR`",
  fsm: "`fsm`",
  verify: "`verify`",
  status: "`status`",
  history: "`history`",
  doctor: "`doctor`",
  switchover: "`switchover`",
  pause: "`pause`",
  resume: "`resume`",
  promote: "`promote`",
  witnessStatus: "`witness status`",
  witnessInit: "`witness init`"
}

/** Stands for a value of a setting. */
export const placeholderOf = ({ kind, unset }: Setting): string =>
  unset === undefined ? kind.placeholder : `${unset}|${kind.placeholder}`

/** The help of an option of a command. */
export const helpOf = (setting: Setting, command: Command | undefined): string => {
  const { commandDefaults, from, help, isRequired, kind, variable } = setting
  const legacy = command === "client" && commandDefaults?.legacy !== undefined
    ? `; with --legacy ${describeDefault(setting, "legacy")}`
    : ""
  return [
    help,
    isRequired === true || kind.placeholder === "" ? [] : [`Default: ${describeDefault(setting, command)}${legacy}.`],
    from.includes("environment")
      ? [`Environment: ${variable}${kind.fileTypes.includes("object") ? ", separated by commas" : ""}.`]
      : []
  ].flat().join(" ")
}

const cell = (text: string): string => text.replaceAll("|", "\\|")

const optionCell = (setting: Setting): string => {
  const { flag, from, isFlags, kind } = setting
  if (isFlags === true) {
    return kind.placeholder.split("|").map((value) => `\`-${value[0]}\`, \`--${value}\``).join(" or ")
  }
  if (!from.includes("option")) {
    return from.includes("library") ? "in the library" : ""
  }
  const repeated = kind.fileTypes.includes("object") ? " (repeatable)" : ""
  return `\`${`--${flag} ${cell(placeholderOf(setting))}`.trim()}\`${repeated}`
}

const variableCell = ({ from, kind, variable }: Setting): string =>
  from.includes("environment") ? `\`${variable}\`${kind.fileTypes.includes("object") ? " (with commas)" : ""}` : ""

const defaultCell = (setting: Setting): string => {
  if (setting.isRequired === true || setting.kind.placeholder === "") {
    return ""
  }
  const code = (value: string) => `\`${value}\``
  const others = Object.keys(setting.commandDefaults ?? {}) as ReadonlyArray<Command>
  return [
    describeDefault(setting, undefined, code),
    ...others.map((command) => `${names[command]}: ${describeDefault(setting, command, code)}`)
  ].join("; ")
}

/** The documentation's table of all settings. */
export const markdown = (): string => {
  const rows = all.map((setting) => {
    const { commands, help, kind } = setting
    const range = kind.range === "" ? "" : ` (${kind.range})`
    return [
      commands.map((command) => names[command]).join(", "),
      optionCell(setting),
      variableCell(setting),
      cell(`${help}${range}`),
      cell(defaultCell(setting))
    ]
  })
  return [
    ["command", "option", "environment", "meaning", "default"],
    ["---", "---", "---", "---", "---"],
    // A cell is empty where it would repeat the one above.
    ...rows.map(([commands, ...rest], at) => [rows[at - 1]?.[0] === commands ? "" : commands, ...rest])
  ].map((row) => `| ${row.join(" | ")} |\n`).join("")
}
