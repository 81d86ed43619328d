/** Keys for tests, in memory and in files. */
import { Effect, Ref } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Curve from "../../src/security/Curve.ts"
import * as CurveKey from "../../src/security/CurveKey.ts"
import * as keygen from "../../src/security/Keygen.ts"

/** A directory that is removed with the scope. */
export const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-keys-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** The keys of a pair and one client. The accepted keys of clients can be changed. */
export const makeKeys = Effect.gen(function*() {
  const own: { readonly [R in Role]: CurveKey.KeyPair } = {
    primary: yield* CurveKey.generate,
    backup: yield* CurveKey.generate
  }
  const client = yield* CurveKey.generate
  const accepted = yield* Ref.make<ReadonlyArray<string>>([client.publicKey])
  const clients = Effect.flatMap(Ref.get(accepted), Curve.keys)
  const server = (role: Role) =>
    Curve.makeServer({
      role,
      own: own[role],
      peer: Curve.keys([own[role === "primary" ? "backup" : "primary"].publicKey]),
      clients
    })
  const servers = Curve.keys([own.primary.publicKey, own.backup.publicKey])
  return {
    own,
    client,
    /** The public keys of the clients that are accepted. */
    accepted,
    primary: server("primary"),
    backup: server("backup"),
    clientOf: (own: CurveKey.KeyPair) => Curve.makeClient({ own, servers })
  }
})

const keyIn = (name: "public" | "secret", ...file: ReadonlyArray<string>): string =>
  new RegExp(`${name}-key = "(.*)"`).exec(fs.readFileSync(path.join(...file), "utf8"))![1]!

/** The options of a raw socket of a client that connects to a server. */
export const socketOptions = (keys: string, client: string, server: Role) => {
  const own = path.join(keys, `client-${client}`)
  return {
    curvePublicKey: keyIn("public", own, "client.key_secret"),
    curveSecretKey: keyIn("secret", own, "client.key_secret"),
    curveServerKey: keyIn("public", own, `${server}.key`)
  }
}

/** Key files of a pair, and of clients and workers with these names, in a directory that is removed with the scope. */
export const makeKeyFiles = (clients: ReadonlyArray<string> = [], workers: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const keys = yield* directory
    yield* keygen.pair(keys)
    yield* Effect.forEach(clients, (name) => keygen.member(keys, "client", name))
    yield* Effect.forEach(workers, (name) => keygen.member(keys, "worker", name))
    return keys
  }).pipe(Effect.orDie)
