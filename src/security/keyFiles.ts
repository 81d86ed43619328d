/** Reads key files. What cannot be read, or is not what it should be, is told in a sentence that says what to do. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import type { ConfigIssue } from "../settings/InvalidConfig.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import { readPublic, readSecret } from "./certificate.ts"
import type { Accepted, KeyPair, Keys } from "./CurveKey.ts"

export const issue = (message: string): ConfigIssue => ({ field: "keys", message })

const refuse = (message: string) => new InvalidConfig({ issues: [issue(message)] })

const reasons: { readonly [code: string]: string } = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such directory",
  EACCES: "permission denied",
  EISDIR: "it is a directory"
}

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  return reasons[code] ?? (error instanceof Error ? error.message : String(error))
}

/** Others are everybody but the owner, as for ssh. Windows has no such thing. */
const othersMayRead = (mode: number): boolean => os.platform() !== "win32" && (mode & 0o077) !== 0

/** Reads a secret file, which nobody but its owner may be allowed to read. */
export const readKeyPair = (file: string, remedy: string): Effect.Effect<KeyPair, InvalidConfig> =>
  Effect.tryPromise({
    try: async () => {
      // The same file is asked and read, whoever moves another one into its place meanwhile.
      const handle = await fs.open(file)
      try {
        return { mode: (await handle.stat()).mode, text: await handle.readFile("utf8") }
      } finally {
        await handle.close()
      }
    },
    catch: (error) => refuse(`cannot read ${file}: ${reasonOf(error)}; ${remedy}`)
  }).pipe(Effect.flatMap(({ mode, text }) => {
    if (othersMayRead(mode)) {
      return refuse(`${file} is a secret, and others may read it; chmod 600 ${file}`)
    }
    const read = readSecret(text)
    return "wrong" in read ? refuse(`${file} ${read.wrong}`) : Effect.succeed(read.keys)
  }))

/** A file as it was when it was read. */
interface Known {
  readonly stamp: string
  readonly key: string | undefined
  readonly wrong: string | undefined
}

/** Descriptors or memory are used up, which is no statement about a file. */
const isExhaustion = (error: unknown): boolean =>
  ["EMFILE", "ENFILE", "ENOMEM"].includes(String((error as NodeJS.ErrnoException).code))

/** However often somebody knocks, keys are read again only after so many times as long as it took. */
const share = 5

/**
 * The public keys in those files of a directory whose names match, as they are at the moment; what has not changed is not
 * read again.
 */
export const publicKeys = (
  directory: string,
  matches: (name: string) => boolean,
  remedy: string
): Accepted => {
  let known: ReadonlyMap<string, Known> = new Map()
  let reading: Promise<Keys> | undefined
  let latest: Keys | undefined
  let notBefore = 0

  const readOne = async (name: string): Promise<Known | undefined> => {
    const file = path.join(directory, name)
    try {
      const { ctimeMs, ino, isFile, mtimeMs, size } = await fs.stat(file).then((stat) => ({
        ...stat,
        isFile: stat.isFile()
      }))
      const stamp = [ino, size, mtimeMs, ctimeMs].join()
      const before = known.get(name)
      if (before?.stamp === stamp) {
        return before
      }
      if (!isFile) {
        return { stamp, key: undefined, wrong: `${file} is no file` }
      }
      const read = readPublic(await fs.readFile(file, "utf8"))
      return "wrong" in read
        ? { stamp, key: undefined, wrong: `${file} ${read.wrong}` }
        : { stamp, key: read.key, wrong: undefined }
    } catch (error) {
      if (isExhaustion(error)) {
        throw error
      }
      return (error as NodeJS.ErrnoException).code === "ENOENT"
        // It was removed between the two looks.
        ? undefined
        : { stamp: "", key: undefined, wrong: `cannot read ${file}: ${reasonOf(error)}` }
    }
  }

  const read = async (): Promise<Keys> => {
    const began = performance.now()
    try {
      const names = (await fs.readdir(directory)).filter(matches).sort()
      const found = new Map<string, Known>()
      for (const name of names) {
        const one = await readOne(name)
        if (one !== undefined) {
          found.set(name, one)
        }
      }
      known = found
      return {
        names: new Map([...found].flatMap(([name, { key }]) => key === undefined ? [] : [[key, name] as const])),
        issues: [...found.values()].flatMap(({ wrong }) => wrong === undefined ? [] : [issue(wrong)])
      }
    } catch (error) {
      if (latest !== undefined && isExhaustion(error)) {
        return {
          ...latest,
          issues: [issue(`cannot read ${directory}: ${reasonOf(error)}; the keys stay as they were`)]
        }
      }
      known = new Map()
      return { names: new Map(), issues: [issue(`cannot read ${directory}: ${reasonOf(error)}; ${remedy}`)] }
    } finally {
      const now = performance.now()
      notBefore = now + share * (now - began)
    }
  }

  return Effect.promise(async () => {
    if (latest !== undefined && reading === undefined && performance.now() < notBefore) {
      return latest
    }
    reading ??= read().then((keys) => {
      latest = keys
      reading = undefined
      return keys
    })
    return reading
  })
}
