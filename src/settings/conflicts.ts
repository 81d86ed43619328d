/** Values of settings that are valid by themselves, but not together. */
import * as Endpoint from "../wire/Endpoint.ts"
import type { WitnessEndpoint } from "../wire/WitnessEndpoint.ts"
import * as Address from "./Address.ts"
import { isInproc, noKeysFor } from "./Inproc.ts"
import * as kinds from "./kinds.ts"
import type { Setting } from "./Settings.ts"
import { identity, member, operations, proxy, witness } from "./Settings.ts"

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

/** Addresses of one server that have to differ: two that it binds, or one that it binds and that of its peer. */
const ofAddresses = (valueOf: Values): ReadonlyArray<Conflict> => {
  const textOf = (setting: Setting) => valueOf(setting) as string | undefined
  const isSame = (a: Setting, b: Setting, areSame: (a: string, b: string) => boolean) => {
    const [one, another] = [textOf(a), textOf(b)]
    return one !== undefined && another !== undefined && areSame(one, another)
  }
  const overlap = (a: string, b: string) => Endpoint.isSame(a, b) || Endpoint.isSame(b, a)
  const { frontend, peerEndpoint, stateEndpoint } = member
  const { http, peerHttp } = operations
  const bound: ReadonlyArray<readonly [Setting, Setting]> = [
    [frontend, stateEndpoint],
    [proxy.backend, frontend],
    [proxy.backend, stateEndpoint]
  ]
  return [
    ...bound.filter(([a, b]) => isSame(a, b, overlap)).map(([setting, other]) => ({
      setting,
      message: `${kinds.quoted(textOf(setting))} is --${other.flag}, too: choose another port`
    })),
    ...(isSame(peerEndpoint, stateEndpoint, Endpoint.isSame) ?
      [{
        setting: peerEndpoint,
        message: `${kinds.quoted(textOf(peerEndpoint))} is this server's own --${stateEndpoint.flag} (${
          kinds.quoted(textOf(stateEndpoint))
        }): give the --${stateEndpoint.flag} of the other server`
      }] :
      []),
    ...(isSame(peerHttp, http, Address.isSameServer) ?
      [{
        setting: peerHttp,
        message: `${
          kinds.quoted(textOf(peerHttp))
        } is this server's own --${http.flag}: give the --${http.flag} of the other server`
      }] :
      [])
  ]
}

/** The peer's status is shown by this server's own status server. */
const ofStatus = (settings: ReadonlyArray<Setting>, valueOf: Values): ReadonlyArray<Conflict> => {
  const { http, peerHttp } = operations
  return settings.includes(http) && valueOf(http) === undefined && valueOf(peerHttp) !== undefined
    ? [{ setting: peerHttp, message: `is of no use without --${http.flag}` }]
    : []
}

/** Keys for endpoints that cannot have any. */
const ofKeys = (valueOf: Values): ReadonlyArray<Conflict> => {
  const { frontend, peerEndpoint, stateEndpoint } = member
  return valueOf(operations.keys) === undefined ? [] : [frontend, stateEndpoint, peerEndpoint, proxy.backend]
    .map(valueOf)
    .filter((endpoint) => typeof endpoint === "string")
    .filter(isInproc)
    .map((endpoint) => ({ setting: operations.keys, message: noKeysFor(endpoint) }))
}

/** Finds values that do not go together. */
export const conflicts = (settings: ReadonlyArray<Setting>, valueOf: Values): ReadonlyArray<Conflict> => [
  ...ofPolicy(settings, valueOf),
  ...ofWitness(settings, valueOf),
  ...ofAddresses(valueOf),
  ...ofStatus(settings, valueOf),
  ...ofKeys(valueOf)
]
