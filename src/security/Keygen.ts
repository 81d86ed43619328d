/** Makes key files. An existing file is never overwritten. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { Role } from "../protocol/StateMachine.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import { publicText, secretText } from "./certificate.ts"
import * as CurveKey from "./CurveKey.ts"

const invalid = (message: string) => new InvalidConfig({ issues: [{ field: "", message }] })

/** A file to write. */
interface KeyFile {
  readonly file: string
  readonly text: string
  readonly isSecret: boolean
}

const writeError = (file: string) => (error: unknown): InvalidConfig => {
  const { code, message } = error as NodeJS.ErrnoException
  return invalid(
    code === "EEXIST"
      ? `${file} exists already and is not overwritten; move it away to make another key`
      : `cannot write ${file}: ${code === "EACCES" ? "permission denied" : message}`
  )
}

const attempt = <A>(file: string, write: () => Promise<A>) => Effect.tryPromise({ try: write, catch: writeError(file) })

const makeDirectory = (directory: string, mode: number) =>
  attempt(directory, () => fs.mkdir(directory, { recursive: true, mode }))

const write = ({ file, isSecret, text }: KeyFile): Effect.Effect<string, InvalidConfig> =>
  attempt(file, async () => {
    const mode = isSecret ? 0o600 : 0o644
    // The mode at creation keeps a secret from others from the start. `chmod` undoes a narrow umask for public keys.
    const handle = await fs.open(file, "wx", mode)
    try {
      await handle.chmod(mode)
      await handle.writeFile(text)
    } finally {
      await handle.close()
    }
    return file
  })

/** Writes all files, or none if one exists already. */
const writeAll = (files: ReadonlyArray<KeyFile>): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    for (const { file } of files) {
      const exists = yield* Effect.promise(() => fs.lstat(file).then(() => true, () => false))
      if (exists) {
        return yield* writeError(file)({ code: "EEXIST" })
      }
    }
    return yield* Effect.forEach(files, write)
  })

const pairOf = (stem: string, keys: CurveKey.KeyPair): ReadonlyArray<KeyFile> => [
  { file: `${stem}.key`, text: publicText(keys), isSecret: false },
  { file: `${stem}.key_secret`, text: secretText(keys), isSecret: true }
]

/** Keys of both servers, and directories for those of clients and workers. */
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
        return yield* invalid(
          `there is no ${path.join(directory, `${role}.key`)}; run bstar keygen ${directory} first`
        )
      }
    }
    return names.filter((name) => /^(primary|backup)(\.[^.]+)?\.key$/.test(name))
  })

/** The next key of a server. */
export const next = (directory: string, role: Role): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.zipRight(
    serverFiles(directory),
    Effect.flatMap(CurveKey.generate, (keys) => writeAll(pairOf(path.join(directory, `${role}.next`), keys)))
  )

/**
 * Keys of a client or a worker: its public key where servers read it, and a directory with everything that it needs itself, to be
 * moved to its machine.
 */
export const member = (
  directory: string,
  kind: "client" | "worker",
  name: string
): Effect.Effect<ReadonlyArray<string>, InvalidConfig> =>
  Effect.gen(function*() {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
      return yield* invalid(`expected a name of letters, digits, ".", "_" and "-", got ${JSON.stringify(name)}`)
    }
    const servers = yield* serverFiles(directory)
    const keys = yield* CurveKey.generate
    const own = path.join(directory, `${kind}-${name}`)
    const copies = yield* Effect.forEach(servers, (file) =>
      attempt(path.join(own, file), () =>
        fs.readFile(path.join(directory, file), "utf8")).pipe(
          Effect.map((text): KeyFile => ({ file: path.join(own, file), text, isSecret: false }))
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
