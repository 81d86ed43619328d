/** Makes key files. None is ever written over another. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { Role } from "../protocol/StateMachine.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import { publicText, secretText } from "./certificate.ts"
import * as CurveKey from "./CurveKey.ts"

const refuse = (message: string) => new InvalidConfig({ issues: [{ field: "", message }] })

/** A file that is to be written. */
interface Wanted {
  readonly file: string
  readonly text: string
  readonly isSecret: boolean
}

const refused = (file: string) => (error: unknown): InvalidConfig => {
  const { code, message } = error as NodeJS.ErrnoException
  return refuse(
    code === "EEXIST"
      ? `${file} is there already and stays as it is; move it away if you want another key`
      : `cannot write ${file}: ${code === "EACCES" ? "permission denied" : message}`
  )
}

const attempt = <A>(file: string, write: () => Promise<A>) => Effect.tryPromise({ try: write, catch: refused(file) })

const makeDirectory = (directory: string, mode: number) =>
  attempt(directory, () => fs.mkdir(directory, { recursive: true, mode }))

const write = ({ file, isSecret, text }: Wanted): Effect.Effect<string, InvalidConfig> =>
  attempt(file, async () => {
    const mode = isSecret ? 0o600 : 0o644
    // Nobody else may read it from its first moment on; and a narrow umask does not hide what is for others.
    const handle = await fs.open(file, "wx", mode)
    try {
      await handle.chmod(mode)
      await handle.writeFile(text)
    } finally {
      await handle.close()
    }
    return file
  })

/** All or none, as far as can be known before. */
const writeAll = (files: ReadonlyArray<Wanted>): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    for (const { file } of files) {
      const isThere = yield* Effect.promise(() => fs.lstat(file).then(() => true, () => false))
      if (isThere) {
        return yield* refused(file)({ code: "EEXIST" })
      }
    }
    return yield* Effect.forEach(files, write)
  })

const pairOf = (stem: string, keys: CurveKey.KeyPair): ReadonlyArray<Wanted> => [
  { file: `${stem}.key`, text: publicText(keys), isSecret: false },
  { file: `${stem}.key_secret`, text: secretText(keys), isSecret: true }
]

/** Keys for both servers, and places for those of clients and workers. */
export const pair = (directory: string): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    const [primary, backup] = [yield* CurveKey.generate, yield* CurveKey.generate]
    yield* makeDirectory(directory, 0o700)
    const written = yield* writeAll([
      ...pairOf(path.join(directory, "primary"), primary),
      ...pairOf(path.join(directory, "backup"), backup)
    ])
    yield* makeDirectory(path.join(directory, "clients"), 0o755)
    yield* makeDirectory(path.join(directory, "workers"), 0o755)
    return written
  })

const serverFiles = (directory: string): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    const names = yield* Effect.promise(() => fs.readdir(directory).catch((): Array<string> => []))
    for (const role of ["primary", "backup"]) {
      if (!names.includes(`${role}.key`)) {
        return yield* refuse(
          `there is no ${path.join(directory, `${role}.key`)}; bstar keygen ${directory} comes first`
        )
      }
    }
    return names.filter((name) => /^(primary|backup)(\.[^.]+)?\.key$/.test(name))
  })

/** A key that is going to take the place of a server's. */
export const next = (directory: string, role: Role): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.zipRight(
    serverFiles(directory),
    Effect.flatMap(CurveKey.generate, (keys) => writeAll(pairOf(path.join(directory, `${role}.next`), keys)))
  )

/**
 * Keys for a client or a worker: its public key where servers look for it, and a directory with all that it needs itself, to be
 * moved to it.
 */
export const member = (
  directory: string,
  kind: "client" | "worker",
  name: string
): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
      return yield* refuse(`expected a name of letters, digits, ".", "_" and "-", got ${JSON.stringify(name)}`)
    }
    const servers = yield* serverFiles(directory)
    const keys = yield* CurveKey.generate
    const own = path.join(directory, `${kind}-${name}`)
    const copies = yield* Effect.forEach(servers, (file) =>
      attempt(path.join(own, file), () =>
        fs.readFile(path.join(directory, file), "utf8")).pipe(
          Effect.map((text): Wanted => ({ file: path.join(own, file), text, isSecret: false }))
        ))
    yield* makeDirectory(path.join(directory, `${kind}s`), 0o755)
    const listed = path.join(directory, `${kind}s`, `${name}.key`)
    yield* makeDirectory(own, 0o700)
    return yield* writeAll([
      { file: listed, text: publicText(keys), isSecret: false },
      { file: path.join(own, `${kind}.key_secret`), text: secretText(keys), isSecret: true },
      ...copies
    ])
  })
