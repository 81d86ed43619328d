/**
 * Keys of servers and clients for CURVE, the encryption of ZeroMQ.
 *
 * Every server has a pair of keys, and so may have every client. A server accepts connections by their public keys, and its peer and
 * its clients accept it only if it has the secret of the public key that they know it by. The members of a pair accept exactly each
 * other. Messages cannot be read, changed or replayed on the way.
 *
 * The layers of `zeromq` use the keys: `Zmq.layer({ ...options, security })`, `ZmqClientLink.layerCurve(security)`,
 * `ZmqBackend.layerCurve({ backend, security })`.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Role } from "../protocol/StateMachine.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Accepted, KeyPair } from "./CurveKey.ts"
import { isKey } from "./CurveKey.ts"
import { issue, publicKeys, readKeyPair } from "./keyFiles.ts"
import * as RejectedConnections from "./RejectedConnections.ts"

/**
 * The keys of a server, and the public keys that it accepts.
 *
 * @category models
 */
export interface Server {
  readonly role: Role
  /** Its own keys. */
  readonly own: Effect.Effect<KeyPair, InvalidConfig>
  /** The peer's public key; the old and the new one while it is changed. */
  readonly peer: Accepted
  /** Public keys of clients. `anyone` accepts each client that has this server's public key. */
  readonly clients: Accepted | "anyone"
  /** Public keys of the workers of a proxy. */
  readonly workers: Accepted
  /** Counts connections that its ports have rejected. */
  readonly rejectedConnections: RejectedConnections.RejectedConnections
}

/**
 * The keys of a client, and the public keys of the servers.
 *
 * @category models
 */
export interface Client {
  /** Its own keys. */
  readonly own: Effect.Effect<KeyPair, InvalidConfig>
  /** The public keys of both servers; old and new ones while they are changed. */
  readonly servers: Accepted
}

/**
 * Public keys as texts. A text that is not a key is an issue.
 *
 * @category constructors
 */
export const keys = (publicKeys: Iterable<string>): Accepted => {
  const given = [...publicKeys]
  return Effect.succeed({
    names: new Map(given.filter(isKey).map((key) => [key, key])),
    issues: given.filter((key) => !isKey(key)).map(() =>
      issue("one of the public keys is not a key; a key of CURVE is 40 characters of Z85")
    )
  })
}

/**
 * The keys of a server, from any source.
 *
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
  rejectedConnections: RejectedConnections.make(options.role)
})

/**
 * The keys of a client, from any source.
 *
 * @category constructors
 */
export const makeClient = (options: { readonly own: KeyPair; readonly servers: Accepted }): Client => ({
  own: Effect.succeed(options.own),
  servers: options.servers
})

/** Whether a file is a public key of a server: `primary.key`, or for example `primary.next.key` while its key is changed. */
const isKeyOf = (role: Role) => (name: string): boolean =>
  name.startsWith(`${role}.`) && /^[a-z]+(\.[^.]+)?\.key$/.test(name)

const isPublic = (name: string): boolean => /^[^.].*\.key$/.test(name)

const copyIt = "bstar keygen makes one; copy it to where it is needed"

/** The public keys of a server, at least one. */
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
 * The keys of a server in a directory as `bstar keygen` writes it. The primary reads `primary.key_secret` (readable by its owner only),
 * `backup.key` and `backup.*.key` of its peer, `clients/*.key` and `workers/*.key`; the backup reads the counterparts. Added and
 * removed public keys apply to the next connection; of many at a time, some may still be judged by the keys of a moment ago.
 *
 * @category constructors
 */
export const server = (directory: string, role: Role, options: {
  /** Whether to accept clients in `clients/`, or each one that has this server's public key. Defaults to `listed`. */
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
    rejectedConnections: RejectedConnections.make(role)
  }
}

/**
 * The keys of a client in a directory as `bstar keygen --client` writes it: `client.key_secret` (readable by its owner only), and
 * `primary.key`, `backup.key` and the like of the servers.
 *
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
