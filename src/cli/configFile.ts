/**
 * The configuration file: TOML or JSON, one for both servers of a pair and their clients.
 *
 * Its keys are the names of the options. It is checked as a whole before a value is used.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { reasonOf } from "../internal/FileErrors.ts"
import type { Role } from "../protocol/StateMachine.ts"
import type { ConfigIssue, InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Settings from "../settings/Settings.ts"
import type { FileEntries, FileEntry } from "../settings/Sources.ts"
import { fileIssue } from "../settings/Sources.ts"
import { didYouMean } from "../settings/Suggestion.ts"
import { invalid } from "./files.ts"

/** The content of a file, and what is wrong with it. */
export interface ConfigFile {
  readonly name: string
  readonly issues: ReadonlyArray<ConfigIssue>
  /** The entries above the tables. */
  readonly shared: FileEntries
  readonly server: { readonly [R in Role]: FileEntries }
  readonly client: FileEntries
}

type Table = { readonly [key: string]: unknown }

type Known = ReadonlyMap<string, Settings.Setting>

const knownOf = (...commands: ReadonlyArray<Settings.Command>): Known =>
  new Map(
    Settings.of(...commands).filter(({ from }) => from.includes("file")).map((setting) => [setting.flag, setting])
  )

const common = knownOf("server", "proxy", "run")
const ofRole = new Map([...common].filter(([, setting]) => setting !== Settings.identity.role))
const ofClient = knownOf("client", "legacy")

/** The settings that each table may hold. */
const tables: { readonly [name: string]: Known } = { "": common, primary: ofRole, backup: ofRole, client: ofClient }

const isTable = (value: unknown): value is Table => Object.prototype.toString.call(value) === "[object Object]"

const unknownKey = (key: string, table: string): string => {
  const names = [...tables[table]!.keys()]
  const place = Object.keys(tables).find((name) => name !== table && tables[name]!.has(key))
  const all = table === "" ? [...names, ...Object.keys(tables).filter((name) => name !== "")] : names
  return place !== undefined
    ? `does not belong here but ${place === "" ? "above the tables" : `into the table [${place}]`}`
    : `unknown key${didYouMean(key, all)}`
}

/** Checks one table: its valid entries and its issues. */
const examineTable = (name: string, table: string, content: Table) => {
  const issues: Array<ConfigIssue> = []
  const entries = new Map<string, FileEntry>()
  for (const [key, value] of Object.entries(content)) {
    if (table === "" && key !== "" && Object.hasOwn(tables, key)) {
      if (!isTable(value)) {
        issues.push({ field: `${name}: ${key}`, message: `expected a table, got ${JSON.stringify(value)}` })
      }
      continue
    }
    const setting = tables[table]!.get(key)
    const message = setting === undefined ? unknownKey(key, table) : fileIssue(setting, value)
    if (message !== undefined) {
      issues.push({ field: `${name}: ${table === "" ? key : `[${table}] ${key}`}`, message })
    } else {
      entries.set(key, { value, table })
    }
  }
  return { issues, entries }
}

const examine = (name: string, top: Table): ConfigFile => {
  const tableOf = (table: string) => {
    const content = Object.hasOwn(top, table) ? top[table] : undefined
    return examineTable(name, table, isTable(content) ? content : {})
  }
  const shared = examineTable(name, "", top)
  const [primary, backup, client] = [tableOf("primary"), tableOf("backup"), tableOf("client")]
  const ofBoth = [...shared.entries].filter(([key]) => common.get(key) === ofClient.get(key))
  return {
    name,
    issues: [shared, primary, backup, client].flatMap(({ issues }) => issues),
    shared: shared.entries,
    server: {
      primary: new Map([...shared.entries, ...primary.entries]),
      backup: new Map([...shared.entries, ...backup.entries])
    },
    client: new Map([...ofBoth, ...client.entries])
  }
}

const sentenceOf = (error: unknown): string => error instanceof Error ? error.message.split("\n")[0]! : String(error)

const parse = (name: string, content: string): Effect.Effect<unknown, InvalidConfig> =>
  name.endsWith(".json")
    ? Effect.try({
      try: (): unknown => JSON.parse(content),
      catch: (error) => invalid(name, `not JSON: ${sentenceOf(error)}`)
    })
    : Effect.flatMap(Effect.promise(() => import("smol-toml")), ({ parse, TomlError }) =>
      Effect.try({
        try: (): unknown => parse(content),
        catch: (error) =>
          error instanceof TomlError
            ? invalid(`${name}:${error.line}:${error.column}`, sentenceOf(error))
            : invalid(name, sentenceOf(error))
      }))

/** Reads and checks a file. Fails if it cannot be parsed. */
export const read = (name: string): Effect.Effect<ConfigFile, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (!/\.(toml|json)$/.test(name)) {
      return yield* invalid(
        "config",
        `expected the name of a file that ends in .toml or .json, got ${JSON.stringify(name)}`
      )
    }
    const files = yield* FileSystem.FileSystem
    const content = yield* files.readFileString(name).pipe(
      Effect.mapError((error) => invalid("config", `cannot read ${name}: ${reasonOf(error.cause ?? error)}`))
    )
    const top = yield* parse(name, content)
    return isTable(top) ? examine(name, top) : yield* invalid(name, "expected an object")
  })
