/** Values of settings that are valid by themselves, but not together. */
import type { WitnessEndpoint } from "../wire/WitnessEndpoint.ts"
import * as kinds from "./kinds.ts"
import type { Setting } from "./Settings.ts"
import { identity, witness } from "./Settings.ts"

/** A value that does not go with another one. */
interface Conflict {
  readonly setting: Setting
  readonly message: string
}

type Values = (setting: Setting) => unknown

/** Values that need the policy `hardened`, where it is another one. Both settings are named. */
const ofPolicy = (settings: ReadonlyArray<Setting>, valueOf: Values): ReadonlyArray<Conflict> =>
  valueOf(identity.policy) === "hardened" || valueOf(identity.policy) === undefined ?
    [] :
    settings.flatMap((setting) => {
      const value = valueOf(setting)
      return setting.hardenedOnly?.includes(value) !== true ? [] : [
        { setting, message: `${kinds.quoted(value)} needs the policy "hardened"` },
        {
          setting: identity.policy,
          message: `expected "hardened" where ${setting.flag} is ${kinds.quoted(value)}, got ${
            kinds.quoted(valueOf(identity.policy))
          }`
        }
      ]
    })

const isSecure = (endpoint: WitnessEndpoint): boolean =>
  endpoint.engine === "etcd" ? endpoint.isSecure : endpoint.sslMode !== "disable"

/** Settings of a witness's connection that it has no use for, or that lack another one. */
const ofConnection = (endpoint: WitnessEndpoint, valueOf: Values): ReadonlyArray<Conflict> => {
  const isGiven = (setting: Setting) => valueOf(setting) !== undefined
  const { witnessCa, witnessCert, witnessKey, witnessPassword, witnessPasswordFile } = witness
  const files = [witnessCa, witnessCert, witnessKey].filter(isGiven)
  const password = [witnessPasswordFile, witnessPassword].find(isGiven)
  return [
    ...(isSecure(endpoint) ? [] : files.map((setting) => ({
      setting,
      message: `needs TLS: ${endpoint.engine === "etcd" ? "a witness etcds://..." : "another sslmode than disable"}`
    }))),
    ...(isGiven(witnessCert) === isGiven(witnessKey) ? [] : [
      isGiven(witnessCert)
        ? { setting: witnessCert, message: "needs its key: --witness-key" }
        : { setting: witnessKey, message: "needs its certificate: --witness-cert" }
    ]),
    ...(endpoint.engine === "etcd" && endpoint.user !== undefined && password === undefined ?
      [{
        setting: witness.witness,
        message:
          `the user ${endpoint.user} needs a password: BSTAR_WITNESS_PASSWORD, or a file by --witness-password-file`
      }] :
      []),
    ...(endpoint.user === undefined && password !== undefined ?
      [{ setting: witness.witness, message: "a password is given, but no user: etcd://USER@HOST:PORT/NAME" }] :
      [])
  ]
}

/** A witness needs the policy `witnessed`, and that needs a witness, in the commands that may have one. */
const ofWitness = (settings: ReadonlyArray<Setting>, valueOf: Values): ReadonlyArray<Conflict> => {
  if (!settings.includes(witness.witness)) {
    return []
  }
  const endpoint = valueOf(witness.witness) as WitnessEndpoint | undefined
  const policy = valueOf(identity.policy)
  if (endpoint === undefined) {
    return [
      ...(policy === "witnessed"
        ? [{ setting: identity.policy, message: `"witnessed" needs a witness: --witness URL` }]
        : []),
      ...Object.values(witness).filter((setting: Setting) =>
        setting.isSecret !== true && valueOf(setting) !== undefined
      )
        .map((setting) => ({ setting, message: "is of no use without --witness" }))
    ]
  }
  return [
    ...(policy === undefined || policy === "witnessed" ? [] : [{
      setting: identity.policy,
      message: `expected "witnessed" where there is a witness, got ${kinds.quoted(policy)}`
    }]),
    ...ofConnection(endpoint, valueOf)
  ]
}

/** Finds values that do not go together. */
export const conflicts = (settings: ReadonlyArray<Setting>, valueOf: Values): ReadonlyArray<Conflict> => [
  ...ofPolicy(settings, valueOf),
  ...ofWitness(settings, valueOf)
]
