/**
 * Finds the value of each setting of a command: an option overrides the environment, the environment a configuration file, and the
 * file the default.
 */
import type { Role } from "../protocol/StateMachine.ts"
import { conflicts } from "./conflicts.ts"
import type { ConfigIssue } from "./InvalidConfig.ts"
import { mismatch } from "./kinds.ts"
import * as Settings from "./Settings.ts"

/** A value in a configuration file, and the table that it is in; the top of the file has the name "". */
export interface FileEntry {
  readonly value: unknown
  readonly table: string
}

/** The valid entries of a configuration file for one reader, by key. */
export type FileEntries = ReadonlyMap<string, FileEntry>

/** Where values come from. */
export interface Sources {
  /** Options by the key of their setting: text, or a list of texts, or whether a flag is there. */
  readonly options: { readonly [key: string]: unknown }
  /** Environment variables by name. */
  readonly environment: ReadonlyMap<string, string>
  readonly file: { readonly name: string; readonly entries: FileEntries } | undefined
}

/** The value of a setting. */
export interface Resolved {
  readonly setting: Settings.Setting
  /** The decoded value; `undefined` if there is none or it is not valid. */
  readonly value: unknown
  /** The value as it was given, for people. */
  readonly text: string
  readonly origin: string
  readonly isDefault: boolean
  readonly issue?: ConfigIssue | undefined
}

/** Where a value may not be given although the command has the setting. */
const isFrom = (setting: Settings.Setting, source: Settings.Source): boolean => setting.from.includes(source)

/** Says what is wrong with a value of a configuration file. */
export const fileIssue = (setting: Settings.Setting, value: unknown): string | undefined => {
  const { decode, fileTypes } = setting.kind
  return value === setting.unset ||
      ((fileTypes as ReadonlyArray<string>).includes(typeof value) && decode(value) !== undefined)
    ? undefined
    : complaint(setting, value)
}

const complaint = ({ isSecret, kind, unset }: Settings.Setting, value: unknown): string => {
  const problem = kind.problemOf?.(value)
  if (problem !== undefined) {
    return problem
  }
  const expected = unset === undefined ? kind.expected : `"${unset}" or ${kind.expected}`
  return isSecret === true ? `expected ${expected}` : mismatch({ expected }, value)
}

/** The default of a setting. */
const byDefault = (setting: Settings.Setting, situation: Settings.Situation): Resolved => {
  const fallback = Settings.defaultOf(setting, situation)
  return {
    setting,
    value: fallback === undefined ? undefined : setting.kind.decode(fallback) ?? fallback,
    text: fallback === undefined ? setting.none ?? "none" : Settings.show(setting, fallback),
    origin: "default",
    isDefault: true
  }
}

/** A value that was given: `raw` is as it would be in a file. */
const given = (
  setting: Settings.Setting,
  situation: Settings.Situation,
  raw: unknown,
  origin: string,
  field: string
): Resolved => {
  const text = setting.isSecret === true ? "(set)" : Settings.show(setting, raw)
  const shown = { setting, text, origin, isDefault: false }
  if (raw === setting.unset) {
    return { ...byDefault(setting, situation), ...shown }
  }
  const value = setting.kind.decode(raw)
  return { ...shown, value, issue: value === undefined ? { field, message: complaint(setting, raw) } : undefined }
}

/** The value of one setting. */
export const resolve = (
  setting: Settings.Setting,
  situation: Settings.Situation,
  { environment, file, options }: Sources
): Resolved => {
  const { flag, fromText } = { ...setting, ...setting.kind }
  const typed = isFrom(setting, "option") ? options[setting.key] : undefined
  if (typed !== undefined && typed !== false) {
    const name = setting.isFlags === true ? String(typed) : flag
    const raw = typeof typed === "string" ? fromText(typed) : typed
    return given(setting, situation, raw, `option --${name}`, `--${name}`)
  }
  const variable = isFrom(setting, "environment") ? environment.get(setting.variable) : undefined
  if (variable !== undefined) {
    return given(setting, situation, fromText(variable), `environment ${setting.variable}`, setting.variable)
  }
  const entry = isFrom(setting, "file") ? file?.entries.get(flag) : undefined
  return file === undefined || entry === undefined
    ? byDefault(setting, situation)
    : given(
      setting,
      situation,
      entry.value,
      `file ${file.name}${entry.table === "" ? "" : ` [${entry.table}]`}`,
      `${file.name}: ${entry.table === "" ? flag : `[${entry.table}] ${flag}`}`
    )
}

/** The values of all settings of a command, in the order of the table. The role is known before. */
export const resolveAll = (
  command: Settings.Command,
  role: Role | undefined,
  sources: Sources
): ReadonlyArray<Resolved> => {
  const settings = Settings.of(command)
  const { witness } = Settings.witness
  const isWitnessed = settings.includes(witness) && !resolve(witness, {}, sources).isDefault
  const policy = resolve(Settings.identity.policy, { command, isWitnessed }, sources).value
  return settings.map((setting) => resolve(setting, { command, role, policy, isWitnessed }, sources))
}

/** What is wrong with resolved values, each by itself and together. */
export const issuesOf = (resolved: ReadonlyArray<Resolved>): ReadonlyArray<ConfigIssue> => [
  ...resolved.flatMap(({ issue }) => issue === undefined ? [] : [issue]),
  ...conflicts(
    resolved.filter(({ issue }) => issue === undefined).map(({ setting }) => setting),
    (setting) => resolved.find((one) => one.setting === setting)?.value
  ).map(({ message, setting }) => ({ field: setting.flag, message }))
]

/** The decoded values by key. */
export const valuesOf = <C extends Settings.Command>(resolved: ReadonlyArray<Resolved>): Settings.Values<C> =>
  Object.fromEntries(resolved.map(({ setting, value }) => [setting.key, value])) as Settings.Values<C>
