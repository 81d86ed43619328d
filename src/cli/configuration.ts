/** The values of the settings of a command, from its options, the environment, a configuration file, and the defaults. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ConfigIssue } from "../settings/InvalidConfig.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Settings from "../settings/Settings.ts"
import * as Sources from "../settings/Sources.ts"
import type { ConfigFile } from "./configFile.ts"
import type { Typed } from "./options.ts"
import { noRole, type UsageError } from "./usageError.ts"

/** What commands read besides their options. */
export interface Surroundings {
  readonly environment: ReadonlyMap<string, string>
  readonly file: ConfigFile | undefined
}

/** The variables of settings that are set. */
const environmentOf = (settings: ReadonlyArray<Settings.Setting>): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.map(
    Effect.forEach(
      settings.filter(({ from }) => from.includes("environment")),
      ({ variable }) =>
        Config.option(Config.string(variable)).pipe(
          Effect.orElseSucceed(Option.none<string>),
          Effect.map(Option.map((value) => [variable, value] as const))
        )
    ),
    (variables) => new Map(variables.flatMap(Option.toArray))
  )

/** Reads the environment, and the configuration file if there is one. Its issues are not yet errors. */
export const surroundingsOf = (
  typed: Typed,
  ...commands: ReadonlyArray<Settings.Command>
): Effect.Effect<Surroundings, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const settings = Settings.of(...commands)
    const environment = yield* environmentOf(settings)
    const { config } = Settings.common
    const name = settings.includes(config)
      ? Sources.resolve(config, {}, { options: typed, environment, file: undefined }).value
      : undefined
    if (typeof name !== "string") {
      return { environment, file: undefined }
    }
    const { read } = yield* Effect.promise(() => import("./configFile.ts"))
    return { environment, file: yield* read(name) }
  })

const failWith = (issues: ReadonlyArray<ConfigIssue>): Effect.Effect<void, InvalidConfig> =>
  issues.length === 0 ? Effect.void : new InvalidConfig({ issues })

/** The role as far as it is given. */
export const roleOf = (typed: Typed, { environment, file }: Surroundings): Sources.Resolved =>
  Sources.resolve(Settings.identity.role, {}, {
    options: typed,
    environment,
    file: file && { name: file.name, entries: file.shared }
  })

/** The values for a server of a pair. */
export const ofServer = <C extends "server" | "proxy" | "run">(
  command: C,
  typed: Typed
): Effect.Effect<Settings.Values<C>, InvalidConfig | UsageError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const surroundings = yield* surroundingsOf(typed, command)
    const { environment, file } = surroundings
    const { issue, value: role } = roleOf(typed, surroundings)
    yield* failWith([...file?.issues ?? [], ...issue === undefined ? [] : [issue]])
    if (role !== "primary" && role !== "backup") {
      return yield* noRole
    }
    const resolved = Sources.resolveAll(command, role, {
      options: { ...typed, role },
      environment,
      file: file && { name: file.name, entries: file.server[role] }
    })
    yield* failWith(Sources.issuesOf(resolved))
    return Sources.valuesOf<C>(resolved)
  })

/** Commands without a role whose settings are those of servers: of both, so they are above the tables. */
const isOfServers = (command: Settings.Command): boolean => command === "witnessStatus" || command === "witnessInit"

/** The values for any other command. */
export const of = <C extends Settings.Command>(
  command: C,
  typed: Typed
): Effect.Effect<Settings.Values<C>, InvalidConfig, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { environment, file } = yield* surroundingsOf(typed, command)
    const resolved = Sources.resolveAll(command, undefined, {
      options: typed,
      environment,
      file: file && { name: file.name, entries: isOfServers(command) ? file.shared : file.client }
    })
    yield* failWith([...file?.issues ?? [], ...Sources.issuesOf(resolved)])
    return Sources.valuesOf<C>(resolved)
  })

/** The values for `bstar client`, as either of its kinds of client. Options of the other kind are errors. */
export const ofClient = (
  typed: Typed
): Effect.Effect<Settings.Values<"client"> | Settings.Values<"legacy">, InvalidConfig, FileSystem.FileSystem> => {
  const [command, other] = typed.legacy === true ? ["legacy", "client"] as const : ["client", "legacy"] as const
  const foreign = Settings.of(other).filter((setting) =>
    typed[setting.key] !== undefined && !setting.commands.includes(command)
  )
  return Effect.zipRight(
    failWith(foreign.map(({ flag }) => ({
      field: `--${flag}`,
      message: command === "legacy" ? "not an option with --legacy" : "only an option with --legacy"
    }))),
    of(command, typed)
  )
}
