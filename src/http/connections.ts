/** The connections of the status server, and the limits that close them. */
import type { Socket } from "node:net"
import { performance } from "node:perf_hooks"
import { clearTimeout, setTimeout } from "node:timers"
import * as Descriptors from "../internal/Descriptors.ts"

/**
 * Above this limit the longest-idle connection is closed. It is more than the system's backlog (511), so that a connection
 * that was accepted in the same turn as a full backlog still exists when its request is read. Fewer if the process may open
 * few files.
 */
const mostConnections = 768
const maxConnections = Math.min(mostConnections, Descriptors.connectionsFor(Descriptors.limit) ?? mostConnections)

/** Connections above the limit, each for one health check; the oldest is closed for a new one. */
const reservedConnections = 64

/** Lifetime of a reserved connection. */
const reservedMillis = 1_000

/** How long output may wait for a client that does not read. */
const unreadMillis = 5_000

/** Output that may wait for one client. */
const maxUnreadBytes = 256 * 1024

/** One connection. Its requests are answered one after the other. */
export interface Connection {
  readonly socket: Socket
  readonly waiting: Array<() => void>
  isBusy: boolean
  unreadSince: number | undefined
}

export interface Connections {
  readonly all: Map<Socket, Connection>
  /** The longest-idle one first. */
  readonly idle: Set<Socket>
  readonly reserved: Set<Socket>
}

export const make = (): Connections => ({ all: new Map(), idle: new Set(), reserved: new Set() })

/** Bytes that are parsed in one go: all requests in them are emitted before the connection can be closed. */
const sliceBytes = 1024

/** Node parses everything received, 64 KiB of requests, even if the first of them has closed the connection. */
const parseInSlices = ({ socket, waiting }: Connection): void => {
  const parsers = socket.listeners("data")
  socket.removeAllListeners("data")
  socket.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && !socket.destroyed; at += sliceBytes) {
      // Node pauses if a request is pipelined behind output that is not read; its parser must get nothing more then.
      if (socket.isPaused() && waiting.length > 0) {
        socket.destroy()
        return
      }
      const slice = chunk.subarray(at, at + sliceBytes)
      parsers.forEach((parse) => parse(slice))
    }
  })
}

const reserve = ({ reserved }: Connections, socket: Socket): void => {
  const [oldest] = reserved
  if (reserved.size >= reservedConnections) {
    oldest!.destroy()
    reserved.delete(oldest!)
  }
  reserved.add(socket)
  const timer = setTimeout(() => socket.destroy(), reservedMillis)
  socket.once("close", () => {
    clearTimeout(timer)
    reserved.delete(socket)
  })
}

/** Closes a connection, and forgets it at once: its `close` event comes later. */
const drop = ({ all, idle }: Connections, socket: Socket): void => {
  idle.delete(socket)
  all.delete(socket)
  socket.destroy()
}

/** Adds a connection, at the cost of the longest-idle one if there are too many. */
export const admit = (connections: Connections, socket: Socket): void => {
  const { all, idle, reserved } = connections
  if (all.size - reserved.size >= maxConnections) {
    const [longest] = idle
    if (longest === undefined) {
      reserve(connections, socket)
    } else {
      drop(connections, longest)
    }
  }
  const connection: Connection = { socket, waiting: [], isBusy: false, unreadSince: undefined }
  all.set(socket, connection)
  parseInSlices(connection)
  setIdle(connections, connection)
  socket.once("close", () => {
    all.delete(socket)
    idle.delete(socket)
  })
}

export const setIdle = ({ idle, reserved }: Connections, { socket }: Connection): void => {
  if (!reserved.has(socket)) {
    idle.add(socket)
  }
}

/** Requests on one connection that may wait for the answer to the one before. With more the connection is closed. */
const maxPipelined = 8

/** Begins a request now, or after those before it on its connection. */
export const enqueue = (connections: Connections, connection: Connection, begin: () => void): void => {
  if (!connection.isBusy) {
    return begin()
  }
  if (connection.waiting.length >= maxPipelined) {
    return drop(connections, connection.socket)
  }
  connection.waiting.push(begin)
}

/** Closes connections with more unread output, or for longer, than allowed. */
export const closeUnread = ({ all }: Connections): void => {
  const now = performance.now()
  for (const [socket, connection] of all) {
    if (socket.writableLength === 0) {
      connection.unreadSince = undefined
      continue
    }
    connection.unreadSince ??= now
    if (socket.writableLength > maxUnreadBytes || now - connection.unreadSince >= unreadMillis) {
      socket.destroy()
    }
  }
}
