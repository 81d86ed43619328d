/** Why a file could not be read, in words. */

const reasons: { readonly [code: string]: string } = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such directory",
  EACCES: "permission denied",
  EISDIR: "it is a directory"
}

/** The code of an error of the file system, or nothing. */
export const codeOf = (error: unknown): string => error instanceof Error && "code" in error ? String(error.code) : ""

/** The reason of an error of the file system. */
export const reasonOf = (error: unknown): string =>
  reasons[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))
