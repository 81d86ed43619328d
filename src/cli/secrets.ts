/**
 * Secrets of the environment, which no child process may inherit: hooks, the command of `bstar run`, its guardian.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import process from "node:process"
import * as Settings from "../settings/Settings.ts"

const names = Settings.all.filter(({ isSecret }) => isSecret === true).map(({ variable }) => variable)

/** Removes the secrets from the environment of this process and provides them, and the rest of it, as configuration. */
export const take = (): ConfigProvider.ConfigProvider => {
  const taken = new Map<string, string>()
  for (const name of names) {
    const value = process.env[name]
    if (value !== undefined) {
      taken.set(name, value)
      delete process.env[name]
    }
  }
  return ConfigProvider.orElse(ConfigProvider.fromMap(taken), () => ConfigProvider.fromEnv())
}
