/** File descriptors of this process. Each connection needs one, so clients can exhaust them. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"

/** Descriptors reserved for this process: a new link to the peer, a probe, a hook. */
const reserved = 16

/** Descriptors of a server without clients: Node.js, ZeroMQ, its ports and its status server. */
const baseCount = 48

/** From this limit on there is no default: memory is exhausted before descriptors are. */
const generousLimit = 4096

/** Limit of open descriptors; `undefined` if unknown, as outside of Linux. */
export const limit: number | undefined = (() => {
  try {
    const line = /^Max open files +(\d+) /m.exec(fs.readFileSync("/proc/self/limits", "utf8"))
    return line === null ? undefined : Number(line[1])
  } catch {
    return undefined
  }
})()

/**
 * Default limit of client connections: half of what a small limit of descriptors leaves. The other half is for connections that
 * have yet to be accepted or rejected, which need descriptors as well.
 */
export const connectionsFor = (limit: number | undefined): number | undefined =>
  limit === undefined || limit >= generousLimit
    ? undefined
    : Math.max(4, Math.floor((limit - baseCount - reserved) / 2))

/** Fills in the default of a frontend, and logs it. */
export const withConnections = <L extends { readonly maxConnections?: number | undefined }>(
  limits: L,
  endpoint: string
): Effect.Effect<L> => {
  const maxConnections = connectionsFor(limit)
  return limits.maxConnections !== undefined || maxConnections === undefined || endpoint.startsWith("inproc:")
    ? Effect.succeed(limits)
    : Effect.as(
      Effect.logWarning(
        `${endpoint}: at most ${maxConnections} clients are accepted, because this process may open ${limit} files ` +
          "(raise that limit, with LimitNOFILE= or ulimit -n, or set --max-connections)"
      ),
      { ...limits, maxConnections }
    )
}

const isExhaustion = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "EMFILE" || cause.code === "ENFILE")

/** Opens and closes `count` descriptors. Returns the highest, or `Infinity` if there are too few. */
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

/** Whether only the reserve is left. The system assigns the lowest free descriptor. */
export const areScarce = (): boolean =>
  highestOf(1) >= (limit ?? Number.POSITIVE_INFINITY) - Math.min(reserved, (limit ?? 0) / 8)

/**
 * Whether a socket and its observer can be opened. If the observer cannot, libzmq is left with a monitor that is never read, and
 * its only I/O thread blocks on it for ever.
 */
export const areEnough = (): boolean => highestOf(8) !== Number.POSITIVE_INFINITY
