/**
 * `bstar config check`: the values that the servers of a pair would use, and where each comes from, or all that is wrong. No server
 * is started.
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import * as path from "node:path"
import type { Role } from "../../protocol/StateMachine.ts"
import type { ConfigIssue } from "../../settings/InvalidConfig.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Settings from "../../settings/Settings.ts"
import * as Sources from "../../settings/Sources.ts"
import { roleOf, type Surroundings, surroundingsOf } from "../configuration.ts"
import type { Typed } from "../options.ts"
import { columns } from "../text.ts"
import * as Token from "../token.ts"
import { accessOf, passwordOf } from "../witness.ts"

/** The commands whose settings are checked. */
export const commands = ["server", "proxy", "run"] as const

const { clients, httpToken, httpTokenFile, keys } = Settings.operations
const { witnessPassword, witnessPasswordFile } = Settings.witness

/** Secrets, the settings of the files that hold them instead, and what reads them as a server does at its start. */
const secrets: ReadonlyArray<{
  readonly secret: Settings.Setting
  readonly file: Settings.Setting
  readonly read: (values: Settings.Values<"server">) => Effect.Effect<unknown, InvalidConfig>
}> = [
  { secret: httpToken, file: httpTokenFile, read: Token.ofServer },
  { secret: witnessPassword, file: witnessPasswordFile, read: passwordOf }
]

const find = (rows: ReadonlyArray<Sources.Resolved>, setting: Settings.Setting) =>
  rows.find((row) => row.setting === setting)

/** The rows, with what is wrong with the secrets; a row of a secret is about its file, if there is one. */
const withSecrets = (rows: ReadonlyArray<Sources.Resolved>) =>
  Effect.forEach(rows, (row) => {
    const secret = secrets.find(({ secret }) => secret === row.setting)
    const file = secret && find(rows, secret.file)?.value
    return secret === undefined ? Effect.succeed(row) : Effect.match(secret.read(Sources.valuesOf<"server">(rows)), {
      onFailure: ({ issues: [issue] }) => issue,
      onSuccess: () => undefined
    }).pipe(
      Effect.map((issue): Sources.Resolved =>
        typeof file === "string"
          ? { ...row, text: "(set)", origin: `file ${file}`, isDefault: false, issue }
          : { ...row, issue: row.issue ?? issue }
      )
    )
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
    // `bstar keygen` makes the folder of workers; a pair without a proxy needs none.
    const workers = existsSync(path.join(directory, "workers")) ? (yield* security.workers).issues : []
    return [...own, ...peer.issues, ...listed, ...workers].map(({ message }) => ({ field: `${role}: keys`, message }))
  })

const table = (rows: ReadonlyArray<Sources.Resolved>): string =>
  columns(rows.map(({ origin, setting, text }) => [setting.flag, text, origin])).join("\n")

/**
 * What was given. A default of `bstar proxy` or `bstar run` that conflicts with it is not reported: the pair may use neither. They
 * report it when they start.
 */
const given = (rows: ReadonlyArray<Sources.Resolved>) => rows.filter(({ isDefault }) => !isDefault)

/** What one server would use: its settings, and those in which its other commands differ. */
const sectionOf = (
  role: Role,
  givenRole: Sources.Resolved | undefined,
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
    const server = yield* withSecrets(first!)
    const besides = others.map((rows) =>
      rows.filter((row) => {
        const same = find(first!, row.setting)
        return same === undefined || same.text !== row.text
      })
    )
    return {
      issues: [
        ...[server, ...others.map(given)].flatMap(Sources.issuesOf),
        ...yield* keyIssues(role, server),
        ...yield* witnessIssues(server)
      ],
      parts: [
        { title: `${role}: bstar`, rows: [...givenRole === undefined ? [] : [givenRole], ...server] },
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
