/**
 * `bstar config check`: the values that the servers of a pair would use, and where each comes from, or all that is wrong. No server
 * is started.
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Role } from "../../protocol/StateMachine.ts"
import type { ConfigIssue } from "../../settings/InvalidConfig.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Settings from "../../settings/Settings.ts"
import * as Sources from "../../settings/Sources.ts"
import * as ConfigFile from "../configFile.ts"
import { roleOf, type Surroundings, surroundingsOf } from "../configuration.ts"
import type { Typed } from "../options.ts"
import { columns } from "../text.ts"
import { accessOf } from "../witness.ts"

/** The commands whose settings are checked. */
export const commands = ["server", "proxy", "run"] as const

const { clients, httpToken, httpTokenFile, keys } = Settings.operations
const { witnessPassword, witnessPasswordFile } = Settings.witness

/** Secrets, and the settings of the files that hold them instead. */
const secrets: ReadonlyArray<readonly [secret: Settings.Setting, file: Settings.Setting]> = [
  [httpToken, httpTokenFile],
  [witnessPassword, witnessPasswordFile]
]

const find = (rows: ReadonlyArray<Sources.Resolved>, setting: Settings.Setting) =>
  rows.find((row) => row.setting === setting)

/** The row of a secret; that of its file, if there is one. */
const secretOf = (row: Sources.Resolved, setting: Settings.Setting, name: unknown) =>
  Effect.gen(function*() {
    if (typeof name !== "string") {
      return row
    }
    const files = yield* FileSystem.FileSystem
    const problem = yield* Effect.match(files.readFileString(name), {
      onFailure: (error) => `cannot read ${name}: ${ConfigFile.reasonOf(error)}`,
      onSuccess: (content) => content.trim() === "" ? `${name} is empty` : undefined
    })
    return {
      ...row,
      text: "(set)",
      origin: `file ${name}`,
      isDefault: false,
      issue: problem === undefined ? undefined : { field: setting.flag, message: problem }
    } satisfies Sources.Resolved
  })

/** Replaces secrets by those of their files, if there are any. */
const withSecretFiles = (rows: ReadonlyArray<Sources.Resolved>) =>
  Effect.forEach(rows, (row) => {
    const [, file] = secrets.find(([secret]) => secret === row.setting) ?? []
    return file === undefined ? Effect.succeed(row) : secretOf(row, file, find(rows, file)?.value)
  })

/** What is wrong with the files of certificates for the witness. */
const witnessIssues = (rows: ReadonlyArray<Sources.Resolved>): Effect.Effect<ReadonlyArray<ConfigIssue>> => {
  const { witness, ...values } = Sources.valuesOf<"server">(rows)
  return witness === undefined ? Effect.succeed([]) : Effect.match(
    accessOf({ ...values, witness, witnessPasswordFile: undefined }, witness),
    { onFailure: ({ issues }) => issues, onSuccess: () => [] }
  )
}

/** What is wrong with the key files of a server, if it has any. */
const keyIssues = (role: Role, rows: ReadonlyArray<Sources.Resolved>): Effect.Effect<ReadonlyArray<ConfigIssue>> =>
  Effect.gen(function*() {
    const directory = find(rows, keys)?.value
    if (typeof directory !== "string") {
      return []
    }
    const curve = yield* Effect.promise(() => import("../../security/Curve.ts"))
    const security = curve.server(directory, role, {
      clients: find(rows, clients)?.value === "anyone" ? "anyone" : "listed"
    })
    const own = yield* Effect.match(security.own, { onFailure: ({ issues }) => issues, onSuccess: () => [] })
    const peer = yield* security.peer
    const listed = security.clients === "anyone" ? [] : (yield* security.clients).issues
    return [...own, ...peer.issues, ...listed].map(({ message }) => ({ field: `${role}: keys`, message }))
  })

const table = (rows: ReadonlyArray<Sources.Resolved>): string =>
  columns(rows.map(({ origin, setting, text }) => [setting.flag, text, origin])).join("\n")

/** A conflict with a default is none for the commands that have another one. */
const issuesOf = (rows: ReadonlyArray<Sources.Resolved>): ReadonlyArray<ConfigIssue> =>
  Sources.issuesOf(
    find(rows, Settings.identity.policy)?.isDefault === true
      ? rows.filter(({ setting }) => setting !== Settings.identity.policy)
      : rows
  )

/** What one server would use: its settings, and those in which its other commands differ. */
const sectionOf = (
  role: Role,
  given: Sources.Resolved | undefined,
  typed: Typed,
  { environment, file }: Surroundings
) =>
  Effect.gen(function*() {
    const entries = file && { name: file.name, entries: file.server[role] }
    const isShown = ({ setting }: Sources.Resolved) =>
      setting !== Settings.common.config && setting !== Settings.identity.role
    const resolved = commands.map((command) =>
      Sources.resolveAll(command, role, { options: { ...typed, role }, environment, file: entries }).filter(isShown)
    )
    const [first, ...others] = resolved
    const server = yield* withSecretFiles(first!)
    const besides = others.map((rows) =>
      rows.filter((row) => {
        const same = find(first!, row.setting)
        return same === undefined || same.text !== row.text
      })
    )
    return {
      issues: [
        ...[server, ...besides].flatMap(issuesOf),
        ...yield* keyIssues(role, server),
        ...yield* witnessIssues(server)
      ],
      parts: [
        { title: `${role}: bstar`, rows: [...given === undefined ? [] : [given], ...server] },
        ...besides.map((rows, at) => ({ title: `${role}: bstar ${commands[at + 1]}, besides`, rows }))
      ]
    }
  })

export const check = (typed: Typed): Effect.Effect<void, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const surroundings = yield* surroundingsOf(typed, "check", ...commands)
    const given = roleOf(typed, surroundings)
    const role = given.value === "primary" || given.value === "backup" ? given.value : undefined
    const roles: ReadonlyArray<Role> = role === undefined ? ["primary", "backup"] : [role]
    const sections = yield* Effect.forEach(
      roles,
      (one) => sectionOf(one, role === undefined ? undefined : given, typed, surroundings)
    )
    const issues = [
      ...surroundings.file?.issues ?? [],
      ...given.issue === undefined ? [] : [given.issue],
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
  })
