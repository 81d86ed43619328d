/** What sockets offer and which options they take: the models of `ZmqSocket`. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as zmq from "zeromq"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"

/**
 * What every socket can do.
 *
 * @category models
 */
export interface Socket {
  /** Binds an endpoint. Succeeds with the endpoint in use: `tcp://127.0.0.1:*` becomes one with a free port. */
  readonly bind: (endpoint: string) => Effect.Effect<string, SocketError>
  /**
   * Connects to an endpoint, now or as soon as a process listens there, and again whenever the connection is lost. Does not wait:
   * the name of a host is looked up in the background, and again while there is no connection. Of several addresses one is tried
   * after the other.
   */
  readonly connect: (endpoint: string) => Effect.Effect<void, SocketError>
}

/**
 * A socket that sends.
 *
 * @category models
 */
export interface Sender {
  /** Sends one message, or fails at once with `Full`. */
  readonly send: (message: Frames.Frames) => Effect.Effect<void, SocketError>
}

/**
 * A socket that receives.
 *
 * @category models
 */
export interface Receiver {
  /**
   * Received messages in batches of at most 256, in order. Without a consumer the socket is not read, and its high-water mark
   * holds the senders back. For one consumer at a time; the next one continues where an interrupted one stopped.
   */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
  /** The next batch of `messages`. Takes nothing if it is interrupted. */
  readonly receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError>
  /** Lets the event loop deliver what has arrived. Whether `messages` then has something that was not taken. */
  readonly poll: Effect.Effect<boolean>
}

/**
 * A socket that is read on the hot path.
 *
 * @category models
 */
export interface Runnable {
  /**
   * Passes each batch of `messages` to `onBatch`, and reads on at once, or when the returned promise is fulfilled. A stream costs
   * about 7 microseconds a batch more, a tenth of a round trip. A batch has at most `demand` messages. A {@link SocketError} that
   * `onBatch` throws ends the run; any other error is a defect.
   */
  readonly run: (
    onBatch: (batch: ReadonlyArray<Frames.Frames>) => Promise<void> | void,
    demand?: () => number
  ) => Effect.Effect<never, SocketError>
}

/**
 * A step of a connection that a socket makes. Endpoints of `inproc` have none.
 *
 * - `opened`: the system has connected, the handshake is under way. A peer of ZeroMQ 2 or 3 never gets further.
 * - `connected`: the handshake is done.
 * - `lost`: a connection ended after its handshake.
 * - `failed`: an attempt failed, or a connection ended before its handshake was done.
 * - `ended`: after `lost` or `failed`, libzmq does not connect again: the other end is a socket of another type, rejects the
 *   handshake, or has violated the protocol. The socket itself tries again a second later.
 *
 * @category models
 */
export type ConnectionEvent = "opened" | "connected" | "lost" | "failed" | "ended"

/**
 * A socket that reports the steps of its connections.
 *
 * @category models
 */
interface Observable {
  /** The latest steps of its connections, in order, for one consumer at a time. A killed server is reported in 2 to 4 ms. */
  readonly connections: Stream.Stream<ConnectionEvent>
}

/**
 * Connections that were made to a bound socket. Endpoints of `inproc` have none.
 *
 * @category models
 */
export interface Connections {
  /** Connections that are open, those in their handshake included. */
  readonly open: number
  /** Connections that ended before the handshake was done: another protocol, an invalid one, rejected, or too slow. */
  readonly rejected: number
}

/**
 * A ROUTER socket: a received message begins with a routing frame, which addresses the reply.
 *
 * @category models
 */
