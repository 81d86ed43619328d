/**
 * The errors that a user of the pair can meet. Each has a closed set of reasons and a sentence for people.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { Frames } from "./Frames.ts"
import type { FatalReason } from "./protocol/StateMachine.ts"

/**
 * Why a member of a pair ended by itself.
 *
 * - `DualActive`: both servers were active (split brain).
 * - `DualPassive`: both servers were passive, so neither would ever answer.
 *
 * @since 0.1.0
 * @category errors
 */
export class BinaryStarError extends Data.TaggedError("BinaryStarError")<{
  readonly reason: FatalReason
}> {
  override get message(): string {
    return this.reason === "DualActive"
      ? "both servers of the pair were active; this one ended"
      : "both servers of the pair were passive; this one ended"
  }
}

/**
 * One value of a configuration that was refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConfigIssue {
  readonly field: string
  readonly message: string
}

/**
 * A configuration was refused. `issues` holds every wrong field, not only the first.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidConfig extends Data.TaggedError("InvalidConfig")<{
  readonly issues: ReadonlyArray<ConfigIssue>
}> {
  override get message(): string {
    return this.issues.map(({ field, message }) => field === "" ? message : `${field}: ${message}`).join("; ")
  }
}

/**
 * What a socket was asked to do.
 *
 * @since 0.1.0
 * @category models
 */
export type SocketOperation = "open" | "bind" | "connect" | "send" | "receive"

/**
 * Why a socket could not do it.
 *
 * - `AddressInUse`: something else listens there (EADDRINUSE).
 * - `NoSuchDevice`: the host or interface to bind is not on this machine (ENODEV, EADDRNOTAVAIL).
 * - `UnknownHost`: the name of the host to connect to could not be looked up.
 * - `PermissionDenied`: a port or a path that this process may not use (EACCES).
 * - `InvalidEndpoint`: not an endpoint, or a port out of range (EINVAL, EPROTONOSUPPORT).
 * - `Full`: the queue to the other side is full, or there is no other side (EAGAIN).
 * - `OutOfTurn`: a REQ socket has to wait for its answer before it sends again (EFSM).
 * - `TooManySockets`: the process has used up its sockets or file descriptors (EMFILE).
 * - `Closed`: the socket was closed.
 * - `Unknown`: anything else; see `cause`.
 *
 * @since 0.1.0
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
  Full: "the queue is full or nobody is connected",
  OutOfTurn: "an answer is still awaited",
  TooManySockets: "too many open sockets or files",
  Closed: "the socket is closed",
  Unknown: "unexpected failure"
}

/**
 * A socket could not be opened, bound, connected, written or read. `endpoint` is `undefined` where the operation has
 * none.
 *
 * @since 0.1.0
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

/**
 * Why an operator's order was refused.
 *
 * - `NotActive`: only the active server can hand over.
 * - `PeerSilent`: the peer is not there, or not ready to take over.
 * - `PeerAlive`: the peer is heard and has not handed over, so that both would be active.
 * - `Unsupported`: the policy does not have it.
 * - `Interrupted`: the server was stopped, or ceased to be active, before it was carried out.
 *
 * @since 0.1.0
 * @category models
 */
export type OrderReason = "NotActive" | "PeerSilent" | "PeerAlive" | "Unsupported" | "Interrupted"

const orderSentences: { readonly [R in OrderReason]: string } = {
  NotActive: "this server is not active",
  PeerSilent: "the peer does not stand by",
  PeerAlive: "the peer is alive and has not handed over",
  Unsupported: "the policy classic has no such thing",
  Interrupted: "this server was stopped or has ceased to be active meanwhile"
}

/**
 * A server does not do what an operator has ordered.
 *
 * @since 0.1.0
 * @category errors
 */
export class OrderRefused extends Data.TaggedError("OrderRefused")<{
  readonly order: "handOver" | "promote"
  readonly reason: OrderReason
}> {
  override get message(): string {
    return `${this.order === "promote" ? "not promoted" : "not handed over"}: ${orderSentences[this.reason]}`
  }
}

/**
 * Why a request has no reply.
 *
 * - `NoReply`: no server answered within the time that the client's timings promise.
 * - `Unanswered`: the request must not be sent twice; it was sent, and its reply is lost or has not come in time. Whether a
 *   server has executed it is not known.
 * - `Failed`: the server's handler failed; `detail` is what it has to say about it.
 * - `TimedOut`: the server's handler took longer than it may and was interrupted.
 * - `Busy`: the server has too much to do. The request was not executed.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestReason = "NoReply" | "Unanswered" | "Failed" | "TimedOut" | "Busy"

const requestSentences: { readonly [R in Exclude<RequestReason, "NoReply">]: string } = {
  Unanswered: "has not answered; it was not sent again because it must not be",
  Failed: "failed to handle it",
  TimedOut: "took longer than it may and gave it up",
  Busy: "is too busy to take it"
}

/**
 * A request has no reply. `attempts` is how often it was sent, `detail` what a handler that refused it has to
 * say, if anything; only with the reasons `Failed` and `Busy`.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestError extends Data.TaggedError("RequestError")<{
  readonly reason: RequestReason
  readonly servers: ReadonlyArray<string>
  readonly attempts: number
  readonly detail?: Frames
  readonly cause?: unknown
}> {
  override get message(): string {
    const servers = this.servers.join(" or ")
    return this.reason === "NoReply"
      ? `no reply from ${servers} after ${this.attempts} ${this.attempts === 1 ? "try" : "tries"}`
      : `sent to ${servers}, which ${requestSentences[this.reason]}`
  }
}
