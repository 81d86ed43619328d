/**
 * `bstar config check`: what the servers of a pair would be configured with, and where each value comes from, or all that is
 * wrong. Nothing is started.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Role } from "../../protocol/StateMachine.ts"
import type { ConfigIssue } from "../../settings/InvalidConfig.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import { loneIssues } from "../../settings/Validation.ts"
import * as ConfigFile from "../configFile.ts"
import type { configCheck, Parsed } from "../options.ts"
import type { Setting, Settings } from "../settings.ts"
import * as settings from "../settings.ts"
import { columns } from "../text.ts"

/** A value that would be used. */
interface Effective {
  readonly name: string
  readonly value: string
  readonly origin: string
  readonly issue?: ConfigIssue | undefined
}

const roles: ReadonlyArray<Role> = ["primary", "backup"]

const variable = (name: string): Effect.Effect<Option.Option<string>> =>
  Effect.orElseSucceed(Config.option(Config.string(name)), Option.none<string>)

const given = (name: string, setting: Setting, text: string, origin: string, field: string): Effective => {
  const message = setting.complaint(setting.fromText(text))
  return { name, value: text, origin, issue: message === undefined ? undefined : { field, message } }
}

/** What holds of one setting: an option, or else the environment, the file, and the default. */
const effective = (
  name: string,
  setting: Setting,
  role: Role,
  typed: Option.Option<string>,
  file: ConfigFile.ConfigFile | undefined
): Effect.Effect<Effective> =>
  Effect.map(variable(setting.variable), (set) => {
    if (Option.isSome(typed)) {
      return given(name, setting, typed.value, `option --${name}`, `--${name}`)
    }
    if (Option.isSome(set)) {
      return given(name, setting, set.value, `environment ${setting.variable}`, setting.variable)
    }
    const entry = file?.server[role].get(name)
    if (file !== undefined && entry !== undefined) {
      const table = entry.table === "" ? "" : ` [${entry.table}]`
      return { name, value: String(entry.value), origin: `file ${file.name}${table}` }
    }
    const { fallback } = setting
    return { name, value: typeof fallback === "string" ? fallback : fallback[role], origin: "default" }
  })

/** Whether there is a token, which is told to nobody. */
const tokenOf = ({ issue, origin, value }: Effective): Effect.Effect<Effective, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const name = "http-token"
    if (issue === undefined && origin !== "default") {
      const files = yield* FileSystem.FileSystem
      return yield* Effect.match(files.readFileString(value), {
        onFailure: (error): Effective => ({
          name,
          value: "",
          origin,
          issue: { field: "http-token-file", message: `cannot read ${value}: ${ConfigFile.reasonOf(error)}` }
        }),
        onSuccess: (content): Effective =>
          content.trim() === ""
            ? { name, value: "", origin, issue: { field: "http-token-file", message: `${value} is empty` } }
            : { name, value: "(set)", origin: `file ${value}` }
      })
    }
    return Option.isSome(yield* variable("BSTAR_HTTP_TOKEN"))
      ? { name, value: "(set)", origin: "environment BSTAR_HTTP_TOKEN" }
      : { name, value: "none", origin: "default" }
  })

/** What is wrong with the key files of a server, if it has any. */
const keyIssues = (role: Role, server: ReadonlyArray<Effective>): Effect.Effect<ReadonlyArray<ConfigIssue>> =>
  Effect.gen(function*() {
    const valueOf = (name: string) => server.find((row) => row.name === name && row.origin !== "default")?.value
    const directory = valueOf("keys")
    if (directory === undefined) {
      return []
    }
    const curve = yield* Effect.promise(() => import("../../security/Curve.ts"))
    const clients = valueOf("clients") === "anyone" ? "anyone" : "listed"
    const security = curve.server(directory, role, { clients })
    const own = yield* Effect.match(security.own, { onFailure: ({ issues }) => issues, onSuccess: () => [] })
    const peer = yield* security.peer
    const listed = security.clients === "anyone" ? [] : (yield* security.clients).issues
    return [...own, ...peer.issues, ...listed].map(({ message }) => ({ field: `${role}: keys`, message }))
  })

/** What is wrong with settings that do not go together, each of which is right. */
const crossIssues = (server: ReadonlyArray<Effective>): ReadonlyArray<ConfigIssue> => {
  const valueOf = (name: string) => server.find((row) => row.name === name)?.value
  return loneIssues({ lone: valueOf("lone"), policy: valueOf("policy") })
}

const table = (rows: ReadonlyArray<Effective>): string =>
  columns(rows.map(({ name, origin, value }) => [name, value, origin])).join("\n")

export const check = (
  { backup, config, options, primary }: Parsed<typeof configCheck>
): Effect.Effect<void, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const inEnvironment = yield* variable("BSTAR_CONFIG")
    const name = Option.orElse(config, () => inEnvironment)
    const file = Option.isSome(name) ? yield* ConfigFile.read(name.value) : undefined
    const typed = primary === backup ? undefined : primary ? "primary" : "backup"
    const said = yield* effective("role", settings.role, "primary", Option.fromNullable(typed), file)
    const role = said.issue === undefined ? roles.find((role) => role === said.value) : undefined
    const saidSo = role === undefined ? [] : [typed === undefined ? said : { ...said, origin: `option --${typed}` }]
    const sections = yield* Effect.forEach(role === undefined ? roles : [role], (role) =>
      Effect.gen(function*() {
        const of = (some: Settings) =>
          Effect.forEach(
            Object.entries(some),
            ([name, setting]) => effective(name, setting, role, options[name] ?? Option.none(), file)
          )
        const server = yield* of(settings.server)
        const token = yield* tokenOf(server.find(({ name }) => name === "http-token-file")!)
        return {
          issues: [...crossIssues(server), ...yield* keyIssues(role, server)],
          parts: [
            { title: `${role}: bstar`, rows: [...saidSo, ...server, token] },
            { title: `${role}: bstar proxy, besides`, rows: yield* of(settings.proxy) },
            { title: `${role}: bstar run, besides`, rows: yield* of(settings.run) }
          ]
        }
      }))
    const rows = [said, ...sections.flatMap(({ parts }) => parts.flatMap(({ rows }) => rows))]
    const issues = [
      ...file?.issues ?? [],
      ...rows.flatMap(({ issue }) => issue === undefined ? [] : [issue]),
      ...sections.flatMap(({ issues }) => issues)
    ]
    if (issues.length > 0) {
      // What is common to both servers is wrong once.
      const distinct = new Map(issues.map((issue) => [`${issue.field} ${issue.message}`, issue]))
      return yield* new InvalidConfig({ issues: [...distinct.values()] })
    }
    yield* Console.log(
      sections.flatMap(({ parts }) => parts.map(({ rows, title }) => `# ${title}\n${table(rows)}`)).join("\n\n")
    )
  }).pipe(Effect.withConfigProvider(ConfigProvider.fromEnv()))