export interface Router extends Socket, Sender, Receiver, Runnable {
  /** Sends messages in order, without a pause. A message for which there is no room is dropped. */
  readonly sendAll: (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<void, SocketError>
  /** The same for the hot path: throws a {@link SocketError}. */
  readonly sendNow: (messages: ReadonlyArray<Frames.Frames>) => void
  readonly connections: Effect.Effect<Connections>
  /** Why connections were rejected, the latest, for one consumer at a time. */
  readonly rejections: Stream.Stream<string>
}

/**
 * A PUB socket. A message for which a subscriber has no room is dropped.
 *
 * @category models
 */
export interface Publisher extends Socket, Sender {}

/**
 * A change of the subscribers of a topic.
 *
 * @category models
 */
export interface Subscription {
  readonly topic: string
  readonly change: "joined" | "left"
}

/**
 * An XPUB socket: a publisher that knows its subscribers. To subscribers it is like a PUB.
 *
 * @category models
 */
export interface StatePublisher extends Publisher {
  /** Sends messages in order, without a pause. */
  readonly sendTogether: (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<void, SocketError>
  /**
   * The latest changes, in order, for one consumer at a time: a subscriber of a topic has `joined`, or the last one has `left`. A
   * connection subscribes to one topic after the other, a shorter one before one that begins with it.
   */
  readonly subscriptions: Stream.Stream<Subscription>
  /** Number of topics with a subscriber: 0 without one. */
  readonly subscribers: Effect.Effect<number>
  /** Whether a topic has a subscriber. */
  readonly isSubscribed: (topic: string) => boolean
}

/**
 * A SUB socket, subscribed to everything, and to further topics where a publisher is to know of it.
 *
 * @category models
 */
export interface Subscriber extends Socket, Receiver, Observable {}

/**
 * A DEALER socket.
 *
 * @category models
 */
export interface Dealer extends Socket, Sender, Receiver, Runnable, Observable {
  /** As `send`, for the hot path: calls `onUnsent` instead of failing. */
  readonly sendNow: (message: Frames.Frames, onUnsent: () => void) => void
  /**
   * Sends messages in order, as many as there is room for. Succeeds with the indexes of the others, which may lie between them. Rejects
   * with a `SocketError`.
   */
  readonly sendSome: (messages: ReadonlyArray<Frames.Frames>) => Promise<ReadonlyArray<number>>
}

/**
 * A REQ socket: one request, one reply, in turns.
 *
 * @category models
 */
export interface Request extends Socket, Sender, Receiver {}

/**
 * The connection of a socket to one endpoint.
 *
 * @category models
 */
export interface Connection {
  /** Connects now, or as soon as an address is known. Ends the connection before. */
  readonly connect: Effect.Effect<void, SocketError>
  /** Ends the connection. */
  readonly disconnect: Effect.Effect<void>
  /** Makes the next connection use another address of the host. Whether there is one. */
  readonly skip: Effect.Effect<boolean>
}

/**
 * Connects a socket to an endpoint. Wraps `connect` of the connection, for example to set a CURVE key first.
 *
 * @category models
 */
export type Connecting = (endpoint: string, connection: Connection) => Effect.Effect<void, SocketError>

/**
 * Keys, or limits of connections, of a socket.
 *
 * @category models
 */
export interface SocketSecurity {
  /** Options of the binding to open the socket with. */
  readonly options: Readonly<Record<string, unknown>>
  /** Observes a socket for the lifetime of the scope. Runs before its first connection. */
  readonly install: (socket: zmq.Socket) => Effect.Effect<Connecting, never, Scope.Scope>
}

/**
 * Options of every socket.
 *
 * @category models
 */
export interface Options {
  /**
   * How long, in milliseconds, a closed socket goes on sending queued messages. Never infinite: an unreachable peer must not keep
   * the process from exiting. Defaults to `0`.
   */
  readonly lingerMillis?: number | undefined
  /** Longest time between two attempts to connect, in whole milliseconds. Defaults to `200`. */
  readonly reconnectMillis?: number | undefined
  /** How long, in whole milliseconds, an attempt to connect over tcp may take. Defaults to the system's limit. */
  readonly connectMillis?: number | undefined
  /** Keys or limits. Defaults to none. */
  readonly security?: SocketSecurity | undefined
}

/**
 * Options of a socket that is bound.
 *
 * @category models
 */
export interface BindingOptions extends Options {
  /** Largest frame that is accepted, in bytes: a larger one ends its connection. Defaults to no limit. */
  readonly maxMessageSize?: number | undefined
  /** How long, in whole milliseconds, a handshake may take. Defaults to ZeroMQ's 30 seconds. */
  readonly handshakeMillis?: number | undefined
}

/**
 * Options of an XPUB.
 *
 * @category models
 */
export interface StatePublisherOptions extends BindingOptions {
  /** Topics that are distinguished although there are a thousand others. The empty one always is. Defaults to none. */
  readonly topics?: ReadonlyArray<string> | undefined
}

/**
 * Options of a SUB.
 *
 * @category models
 */
export interface SubscriberOptions extends Omit<BindingOptions, "lingerMillis"> {
  /** Topics to subscribe to beside everything, which changes nothing but what the publisher knows. Defaults to none. */
  readonly topics?: ReadonlyArray<string> | undefined
}

/**
 * Options of a ROUTER.
 *
 * @category models
 */
export interface RouterOptions extends BindingOptions {
  /** Capacity of the queue of received messages, for each connection; replies have four times as much. Defaults to `1000`. */
  readonly queue?: number | undefined
  /**
   * How long, in whole milliseconds, a connection may be silent until ZeroMQ sends a ping, and then again until the connection is
   * closed. Defaults to never.
   */
  readonly pingMillis?: number | undefined
  /**
   * How long, in whole seconds, a connection may be idle until the system probes the other host (TCP keep-alive). The connection is
   * closed after twice that time. Defaults to the system's setting.
   */
  readonly keepAliveSeconds?: number | undefined
}

/**
 * Options of a DEALER.
 *
 * @category models
 */
export interface DealerOptions extends BindingOptions {
  /** Messages queued in this process for each connection. Defaults to `1000`. */
  readonly sendQueue?: number | undefined
  /** Bytes queued in the system for each connection besides. Defaults to the system's setting, often megabytes. */
  readonly sendBytes?: number | undefined
}
