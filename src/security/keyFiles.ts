/** Reads key files. An error names the file, what is wrong, and what to do. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { codeOf, reasonOf } from "../internal/FileErrors.ts"
import type { ConfigIssue } from "../settings/InvalidConfig.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import { readPublic, readSecret } from "./certificate.ts"
import type { Accepted, KeyPair, Keys } from "./CurveKey.ts"

export const issue = (message: string): ConfigIssue => ({ field: "keys", message })

const invalid = (message: string) => new InvalidConfig({ issues: [issue(message)] })

/** Others are all but the owner, as for ssh. Windows has no such mode. */
const othersMayRead = (mode: number): boolean => os.platform() !== "win32" && (mode & 0o077) !== 0

/** Reads a secret file, which only its owner may be allowed to read. */
export const readKeyPair = (file: string, remedy: string): Effect.Effect<KeyPair, InvalidConfig> =>
  Effect.tryPromise({
    try: async () => {
      // The mode is that of the file that is read, even if another one is moved into its place meanwhile.
      const handle = await fs.open(file)
      try {
        return { mode: (await handle.stat()).mode, text: await handle.readFile("utf8") }
      } finally {
        await handle.close()
      }
    },
    catch: (error) => invalid(`cannot read ${file}: ${reasonOf(error)}; ${remedy}`)
  }).pipe(Effect.flatMap(({ mode, text }) => {
    if (othersMayRead(mode)) {
      return invalid(`${file} is a secret, and others may read it; chmod 600 ${file}`)
    }
    const read = readSecret(text)
    return "wrong" in read ? invalid(`${file} ${read.wrong}`) : Effect.succeed(read.keys)
  }))

/** A file as it was when it was read. */
interface KeyFile {
  /** Changes with the file. */
  readonly stamp: string
  readonly key: string | undefined
  readonly wrong: string | undefined
}

/** Whether descriptors or memory are used up: no fault of the file. */
const isExhaustion = (error: unknown): boolean => ["EMFILE", "ENFILE", "ENOMEM"].includes(codeOf(error))

/** Reads a file unless it is the same as before. `undefined` if it was removed meanwhile. */
const readKeyFile = async (file: string, before: KeyFile | undefined): Promise<KeyFile | undefined> => {
  const wrong = (stamp: string, wrong: string): KeyFile => ({ stamp, key: undefined, wrong })
  try {
    const stats = await fs.stat(file)
    const stamp = [stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join()
    if (before?.stamp === stamp) {
      return before
    }
    if (!stats.isFile()) {
      return wrong(stamp, `${file} is not a file`)
    }
    const read = readPublic(await fs.readFile(file, "utf8"))
    return "wrong" in read ? wrong(stamp, `${file} ${read.wrong}`) : { stamp, key: read.key, wrong: undefined }
  } catch (error) {
    if (isExhaustion(error)) {
      throw error
    }
    return codeOf(error) === "ENOENT" ? undefined : wrong("", `cannot read ${file}: ${reasonOf(error)}`)
  }
}

/** Time between two reads, as a multiple of the time that one took: connections, however many, cost a fraction of the CPU. */
const pauseShare = 5

/** The public keys in the matching files of a directory. */
class KeyDirectory {
  readonly #directory: string
  readonly #matches: (name: string) => boolean
  readonly #remedy: string
  #files: ReadonlyMap<string, KeyFile> = new Map()
  #latest: Keys | undefined
  #reading: Promise<Keys> | undefined
  #readAgainAt = 0

  constructor(directory: string, matches: (name: string) => boolean, remedy: string) {
    this.#directory = directory
    this.#matches = matches
    this.#remedy = remedy
  }

  /** The keys now, or as they were a moment ago. There is one read at a time. */
  async keys(): Promise<Keys> {
    if (this.#latest !== undefined && this.#reading === undefined && performance.now() < this.#readAgainAt) {
      return this.#latest
    }
    return this.#reading ??= this.#read()
  }

  async #read(): Promise<Keys> {
    const startedAt = performance.now()
    const keys = await this.#readFiles().catch((error) => this.#onError(error))
    const now = performance.now()
    this.#readAgainAt = now + pauseShare * (now - startedAt)
    this.#reading = undefined
    return this.#latest = keys
  }

  async #readFiles(): Promise<Keys> {
    const names = (await fs.readdir(this.#directory)).filter(this.#matches).sort()
    const files = new Map<string, KeyFile>()
    for (const name of names) {
      const file = await readKeyFile(path.join(this.#directory, name), this.#files.get(name))
      if (file !== undefined) {
        files.set(name, file)
      }
    }
    this.#files = files
    return {
      names: new Map([...files].flatMap(([name, { key }]) => key === undefined ? [] : [[key, name] as const])),
      issues: [...files.values()].flatMap(({ wrong }) => wrong === undefined ? [] : [issue(wrong)])
    }
  }

  #onError(error: unknown): Keys {
    const what = `cannot read ${this.#directory}: ${reasonOf(error)}`
    if (this.#latest !== undefined && isExhaustion(error)) {
      return { ...this.#latest, issues: [issue(`${what}; the keys stay as they were`)] }
    }
    this.#files = new Map()
    return { names: new Map(), issues: [issue(`${what}; ${this.#remedy}`)] }
  }
}

/** The public keys in the matching files of a directory as they are now. Unchanged files are not read again. */
export const publicKeys = (
  directory: string,
  matches: (name: string) => boolean,
  remedy: string
): Accepted => {
  const keys = new KeyDirectory(directory, matches, remedy)
  return Effect.promise(() => keys.keys())
}
