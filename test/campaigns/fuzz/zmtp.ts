/**
 * ZMTP by hand, also invalid ZMTP.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import * as net from "node:net"

export const greetingOf = (mechanism: string): Buffer =>
  Buffer.concat([
    Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]),
    Buffer.from(mechanism.padEnd(20, "\0"), "latin1"),
    Buffer.alloc(32)
  ])

export const greeting = greetingOf("NULL")

const flags = { more: 1, long: 2, command: 4 } as const

/** The head of a frame that claims a length. */
export const head = (length: number, flag: number): Buffer => {
  if (length < 256) {
    return Buffer.from([flag, length])
  }
  const long = Buffer.alloc(9)
  long[0] = flag | flags.long
  long.writeBigUInt64BE(BigInt(length), 1)
  return long
}

export const frame = (body: Buffer, isLast = true): Buffer =>
  Buffer.concat([head(body.length, isLast ? 0 : flags.more), body])

export const message = (...frames: ReadonlyArray<Buffer>): Buffer =>
  Buffer.concat(frames.map((body, i) => frame(body, i === frames.length - 1)))

const property = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([name.length]),
    Buffer.from(name),
    Buffer.from([0, 0, 0, value.length]),
    Buffer.from(value)
  ])

/** The READY command of a socket type. */
export const ready = (type: string): Buffer => {
  const body = Buffer.concat([Buffer.from([5]), Buffer.from("READY"), property("Socket-Type", type)])
  return Buffer.concat([head(body.length, flags.command), body])
}

/** A subscription to everything, as ZMTP 3.0 has it. */
export const subscribe = (topic: Buffer): Buffer => frame(Buffer.concat([Buffer.from([1]), topic]))

export const portOf = (endpoint: string): number => Number(new URL(endpoint).port)

/** Errors are ignored: the event `close` follows them. */
const happens = (socket: net.Socket, event: string): Promise<void> =>
  new Promise((resolve) => socket.once(event, () => resolve()))

/** A connection that is made by hand. */
export interface Raw {
  /** Writes, and waits until the bytes have left this process or the connection is closed. Returns whether it is open. */
  readonly write: (bytes: Buffer) => Effect.Effect<boolean>
  /** Waits until the connection is closed. */
  readonly closed: Effect.Effect<void>
  readonly isClosed: () => boolean
  readonly reset: Effect.Effect<void>
}

/** Connects to a tcp endpoint. The connection is closed with the scope. */
export const connect = (endpoint: string): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = net.connect(portOf(endpoint), "127.0.0.1")
      socket.on("error", () => {})
      const closed = happens(socket, "close")
      await Promise.race([happens(socket, "connect"), closed])
      return { socket: socket.resume(), closed }
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.map(({ closed, socket }) => ({
    write: (bytes) =>
      Effect.promise(async () => {
        if (!socket.destroyed && !socket.write(bytes)) {
          await Promise.race([happens(socket, "drain"), closed])
        }
        return !socket.destroyed
      }),
    closed: Effect.promise(() => closed),
    isClosed: () => socket.destroyed,
    reset: Effect.sync(() => void socket.resetAndDestroy())
  })))

/** A connection with a complete handshake. */
export const introduced = (endpoint: string, type = "DEALER"): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.tap(connect(endpoint), (raw) => raw.write(Buffer.concat([greeting, ready(type)])))
