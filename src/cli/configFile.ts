/**
 * The configuration file: TOML or JSON, one for both servers of a pair if that is wanted.
 *
 * Its keys are the names of the options. What it says is put below the environment, where the options look for what was not
 * typed. It is checked whole before anything of it is used.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Role } from "../protocol/StateMachine.ts"
import type { ConfigIssue } from "../settings/InvalidConfig.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { CommandLine } from "./commandLine.ts"
import type { Settings } from "./settings.ts"
import * as settings from "./settings.ts"

/** One value, and the table that it stands in; the file itself has no name. */
export interface Entry {
  readonly value: unknown
  readonly table: string
}

/** What a file says to one of those who read it, by the names of the options. */
export type Entries = ReadonlyMap<string, Entry>

/** What a file holds, and what is wrong with it. */
export interface ConfigFile {
  readonly name: string
  readonly issues: ReadonlyArray<ConfigIssue>
  /** Which server it is for, if it says so. */
  readonly role: Role | undefined
  readonly server: { readonly [R in Role]: Entries }
  readonly client: Entries
}

type Table = { readonly [key: string]: unknown }

const common: Settings = { role: settings.role, ...settings.server, ...settings.proxy, ...settings.run }
const { role: _, ...ofRole } = common

/** What each table may hold. */
const tables: { readonly [name: string]: Settings } = {
  "": common,
  primary: ofRole,
  backup: ofRole,
  client: settings.client
}

const isTable = (value: unknown): value is Table => Object.prototype.toString.call(value) === "[object Object]"

/** How many letters have to be put in, left out or changed. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** The name that was meant, if one is near. */
const nearest = (key: string, names: ReadonlyArray<string>): string | undefined => {
  const spelt = key.replaceAll("_", "-").replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase()
  const [best] = names.map((name) => ({ name, off: distance(spelt, name) }))
    .filter(({ name, off }) =>
      off <= Math.max(1, Math.floor(name.length / 3)) || (spelt.length > 3 && name.startsWith(spelt))
    )
    .sort((a, b) => a.off - b.off)
  return best?.name
}

const unknownKey = (key: string, table: string): string => {
  const names = Object.keys(tables[table]!)
  const place = Object.keys(tables).find((name) => name !== table && Object.hasOwn(tables[name]!, key))
  const meant = nearest(key, table === "" ? [...names, ...Object.keys(tables).filter((name) => name !== "")] : names)
  return place !== undefined
    ? `does not belong here but ${place === "" ? "above the tables" : `into the table [${place}]`}`
    : `unknown key${meant === undefined ? "" : `; did you mean ${meant}?`}`
}

/** Goes through what a file holds. */
const examine = (name: string, top: Table): ConfigFile => {
  const issues: Array<ConfigIssue> = []
  const entriesOf = (table: string, content: Table): Entries => {
    const entries = new Map<string, Entry>()
    for (const [key, value] of Object.entries(content)) {
      if (table === "" && key !== "" && Object.hasOwn(tables, key)) {
        if (!isTable(value)) {
          issues.push({ field: `${name}: ${key}`, message: `expected a table, got ${JSON.stringify(value)}` })
        }
        continue
      }
      const complaint = Object.hasOwn(tables[table]!, key)
        ? tables[table]![key]!.complaint(value)
        : unknownKey(key, table)
      if (complaint !== undefined) {
        issues.push({ field: `${name}: ${table === "" ? key : `[${table}] ${key}`}`, message: complaint })
      } else {
        entries.set(key, { value, table })
      }
    }
    return entries
  }
  const tableOf = (table: string): Entries => {
    const content = Object.hasOwn(top, table) ? top[table] : undefined
    return entriesOf(table, isTable(content) ? content : {})
  }
  const shared = entriesOf("", top)
  const role = shared.get("role")?.value as Role | undefined
  const format = [...shared].filter(([key]) => key === "log-format")
  return {
    name,
    issues,
    role,
    server: {
      primary: new Map([...shared, ...tableOf("primary")]),
      backup: new Map([...shared, ...tableOf("backup")])
    },
    client: new Map([...format, ...tableOf("client")])
  }
}

const refuse = (name: string, message: string) => new InvalidConfig({ issues: [{ field: name, message }] })

const sentenceOf = (error: unknown): string => error instanceof Error ? error.message.split("\n")[0]! : String(error)

const parse = (name: string, content: string): Effect.Effect<unknown, InvalidConfig> =>
  name.endsWith(".json")
    ? Effect.try({
      try: (): unknown => JSON.parse(content),
      catch: (error) => refuse(name, `not JSON: ${sentenceOf(error)}`)
    })
    : Effect.flatMap(Effect.promise(() => import("smol-toml")), ({ parse, TomlError }) =>
      Effect.try({
        try: (): unknown => parse(content),
        catch: (error) =>
          error instanceof TomlError
            ? refuse(`${name}:${error.line}:${error.column}`, sentenceOf(error))
            : refuse(name, sentenceOf(error))
      }))

const reasons: { readonly [reason: string]: string } = {
  NotFound: "there is no such file",
  PermissionDenied: "permission denied"
}

/** Why a file cannot be read. */
export const reasonOf = (error: PlatformError): string =>
  (error._tag === "SystemError" ? reasons[error.reason] : undefined) ?? error.message

/** Reads a file and looks for all that is wrong in it. Fails where nothing can be read. */
export const read = (name: string): Effect.Effect<ConfigFile, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (!/\.(toml|json)$/.test(name)) {
      return yield* refuse(
        "config",
        `expected the name of a file that ends in .toml or .json, got ${JSON.stringify(name)}`
      )
    }
    const files = yield* FileSystem.FileSystem
    const content = yield* files.readFileString(name).pipe(
      Effect.mapError((error) => refuse("config", `cannot read ${name}: ${reasonOf(error)}`))
    )
    const top = yield* parse(name, content)
    return isTable(top) ? examine(name, top) : yield* refuse(name, "expected an object")
  })

/** Which server this is: as typed, or else as the environment says, or else the file. */
export const roleOf = (typed: Role | undefined, file: ConfigFile | undefined): Effect.Effect<Role | undefined> =>
  Effect.map(
    Effect.orElseSucceed(Config.option(Config.string(settings.role.variable)), Option.none<string>),
    Option.match({
      onNone: () => typed ?? file?.role,
      // Another word is refused by whoever needs to know the role.
      onSome: (word) => typed ?? (word === "primary" || word === "backup" ? word : file?.role)
    })
  )

const providerOf = (entries: Entries, all: Settings): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromMap(
    new Map(
      [...entries].map((
        [key, { value }]
      ) => [all[key]!.variable, Array.isArray(value) ? value.join(",") : String(value)])
    )
  )

/** What a file has to say to a command. Fails with all that is wrong in it. */
export const provider = (
  name: string,
  { command, role }: Pick<CommandLine, "command" | "role">
): Effect.Effect<ConfigProvider.ConfigProvider, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const file = yield* read(name)
    if (file.issues.length > 0) {
      return yield* new InvalidConfig({ issues: file.issues })
    }
    return command === "client"
      ? providerOf(file.client, settings.client)
      // Without a role there is nothing to run, which is told by whoever runs it.
      : providerOf(file.server[(yield* roleOf(role, file)) ?? "primary"], common)
  })
