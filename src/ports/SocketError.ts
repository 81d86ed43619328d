/** Errors of sockets. */
import * as Data from "effect/Data"

/**
 * The operation that failed.
 *
 * @category models
 */
export type SocketOperation = "open" | "bind" | "connect" | "send" | "receive"

/**
 * Why it failed.
 *
 * - `AddressInUse`: another socket listens there (EADDRINUSE).
 * - `NoSuchDevice`: the host or interface to bind is not on this machine (ENODEV, EADDRNOTAVAIL).
 * - `UnknownHost`: the name of the host to connect to could not be looked up.
 * - `PermissionDenied`: this process may not use the port or the path (EACCES).
 * - `InvalidEndpoint`: not an endpoint, or a port out of range (EINVAL, EPROTONOSUPPORT).
 * - `Full`: the queue to the other side is full, or there is no connection (EAGAIN).
 * - `OutOfTurn`: a REQ socket has to receive its reply before it sends again (EFSM).
 * - `TooManySockets`: the process has used up its sockets or file descriptors (EMFILE).
 * - `Closed`: the socket was closed.
 * - `Unknown`: anything else; see `cause`.
 *
 * @category models
 */
export type SocketReason =
  | "AddressInUse"
  | "NoSuchDevice"
  | "UnknownHost"
  | "PermissionDenied"
  | "InvalidEndpoint"
  | "Full"
  | "OutOfTurn"
  | "TooManySockets"
  | "Closed"
  | "Unknown"

const socketSentences: { readonly [R in SocketReason]: string } = {
  AddressInUse: "the address is already in use",
  NoSuchDevice: "no such host or interface on this machine",
  UnknownHost: "the host cannot be looked up",
  PermissionDenied: "permission denied",
  InvalidEndpoint: "not a valid endpoint",
  Full: "the queue is full, or there is no connection",
  OutOfTurn: "a reply is still awaited",
  TooManySockets: "too many open sockets or files",
  Closed: "the socket is closed",
  Unknown: "unexpected failure"
}

/**
 * A socket could not be opened, bound, connected, written or read. `endpoint` is `undefined` if the operation has none.
 *
 * @category errors
 */
export class SocketError extends Data.TaggedError("SocketError")<{
  readonly reason: SocketReason
  readonly operation: SocketOperation
  readonly endpoint: string | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    const where = this.endpoint === undefined ? "" : ` ${this.endpoint}`
    const isDetailed = this.reason === "Unknown" || this.reason === "TooManySockets"
    const detail = isDetailed && this.cause instanceof Error ? ` (${this.cause.message})` : ""
    return `cannot ${this.operation}${where}: ${socketSentences[this.reason]}${detail}`
  }
}
