/** File descriptors of this process. Each connection takes one, so that those who connect can use them up. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"

/** Descriptors that are kept for the needs of this process: a new link to the peer, a probe, a hook. */
const reserved = 16

/** Descriptors of a server without clients: those of Node.js, of ZeroMQ, of its ports and of its status server. */
const ownNeed = 48

/** From this limit on, memory is used up before descriptors are, or there is time to see it coming. */
const generousLimit = 4096

/** `undefined` where the system does not tell it, as outside Linux. */
export const limit: number | undefined = (() => {
  try {
    const line = /^Max open files +(\d+) /m.exec(fs.readFileSync("/proc/self/limits", "utf8"))
    return line === null ? undefined : Number(line[1])
  } catch {
    return undefined
  }
})()

/**
 * Connections of clients where the user gives no limit: half of what a small limit of descriptors leaves. The other half is for
 * connections that have yet to be accepted or rejected, which take descriptors, too.
 */
export const connectionsFor = (limit: number | undefined): number | undefined =>
  limit === undefined || limit >= generousLimit ? undefined : Math.max(4, Math.floor((limit - ownNeed - reserved) / 2))

/** Fills in the default for a frontend, which is logged where there is one. */
export const withConnections = <L extends { readonly maxConnections?: number | undefined }>(
  limits: L,
  endpoint: string
): Effect.Effect<L> => {
  const maxConnections = connectionsFor(limit)
  return limits.maxConnections !== undefined || maxConnections === undefined || endpoint.startsWith("inproc:")
    ? Effect.succeed(limits)
    : Effect.as(
      Effect.logWarning(
        `${endpoint}: at most ${maxConnections} clients are let in, since this process may open ${limit} files ` +
          "(raise that limit, with LimitNOFILE= or ulimit -n, or set --max-connections)"
      ),
      { ...limits, maxConnections }
    )
}

const isExhaustion = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "EMFILE" || cause.code === "ENFILE")

/** Opens `count` descriptors and closes them. Gives the highest one, `Infinity` where there are too few. */
const highestOf = (count: number): number => {
  const open: Array<number> = []
  try {
    while (open.length < count) {
      open.push(fs.openSync(os.devNull, "r"))
    }
  } catch (cause) {
    return isExhaustion(cause) ? Number.POSITIVE_INFINITY : 0
  } finally {
    open.forEach((descriptor) => fs.closeSync(descriptor))
  }
  return Math.max(...open)
}

/** Whether others have used up the descriptors, but for the reserve. The system gives the lowest one that is free. */
export const areScarce = (): boolean =>
  highestOf(1) >= (limit ?? Number.POSITIVE_INFINITY) - Math.min(reserved, (limit ?? 0) / 8)

/**
 * Whether a socket and its observer can be opened, with room to spare. An observer that cannot be opened leaves libzmq with a
 * monitor that nothing reads, on which its only I/O thread waits for good.
 */
export const areEnough = (): boolean => highestOf(8) !== Number.POSITIVE_INFINITY
