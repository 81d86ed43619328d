/** The configuration of one server of a pair. */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { PolicyName } from "../protocol/Policies.ts"
import type { Role } from "../protocol/StateMachine.ts"
import { timing } from "../protocol/Timing.ts"
import { conflicts } from "./conflicts.ts"
import { InvalidConfig } from "./InvalidConfig.ts"
import { mismatch } from "./kinds.ts"
import * as Settings from "./Settings.ts"
import { fieldsOf, validate, withDefaults } from "./Validation.ts"

const settings = { ...Settings.identity, ...Settings.member, ...Settings.limits }

/**
 * What a server of a pair has to know. Both servers of a pair must have the same policy and heartbeat.
 *
 * @category models
 */
export class BinaryStarConfig
  extends Schema.Class<BinaryStarConfig>("effect-binary-star/BinaryStarConfig")(fieldsOf(settings))
{
  /** Peer timeout: how long a peer may be silent before it counts as lost, two heartbeats, in milliseconds. */
  get peerTimeoutMillis(): number {
    return timing.peerTimeout * Duration.toMillis(this.heartbeat)
  }

  /** How long the handshake of an accepted connection to the peer may take: six heartbeats, in milliseconds. */
  get handshakeMillis(): number {
    return timing.handshake * Duration.toMillis(this.heartbeat)
  }
}

/**
 * A duration: a `Duration`, milliseconds, or text such as `"250 millis"`, `"500ms"` or `"1.5s"`.
 *
 * @category models
 */
export type DurationInput = Settings.DurationInput

/**
 * What a user gives to configure a server. All but the role and the policy have defaults.
 *
 * @category models
 */
export interface Options extends Settings.Given<typeof Settings.member>, Settings.Given<typeof Settings.limits> {
  /** Which server of the pair this is. */
  readonly role: Role
  /** The rules by which it becomes active and passive: `classic` is the Guide's, `hardened` is for production. */
  readonly policy: PolicyName
}

/**
 * Checks options and fills in the defaults. Fails with every invalid field.
 *
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<BinaryStarConfig, InvalidConfig> =>
  Effect.filterOrElse(
    validate(BinaryStarConfig, withDefaults(settings, { ...options }, options)),
    (config) => conflictsOf(config).length === 0,
    (config) => new InvalidConfig({ issues: conflictsOf(config) })
  )

const conflictsOf = (config: BinaryStarConfig) =>
  conflicts(Object.values(settings), ({ key }) => config[key as keyof typeof settings]).map(
    ({ message, setting }) => ({ field: setting.key, message })
  )

const camel = (flag: string): string => flag.replaceAll(/-./g, ([, letter]) => letter!.toUpperCase())

const configOf = ({ flag, isRequired, key, kind, unset }: Settings.Setting) => {
  const value = Config.mapOrFail(Config.string(camel(flag)), (text) => {
    if (text === unset) {
      return Either.right(undefined)
    }
    const value = kind.decode(kind.fromText(text))
    return value === undefined
      ? Either.left(ConfigError.InvalidData([], mismatch(kind, text)))
      : Either.right(value)
  })
  return isRequired === true || key === "policy" ? value : Config.withDefault(value, undefined)
}

/**
 * Options from a `Config`: the role, the policy and every other setting of the library, each by the name of its option in camel
 * case, such as `state`, `heartbeat` and `maxFailovers`; all but the first two optional. With `ConfigProvider.nested("BSTAR")` and
 * `ConfigProvider.constantCase` they come from the environment as `BSTAR_ROLE`, `BSTAR_MAX_FAILOVERS` and so on, as for the command
 * `bstar`.
 *
 * @category constructors
 */
export const config: Config.Config<Options> = Config.all(
  Object.fromEntries(Object.values<Settings.Setting>(settings).map((setting) => [setting.key, configOf(setting)]))
) as unknown as Config.Config<Options>
