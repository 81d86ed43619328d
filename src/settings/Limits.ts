/**
 * What clients may take of a server: the limits of its frontend.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { DurationInput, maybeWholeNumber, wholeNumber } from "./Validation.ts"

/**
 * What a user may say about the limits. All have defaults.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Bytes of a frame at the most. ZeroMQ cuts the connection of whoever sends a larger one, before it is read. Defaults to
   * `4194304`, 4 MiB.
   */
  readonly maxMessageSize?: number | undefined
  /** Frames of a request at the most, its envelope included. One that has more is refused. Defaults to `256`. */
  readonly maxFrames?: number | undefined
  /**
   * Requests of one client that are in progress, or wait here for others to end, at the most. Further ones are refused with
   * `Busy`; one that is sent again while it is in progress counts twice. With less than `concurrency` no client can have all of
   * it to itself. Without it there is no limit but those of all clients together, which is the default.
   */
  readonly maxPerClient?: number | undefined
  /**
   * How many connections of clients are let in. Further ones are hung up on, and come again by themselves. Those that have yet to
   * say anything count, and end by `handshakeTimeout` only. Clients that speak a ZMTP before 3.0 (libzmq before 4.0) do not come in
   * where there is a limit. Endpoints of `inproc` know none. By default there is none,
   * unless the process may open fewer than 4,096 files: then it is half of what 64 files for the server itself leave.
   */
  readonly maxConnections?: number | undefined
  /**
   * Requests of each client that ZeroMQ keeps, and four times as many replies to each: its high-water marks. Further requests
   * stay with the client, further replies to one that does not read are dropped. Defaults to `1000`.
   */
  readonly queue?: number | undefined
  /** How long a new connection may take until both sides have said who they are. Defaults to `5 seconds`. */
  readonly handshakeTimeout?: Duration.DurationInput | undefined
  /**
   * How long a connection may be silent until ZeroMQ asks whether its other end is there, and then as long again until it is
   * cut. Any version of libzmq from 4.2 on answers by itself; for clients that cannot, a day is as good as never. Defaults to
   * `30 seconds`.
   */
  readonly ping?: Duration.DurationInput | undefined
  /**
   * How long a connection may be idle until the system asks whether the other machine is there; it is given up after twice
   * that time. In whole seconds. Defaults to `30 seconds`.
   */
  readonly keepAlive?: Duration.DurationInput | undefined
  /**
   * MiB that this process may have besides JavaScript's heap. With more, all connections of clients are cut, which frees what
   * ZeroMQ keeps for them; ZeroMQ itself puts no limit to a message that never ends. Defaults to `1024`.
   */
  readonly maxMemory?: number | undefined
}

/**
 * The limits where a user says nothing.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  maxMessageSize: 4 * 1024 * 1024,
  maxFrames: 256,
  queue: 1000,
  handshakeTimeout: "5 seconds",
  ping: "30 seconds",
  keepAlive: "30 seconds",
  maxMemory: 1024
} as const satisfies Options

/**
 * What each limit may be.
 *
 * @since 0.1.0
 * @category schemas
 */
export const fields = {
  maxMessageSize: wholeNumber(64, 2 ** 31 - 1),
  maxFrames: wholeNumber(1, 1_000_000),
  maxPerClient: maybeWholeNumber(1, 1_000_000),
  maxConnections: maybeWholeNumber(1, 1_000_000),
  queue: wholeNumber(1, 1_000_000),
  handshakeTimeout: DurationInput({ minimum: "10 millis", maximum: "1 hour" }),
  ping: DurationInput({ minimum: "10 millis", maximum: "1 day" }),
  keepAlive: DurationInput({ minimum: "1 second", maximum: "1 day" }),
  maxMemory: wholeNumber(16, 1024 * 1024)
} as const

/**
 * All limits, as a frontend uses them.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Limits = Schema.Struct(fields)

/**
 * All limits, as a frontend uses them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * The limits where nothing is said, as a frontend uses them.
 *
 * @since 0.1.0
 * @category constants
 */
export const standard: Limits = Schema.decodeUnknownSync(Limits)(defaults)
