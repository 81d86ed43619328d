/**
 * The programs in C: they are built where there is a C compiler and libzmq, once for each version of their source.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const names = ["load", "worker", "echo"] as const

/** The paths of the programs. */
export type Programs = { readonly [N in (typeof names)[number]]: string }

/** The programs, or why they cannot be built here. */
export type Native = { readonly programs: Programs } | { readonly programs: undefined; readonly reason: string }

const source = (file: string) => path.join(import.meta.dirname, file)

/** A folder of this user for this version of the sources. */
const cache = (): string => {
  const hash = createHash("sha256")
  for (const file of ["socket.h", ...names.map((name) => `${name}.c`)]) {
    hash.update(fs.readFileSync(source(file)))
  }
  const { uid } = os.userInfo()
  const folder = path.join(os.tmpdir(), `bstar-bench-${uid}-${hash.digest("hex").slice(0, 16)}`)
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (fs.statSync(folder).uid !== uid) {
    throw new Error(`${folder} belongs to another user`)
  }
  return folder
}

const libzmqFlags = (): ReadonlyArray<string> => {
  const { status, stdout } = spawnSync("pkg-config", ["--cflags", "--libs", "libzmq"], { encoding: "utf8" })
  return status === 0 ? stdout.trim().split(/\s+/) : ["-lzmq"]
}

const compile = (name: string, target: string): void => {
  // Another benchmark may build the same program now.
  const temporary = `${target}.${process.pid}`
  const standard = ["-O2", "-std=c11", "-D_POSIX_C_SOURCE=200809L"]
  const { error, status, stderr } = spawnSync(
    "cc",
    [...standard, source(`${name}.c`), "-o", temporary, ...libzmqFlags()],
    { encoding: "utf8" }
  )
  if (error !== undefined) {
    throw new Error(`no C compiler: ${error.message}`)
  }
  if (status !== 0) {
    throw new Error(stderr.split("\n").find((line) => line.includes("error")) ?? stderr)
  }
  fs.renameSync(temporary, target)
}

const build = (): Native => {
  try {
    const folder = cache()
    const paths = names.map((name) => {
      const target = path.join(folder, name)
      if (!fs.existsSync(target)) {
        compile(name, target)
      }
      return [name, target] as const
    })
    return { programs: Object.fromEntries(paths) as Programs }
  } catch (error) {
    return { programs: undefined, reason: (error as Error).message }
  }
}

let built: Native | undefined

/** Builds the programs with the first call. */
export const native = (): Native => built ??= build()
