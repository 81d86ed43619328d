/**
 * Who may talk to a pair: keys for everybody, by CURVE, the encryption of ZeroMQ.
 *
 * Every server has a pair of keys, and so may have every client. A server lets in whose public key it accepts, and its peer and
 * its clients talk to it only as it has the secret of the public key that they know it by. The two of a pair accept exactly each
 * other. What they say to each other cannot be read or changed on the way, nor said again by somebody else.
 *
 * This module says with what; the layers of `zeromq` do it: `Zmq.layer({ ...options, security })`,
 * `ZmqClientLink.layerCurve(security)`, `ZmqBackend.layerCurve({ backend, security })`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Role } from "../protocol/StateMachine.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Accepted, KeyPair } from "./CurveKey.ts"
import { isKey } from "./CurveKey.ts"
import { issue, publicKeys, readKeyPair } from "./keyFiles.ts"
import * as Refusals from "./Refusals.ts"

/**
 * What a server of a pair knows of keys.
 *
 * @since 0.1.0
 * @category models
 */
export interface Server {
  readonly role: Role
  /** Its own. */
  readonly own: Effect.Effect<KeyPair, InvalidConfig>
  /** The peer's public key; the old and the new one while it is changed. */
  readonly peer: Accepted
  /** Those of the clients, or `anyone` who has this server's public key. */
  readonly clients: Accepted | "anyone"
  /** Those of the workers of a proxy. */
  readonly workers: Accepted
  /** Counts whom its ports have refused. */
  readonly refusals: Refusals.RejectedConnections
}

/**
 * What a client knows of keys.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  /** Its own. */
  readonly own: Effect.Effect<KeyPair, InvalidConfig>
  /** The public keys of both servers; old and new ones while they are changed. */
  readonly servers: Accepted
}

/**
 * Public keys that are given as they are. What is no key is an issue.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keys = (publicKeys: Iterable<string>): Accepted => {
  const given = [...publicKeys]
  return Effect.succeed({
    names: new Map(given.filter(isKey).map((key) => [key, key])),
    issues: given.filter((key) => !isKey(key)).map(() =>
      issue("one of the public keys is none; a key of CURVE is 40 characters of Z85")
    )
  })
}

/**
 * A server's keys, wherever they come from.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeServer = (options: {
  readonly role: Role
  readonly own: KeyPair
  readonly peer: Accepted
  readonly clients: Accepted | "anyone"
  /** Defaults to none: only a proxy has workers. */
  readonly workers?: Accepted | undefined
}): Server => ({
  ...options,
  own: Effect.succeed(options.own),
  workers: options.workers ?? keys([]),
  refusals: Refusals.make(options.role)
})

/**
 * A client's keys, wherever they come from.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeClient = (options: { readonly own: KeyPair; readonly servers: Accepted }): Client => ({
  own: Effect.succeed(options.own),
  servers: options.servers
})

/** The public keys of a server: `primary.key`, and `primary.next.key` or the like while its key is changed. */
const isKeyOf = (role: Role) => (name: string): boolean =>
  name.startsWith(`${role}.`) && /^[a-z]+(\.[^.]+)?\.key$/.test(name)

const isPublic = (name: string): boolean => /^[^.].*\.key$/.test(name)

const copyIt = "bstar keygen makes one; copy it to where it is needed"

/** The keys of a server, of which there has to be one. */
const keysOf = (directory: string, role: Role): Accepted =>
  publicKeys(directory, isKeyOf(role), copyIt).pipe(
    Effect.map((keys) =>
      keys.names.size > 0 || keys.issues.length > 0 ? keys : {
        ...keys,
        issues: [issue(`there is no ${path.join(directory, `${role}.key`)}, the public key of the ${role}; ${copyIt}`)]
      }
    )
  )

/**
 * A server's keys in a directory, as `bstar keygen` writes it: `primary.key_secret` for the primary (only its owner may read
 * it), `backup.key` and `backup.*.key` of its peer, one of `clients/*.key` for each client and of `workers/*.key` for each
 * worker; and the other way round for the backup. Public keys that come or go count from the next connection on; of many
 * at a time some may still be judged by what was read a moment ago.
 *
 * @since 0.1.0
 * @category constructors
 */
export const server = (directory: string, role: Role, options: {
  /** Whether clients are those in `clients/`, or anyone who has this server's public key. Defaults to `listed`. */
  readonly clients?: "listed" | "anyone" | undefined
} = {}): Server => {
  const listed = (what: "client" | "worker") =>
    publicKeys(path.join(directory, `${what}s`), isPublic, `bstar keygen ${directory} --${what} NAME adds one`)
  return {
    role,
    own: readKeyPair(path.join(directory, `${role}.key_secret`), copyIt),
    peer: keysOf(directory, role === "primary" ? "backup" : "primary"),
    clients: options.clients === "anyone" ? "anyone" : listed("client"),
    workers: listed("worker"),
    refusals: Refusals.make(role)
  }
}

/**
 * A client's keys in a directory, as `bstar keygen --client` writes it: `client.key_secret` (only its owner may read it), and
 * `primary.key`, `backup.key` and the like of the servers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const client = (directory: string): Client => ({
  own: readKeyPair(path.join(directory, "client.key_secret"), copyIt),
  servers: Effect.map(
    Effect.all([keysOf(directory, "primary"), keysOf(directory, "backup")]),
    ([primary, backup]) => ({
      names: new Map([...primary.names, ...backup.names]),
      issues: [...primary.issues, ...backup.issues]
    })
  )
})
