/**
 * ZeroMQ sockets as scoped resources.
 *
 * A socket is opened in a scope and closed with it, whatever is still queued or awaited. What it receives is a stream of
 * batches. A `receive` of the binding cannot be taken back: interrupted, it would swallow the next message; so there is
 * never more than one, and whoever reads next gets what it brings. Every failure is a {@link SocketError} that names the
 * endpoint.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as zmq from "zeromq"
import * as Descriptors from "../internal/Descriptors.ts"
import { beginSlice, isSliceOver, nextPoll, onNextPoll, onNextTurn } from "../internal/Scheduler.ts"
import type { SocketOperation, SocketReason } from "../ports/SocketError.ts"
import { SocketError } from "../ports/SocketError.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import type * as Frames from "../wire/Frames.ts"
import * as Addresses from "./addresses.ts"
import type { ConnectionEvent, Link } from "./connector.ts"
import * as Connector from "./connector.ts"
import * as IpcPath from "./ipcPath.ts"
import { pace } from "./pacing.ts"
import * as workerExit from "./workerExit.ts"

/**
 * What every socket can do: be found and find others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Socket {
  /** Listens at an endpoint. Succeeds with the endpoint as it came out, so `tcp://127.0.0.1:*` gives a free port. */
  readonly bind: (endpoint: string) => Effect.Effect<string, SocketError>
  /**
   * Connects to an endpoint, now or as soon as a process listens there, and again whenever the connection is lost. It does not
   * wait: the name of a host is looked up meanwhile, and again while there is no connection; of several addresses one is tried
   * after the other.
   */
  readonly connect: (endpoint: string) => Effect.Effect<void, SocketError>
}

/**
 * A socket that sends.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sender {
  /** Sends one message, or fails at once with `Full` where it cannot. */
  readonly send: (message: Frames.Frames) => Effect.Effect<void, SocketError>
}

/**
 * A socket that receives.
 *
 * @since 0.1.0
 * @category models
 */
export interface Receiver {
  /**
   * Received messages in batches of at most 256, in order. While nobody takes them the socket is not read, and its
   * high-water mark holds the senders back. To be run by one at a time; what an interrupted run has not taken is for the
   * next one.
   */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
  /** The next batch of `messages`. Interrupted, it takes nothing. */
  readonly receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError>
  /** Lets the event loop turn, so that what has arrived comes in, and tells whether that is waiting to be taken. */
  readonly waiting: Effect.Effect<boolean>
  /** The same for the hot path. */
  readonly poll: (onPolled: (isWaiting: boolean) => void) => void
}

/**
 * A socket that is read on the hot path.
 *
 * @since 0.1.0
 * @category models
 */
export interface Runnable {
  /**
   * What `messages` gives, for the hot path: passes each batch to `onBatch`, and reads on at once, or when the promise that it
   * returned is fulfilled. A stream costs about 7 microseconds a batch more, which is a tenth of a round trip. A batch has at most
   * `demand` messages. A {@link SocketError} that `onBatch` throws ends the run.
   */
  readonly run: (
    onBatch: (batch: ReadonlyArray<Frames.Frames>) => Promise<void> | void,
    demand?: () => number
  ) => Effect.Effect<never, SocketError>
}

export type { ConnectionEvent }

/**
 * A socket that tells what becomes of its connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface Observable {
  /** The latest steps of its connections, in order; to be run by one at a time. A killed server is lost in 2 to 4 ms. */
  readonly connections: Stream.Stream<ConnectionEvent>
}

/**
 * What has become of the connections that others have made to a socket. Endpoints of `inproc` have none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connections {
  /** How many there are, those included that have yet to say who they are. */
  readonly open: number
  /** How many have ended before both sides had said who they are: other protocols, broken ones, and who took too long. */
  readonly refused: number
}

/**
 * A ROUTER socket: receives from many with a routing frame in front, and sends to the one whom the first frame names.
 *
 * @since 0.1.0
 * @category models
 */
export interface Router extends Socket, Sender, Receiver, Runnable {
  /** Sends messages in order, in one go. What the one whom it is for does not take is dropped. */
  readonly sendAll: (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<void, SocketError>
  /** The same for the hot path: throws a {@link SocketError}. */
  readonly sendNow: (messages: ReadonlyArray<Frames.Frames>) => void
  readonly connections: Effect.Effect<Connections>
  /** Why connections are refused, the latest; to be run by one at a time. */
  readonly refusals: Stream.Stream<string>
}

/**
 * A PUB socket. What a subscriber does not take is dropped.
 *
 * @since 0.1.0
 * @category models
 */
export interface Publisher extends Socket, Sender {}

/**
 * A publisher that knows of its subscribers (XPUB). Subscribers cannot tell it from a PUB.
 *
 * @since 0.1.0
 * @category models
 */
export interface StatePublisher extends Publisher {
  /**
   * The latest changes, in order; to be run by one at a time: a subscriber has `joined`, or the last one of its topic has
   * `left`.
   */
  readonly subscriptions: Stream.Stream<"joined" | "left">
  /** Number of topics with a subscriber. Members of a pair share one topic, the empty one; without subscribers it is 0. */
  readonly subscribers: Effect.Effect<number>
}

/**
 * A SUB socket, subscribed to everything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subscriber extends Socket, Receiver, Observable {}

/**
 * A DEALER socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dealer extends Socket, Sender, Receiver, Runnable, Observable {
  /** Sends messages in order, in one go, as many as the other sides have room for; tells how many these were. */
  readonly sendSome: (messages: ReadonlyArray<Frames.Frames>) => Effect.Effect<number, SocketError>
}

/**
 * A REQ socket: one request, one reply, in turns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request extends Socket, Sender, Receiver {}

/**
 * What lets in only those who may come, and has others let in this one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Secure {
  /** What it takes of the binding's own options. */
  readonly options: Readonly<Record<string, unknown>>
  /** Looks after a socket as long as the scope, from before its first connection on. */
  readonly attend: (socket: zmq.Socket) => Effect.Effect<Connecting, never, Scope.Scope>
}

/**
 * Connects a socket to an endpoint over a link, for example with a key that it sets first.
 *
 * @since 0.1.0
 * @category models
 */
export type Connecting = (endpoint: string, link: Link) => Effect.Effect<void, SocketError>

/**
 * What may be set on any socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How long, in milliseconds, a closed socket goes on delivering what is queued. Never for ever: an unreachable peer
   * must not keep the process from ending. Defaults to `0`.
   */
  readonly lingerMillis?: number | undefined
  /** How long, in whole milliseconds, a lost connection may wait before it is tried again. Defaults to `200`. */
  readonly reconnectMillis?: number | undefined
  /** How long, in whole milliseconds, an attempt to connect over tcp may take. Defaults to what the system allows. */
  readonly connectMillis?: number | undefined
  /** What secures its connections. Defaults to nothing. */
  readonly secure?: Secure | undefined
}

/**
 * What may be set on a socket that is bound, against those who connect.
 *
 * @since 0.1.0
 * @category models
 */
export interface BindingOptions extends Options {
  /** Bytes of a frame at the most: the connection of whoever sends a larger one is cut. Defaults to no limit. */
  readonly maxMessageSize?: number | undefined
  /** How long, in whole milliseconds, both sides may take to say who they are. Defaults to ZeroMQ's 30 seconds. */
  readonly handshakeMillis?: number | undefined
}

/**
 * What may be set on a ROUTER.
 *
 * @since 0.1.0
 * @category models
 */
export interface RouterOptions extends BindingOptions {
  /** How many messages of each other side may wait here, and four times as many to it. Defaults to `1000`. */
  readonly queue?: number | undefined
  /**
   * How long, in whole milliseconds, a connection may be silent until its other end is asked whether it is there, and then again
   * until it is cut. Defaults to never.
   */
  readonly pingMillis?: number | undefined
  /**
   * How long, in whole seconds, a connection may be idle until the system asks whether the other machine is there; it is given
   * up after twice that time. Defaults to what the system likes.
   */
  readonly keepAliveSeconds?: number | undefined
}

/**
 * What may be set on a DEALER.
 *
 * @since 0.1.0
 * @category models
 */
export interface DealerOptions extends BindingOptions {
  /** How many messages may wait in this process for each other side. Defaults to `1000`. */
  readonly sendQueue?: number | undefined
  /** How many bytes more may wait in the system for each other side. Defaults to what the system likes, often megabytes. */
  readonly sendBytes?: number | undefined
}

/** Messages in one batch at the most. Sixteen gain nothing, and more than 256 gain nothing more. */
const batchSize = 256

/**
 * What does not fit is dropped, and nobody hears of it. libzmq's thread may be late by more than the thousand that it grants by
 * default, when all that a client waits for is answered, or refused, at once.
 */
const repliesKept = 4

/**
 * Opens a ROUTER. A client that comes back under the routing id of its lost connection is taken for the same.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRouter = (options?: RouterOptions): Effect.Effect<Router, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* open(
      () =>
        new zmq.Router({
          ...common(options),
          ...binding(options),
          ...keepAlive(options),
          sendHighWaterMark: repliesKept * (options?.queue ?? 1000),
          receiveHighWaterMark: options?.queue ?? 1000,
          handover: true
        }),
      options,
      "observed"
    )
    const { failed, socket } = handle
    const sendNow = (messages: ReadonlyArray<Frames.Frames>) => {
      try {
        for (const message of messages) {
          // A ROUTER drops what it cannot send, and says so to nobody.
          socket.send(message as Array<Uint8Array>).then(undefined, ignore)
        }
      } catch (cause) {
        throw failed("send", cause)
      }
    }
    return {
      ...endpoints(handle),
      ...sender(handle),
      ...receiver(handle, batchSize),
      ...(yield* count(handle)),
      sendAll: (messages) => Effect.try({ try: () => sendNow(messages), catch: (error) => error as SocketError }),
      sendNow
    }
  })

/**
 * Opens a PUB.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makePublisher = (options?: BindingOptions): Effect.Effect<Publisher, SocketError, Scope.Scope> =>
  Effect.map(open(() => new zmq.Publisher({ ...common(options), ...binding(options) }), options), (handle) => ({
    ...endpoints(handle),
    ...sender(handle)
  }))

/** Topics that are told apart. Subscribers choose them, and each costs libzmq up to 20 KB. */
const topicsKept = 1000

/**
 * Time between two subscriptions that are taken, in milliseconds. libzmq handles them in the thread that sends: unlimited, one
 * connection that floods them stops the event loop for seconds and takes gigabytes.
 */
const subscriptionMillis = { usual: 10, flooded: 1000 }

/**
 * Opens an XPUB.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeStatePublisher = (
  options?: BindingOptions
): Effect.Effect<StatePublisher, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    // All subscriptions, but only the last unsubscription of a topic: a subscriber may subscribe twice and leave once.
    const handle = yield* open(
      () =>
        new zmq.XPublisher({
          ...common(options),
          ...binding(options),
          verbosity: "allSubs",
          // The next subscription of a connection stays in libzmq's own thread until this one has been taken.
          receiveHighWaterMark: 1
        }),
      options
    )
    const changes = yield* Effect.acquireRelease(
      Mailbox.make<"joined" | "left">({ capacity: eventsKept, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    )
    const topics = new Set<string>()
    const take = (frame: Uint8Array) => {
      const topic = Buffer.from(frame.subarray(1)).toString("latin1")
      if (frame[0] === 1) {
        if (topics.size < topicsKept || topic === "") {
          topics.add(topic)
        }
        changes.unsafeOffer("joined")
      } else if (frame[0] === 0) {
        topics.delete(topic)
        changes.unsafeOffer("left")
      }
    }
    const { receive } = receiver(handle, 1)
    // A socket that is being bound cannot receive.
    const isBound = yield* Effect.makeLatch(false)
    yield* receive.pipe(
      Effect.flatMap(([message]) => {
        take(message![0]!)
        return Effect.sleep(topics.size < topicsKept ? subscriptionMillis.usual : subscriptionMillis.flooded)
      }),
      Effect.forever,
      // It fails when the socket is closed.
      Effect.ignore,
      isBound.whenOpen,
      Effect.interruptible,
      Effect.forkScoped
    )
    const { bind, connect } = endpoints(handle)
    return {
      bind: (endpoint) => Effect.tap(bind(endpoint), isBound.open),
      connect,
      ...sender(handle),
      subscriptions: Mailbox.toStream(changes),
      subscribers: Effect.sync(() => topics.size)
    }
  })

/**
 * Opens a SUB that is subscribed to everything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeSubscriber = (
  options?: Omit<BindingOptions, "lingerMillis">
): Effect.Effect<Subscriber, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* open(
      () =>
        new zmq.Subscriber({
          linger: 0,
          ...reconnect(options),
          ...binding(options),
          ...options?.secure?.options
        }),
      options,
      "observed"
    )
    yield* handle.connector.observe
    handle.socket.subscribe()
    return { ...endpoints(handle), ...receiver(handle, batchSize), connections: handle.connector.events }
  })

/**
 * Opens a DEALER.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeDealer = (options?: DealerOptions): Effect.Effect<Dealer, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* open(
      () =>
        new zmq.Dealer({
          ...common(options),
          ...reconnect(options),
          ...binding(options),
          sendHighWaterMark: options?.sendQueue ?? 1000,
          sendBufferSize: options?.sendBytes ?? -1
        }),
      options,
      "observed"
    )
    yield* handle.connector.observe
    return {
      ...endpoints(handle),
      ...sender(handle),
      ...receiver(handle, batchSize),
      sendSome: sendSome(handle),
      connections: handle.connector.events
    }
  })

/**
 * Opens a REQ.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRequest = (options?: Options): Effect.Effect<Request, SocketError, Scope.Scope> =>
  Effect.map(open(() => new zmq.Request(common(options)), options), (handle) => ({
    ...endpoints(handle),
    ...sender(handle),
    // A REQ may say that a reply is there and then discard it, so it is never read ahead.
    ...receiver(handle, 1)
  }))

type Sending = zmq.Socket & { readonly send: (message: Array<Uint8Array>) => Promise<void> }
type Receiving = zmq.Socket & { receiveTimeout: number; readonly receive: () => Promise<Array<Uint8Array>> }

// With a send timeout of 0 a send never waits, so that there is no second one that would throw EBUSY.
const common = (options: Options | undefined) => ({
  linger: options?.lingerMillis ?? 0,
  sendTimeout: 0,
  ...options?.secure?.options
})

// What is not said is not mentioned: the binding takes no undefined.
const binding = ({ handshakeMillis, maxMessageSize }: BindingOptions = {}) => ({
  ...(maxMessageSize === undefined ? {} : { maxMessageSize }),
  ...(handshakeMillis === undefined ? {} : { handshakeInterval: handshakeMillis })
})

/** How often a machine is asked whether it is there, within the time for which it may be idle. */
const probes = 3

const keepAlive = ({ keepAliveSeconds, pingMillis }: RouterOptions = {}) => ({
  ...(pingMillis === undefined ? {} : { heartbeatInterval: pingMillis, heartbeatTimeout: pingMillis }),
  ...(keepAliveSeconds === undefined ? {} : {
    tcpKeepalive: 1,
    tcpKeepaliveIdle: keepAliveSeconds,
    tcpKeepaliveInterval: Math.ceil(keepAliveSeconds / probes),
    tcpKeepaliveCount: probes
  })
})

/** A lost connection is tried again soon, and then twice as late each time. */
const reconnect = ({ connectMillis = 0, reconnectMillis = 200 }: Options = {}) => ({
  connectTimeout: connectMillis,
  reconnectInterval: Math.min(10, reconnectMillis),
  reconnectMaxInterval: reconnectMillis
})

/** Events that nobody has taken yet; of more only the latest count. */
const eventsKept = 16

/** What the binding says of a connection that was told to come again later. */
export const laterCode = "ERR_ZAP_INVALID_STATUS_CODE"

const whyRefused = (kind: "other" | "protocol" | "auth", error: Error & { readonly code?: string }): string =>
  kind === "other"
    ? "it was given up, or took too long"
    : error.code === laterCode
    ? "there are as many as there may be"
    : error.message

/** Follows the connections that others make. A connection that is refused counts as ended, too. */
const count = (
  { socket }: Handle<zmq.Socket>
): Effect.Effect<Pick<Router, "connections" | "refusals">, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Mailbox.make<string>({ capacity: eventsKept, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    ),
    (mailbox) => {
      let open = 0
      let refused = 0
      socket.events.on("accept", () => open++)
      socket.events.on("disconnect", () => open--)
      for (const kind of ["other", "protocol", "auth"] as const) {
        socket.events.on(`handshake:error:${kind}`, ({ error }) => {
          refused++
          mailbox.unsafeOffer(whyRefused(kind, error))
        })
      }
      return { connections: Effect.sync(() => ({ open, refused })), refusals: Mailbox.toStream(mailbox) }
    }
  )

/** An open socket, and what is known of it that it cannot be asked any more once it is closed. */
interface Handle<S extends zmq.Socket> {
  readonly socket: S
  readonly scope: Scope.Scope
  endpoint: string | undefined
  readonly connecting: Connecting
  readonly connector: Connector.Connector
  readonly failed: (operation: SocketOperation, cause: unknown, endpoint?: string) => SocketError
}

/** Connects as it is. */
export const atOnce: Connecting = (_, { connect }) => connect

/** Sockets that libzmq may have open, unless the application has chosen a number. It costs 12 bytes for each. */
const socketLimit = { standard: 1023, ours: 16_383 }

/** Takes effect before the first socket of the process only. */
const raiseSocketLimit = () => {
  if (zmq.context.maxSockets === socketLimit.standard) {
    zmq.context.maxSockets = socketLimit.ours
  }
}

const exhausted = (what: string) => Object.assign(new Error(what), { code: "EMFILE" })

/** What libzmq and the system say of an operation that needs one more socket or file. */
const whyExhausted = (cause: unknown): unknown =>
  reasonOf(cause) === "TooManySockets"
    ? exhausted(`libzmq's context.maxSockets, ${socketLimit.standard} unless it is set before the first socket`)
    : cause

/**
 * Sockets whose observer could not be opened. libzmq's monitor of such a socket has no reader, so that closing it would block the
 * thread that closes all others, and the process could not end.
 */
const unobserved = new Set<zmq.Socket>()

/** Opens a socket and, where it is observed, its observer. */
const openNow = <S extends zmq.Socket>(make: () => S, isObserved: boolean): S => {
  raiseSocketLimit()
  if (!Descriptors.areEnough()) {
    throw exhausted(`a limit of ${Descriptors.limit ?? "the system"} open files`)
  }
  try {
    const socket = make()
    if (isObserved) {
      unobserved.add(socket)
      pace(socket.events)
      unobserved.delete(socket)
    }
    return socket
  } catch (cause) {
    throw whyExhausted(cause)
  }
}

const open = <S extends zmq.Socket>(
  make: () => S,
  options: Pick<Options, "secure"> | undefined,
  observation?: "observed"
): Effect.Effect<Handle<S>, SocketError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => workerExit.add(openNow(make, observation === "observed" || options?.secure !== undefined)),
      catch: (cause) => new SocketError({ reason: reasonOf(cause), operation: "open", endpoint: undefined, cause })
    }),
    (socket) =>
      Effect.suspend(() => {
        socket.close()
        workerExit.remove(socket)
        const file = files.get(socket)
        return file === undefined ? Effect.void : IpcPath.released(file.path, file.identity)
      })
  ).pipe(Effect.flatMap((socket) =>
    Effect.gen(function*() {
      const failed = (operation: SocketOperation, cause: unknown, endpoint = handle.endpoint) =>
        // Closing makes pending operations fail with all kinds of codes.
        new SocketError({ reason: socket.closed ? "Closed" : reasonOf(cause), operation, endpoint, cause })
      const handle: Handle<S> = {
        socket,
        scope: yield* Effect.scope,
        connecting: options?.secure === undefined ? atOnce : yield* options.secure.attend(socket),
        connector: yield* Connector.make(socket, {
          failed,
          isSecured: options?.secure !== undefined
        }),
        endpoint: undefined,
        failed
      }
      return handle
    })
  ))

/** The files of sockets that are bound to an ipc path. */
const files = new WeakMap<zmq.Socket, { readonly path: string; readonly identity: string }>()

/** Keeps the path of a socket that has just been bound, as long as the socket is open. */
const keepPath = (handle: Handle<zmq.Socket>, endpoint: string): Effect.Effect<void> => {
  const path = IpcPath.pathOf(endpoint)
  const identity = path === undefined ? undefined : IpcPath.identityOf(path)
  if (path === undefined || identity === undefined) {
    return Effect.void
  }
  files.set(handle.socket, { path, identity })
  const bindAgain = Effect.try({
    try: () => {
      // Not `bind`, which would make sends fail meanwhile.
      handle.socket.bindSync(endpoint)
      const identity = IpcPath.identityOf(path) ?? ""
      files.set(handle.socket, { path, identity })
      return identity
    },
    catch: (cause) => handle.failed("bind", cause, endpoint)
  })
  return IpcPath.watch({ path, bound: identity, bindAgain }).pipe(
    Effect.interruptible,
    Effect.forkIn(handle.scope),
    Effect.asVoid
  )
}

/** libzmq would take the path from the process that listens there. */
const pathFree = (endpoint: string): Effect.Effect<void, SocketError> => {
  const path = IpcPath.pathOf(endpoint)
  return path === undefined ? Effect.void : Effect.flatMap(IpcPath.isInUse(path), (isInUse) =>
    isInUse
      ? Effect.fail(new SocketError({ reason: "AddressInUse", operation: "bind", endpoint }))
      : Effect.void)
}

/** A socket that was closed a moment ago may hold its port a little longer. */
const bindAgain = Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(5))

const endpoints = (handle: Handle<zmq.Socket>): Socket => ({
  bind: (endpoint) =>
    Endpoint.isBindable(endpoint)
      ? Effect.tryPromise({
        try: async () => {
          const address = await Addresses.toBind(endpoint)
          allowIpv6(handle.socket, address)
          await handle.socket.bind(address)
          handle.endpoint = handle.socket.lastEndpoint ?? endpoint
          return handle.endpoint
        },
        catch: (cause) => handle.failed("bind", cause, endpoint)
      }).pipe(
        Effect.catchIf(
          (error) => error.reason === "Full",
          (error) => Effect.zipRight(tryToBind(endpoint), error)
        ),
        Effect.tap(() => keepPath(handle, endpoint)),
        (bound) => Effect.zipRight(pathFree(endpoint), bound),
        Effect.retry({ while: (error) => error.reason === "AddressInUse", schedule: bindAgain })
      )
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "bind", endpoint })),
  connect: (endpoint) =>
    Endpoint.isConnectable(endpoint)
      ? handle.connector.link(endpoint).pipe(
        Effect.flatMap((link) => handle.connecting(endpoint, link)),
        Effect.tap(() => {
          handle.endpoint = endpoint
        })
      )
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "connect", endpoint }))
})

/** A socket that is watched forgets why it could not be bound; one that is not knows. */
const tryToBind = (endpoint: string): Effect.Effect<string, SocketError> =>
  Effect.scoped(
    Effect.flatMap(open(() => new zmq.Router({ linger: 0 }), undefined), (handle) => endpoints(handle).bind(endpoint))
  )

/** All interfaces, of IPv6 too where there is IPv6, or an address of IPv6. */
const allowIpv6 = (socket: zmq.Socket, endpoint: string) => {
  if (endpoint.startsWith("tcp://*:") || endpoint.startsWith("tcp://[")) {
    socket.ipv6 = true
  }
}

const sender = ({ failed, socket }: Handle<Sending>): Sender => ({
  send: (message) =>
    Effect.tryPromise({
      try: () => socket.send(message as Array<Uint8Array>),
      catch: (cause) => failed("send", cause)
    })
})

/**
 * Asking whether there is room costs a tenth of a send that fails. But it may swallow the signal that a pending receive waits for, so
 * that it is always followed by a send, after which the binding looks for what has arrived, be it one that fails.
 */
const sendSome = ({ failed, socket }: Handle<Sending>): Dealer["sendSome"] => {
  const sendLast = (message: Frames.Frames, count: number) =>
    Effect.tryPromise({
      try: () => socket.send(message as Array<Uint8Array>),
      catch: (cause) => failed("send", cause)
    }).pipe(
      Effect.as(count + 1),
      Effect.catchIf((error) => error.reason === "Full", () => Effect.succeed(count))
    )
  return (messages) =>
    Effect.suspend(() => {
      let count = 0
      while (count < messages.length && socket.writable) {
        // There is room; what is lost with its connection a moment later is told to nobody anyway.
        socket.send(messages[count++] as Array<Uint8Array>).then(undefined, ignore)
      }
      return count === messages.length ? Effect.succeed(count) : sendLast(messages[count]!, count)
    })
}

const ignore = () => {}

/**
 * After a batch of so many messages the next one is read until a receive fails. `readable` is a system call for each message; a
 * receive that fails costs as much as 8 of them.
 */
const burstSize = 16

const receiver = ({ failed, socket }: Handle<Receiving>, size: number): Receiver & Runnable => {
  // A receive cannot be taken back, so what it gives outlives whoever was waiting for it.
  let coming: Promise<ReadonlyArray<Frames.Frames>> | undefined
  let arrived = false
  let lastSize = 0

  let timeout = NaN
  const setTimeout = (millis: number) => {
    if (timeout !== millis) {
      socket.receiveTimeout = timeout = millis
    }
  }

  const receiveBatch = async (demand: () => number): Promise<ReadonlyArray<Frames.Frames>> => {
    // No receive is pending here, so that asking swallows no signal.
    const isIdle = !socket.readable
    arrived = !isIdle
    const isToWait = !isIdle && isSliceOver()
    if (isToWait) {
      await new Promise<void>((resolve) => onNextTurn(resolve))
    }
    // A receive with a timeout of 0 that is known to succeed takes no detour through the event loop. What makes a REQ readable may be
    // discarded.
    setTimeout(isIdle || isToWait || size === 1 ? -1 : 0)
    const batch: Array<Frames.Frames> = [await socket.receive()]
    arrived = true
    if (isIdle) {
      beginSlice()
      // Asking whether there is more costs as much as a receive. One message after another is no burst.
      if (lastSize < 2) {
        return batch
      }
    }
    const limit = Math.min(size, demand())
    const isBurst = lastSize >= burstSize
    while (batch.length < limit && (isBurst || socket.readable)) {
      setTimeout(0)
      try {
        batch.push(await socket.receive())
      } catch (cause) {
        if (isBurst && reasonOf(cause) === "Full") {
          break
        }
        throw cause
      }
    }
    lastSize = batch.length
    return batch
  }

  const all = () => size
  const next = (demand = all) => coming ??= receiveBatch(demand)
  const taken = () => {
    coming = undefined
    arrived = false
  }
  const receive = Effect.tap(
    Effect.tryPromise({ try: () => next(), catch: (cause) => failed("receive", cause) }),
    () => Effect.sync(taken)
  )
  return {
    receive,
    messages: Stream.repeatEffect(receive),
    run: (onBatch, demand) =>
      // Not the cleanup of Effect.async: an interruption right behind the registration would miss it.
      Effect.acquireUseRelease(
        Effect.sync(() => ({ isRunning: true })),
        (turn) =>
          Effect.async((resume) => {
            const loop = async () => {
              while (turn.isRunning) {
                const batch = await next(demand)
                if (turn.isRunning) {
                  taken()
                  const isTaken = onBatch(batch)
                  if (isTaken !== undefined) {
                    await isTaken
                  }
                }
              }
            }
            // What fails without a code is not of the binding, but a defect of whoever takes the batch.
            loop().catch((cause) =>
              resume(
                cause instanceof SocketError
                  ? Effect.fail(cause)
                  : cause instanceof Error && "code" in cause
                  ? Effect.fail(failed("receive", cause))
                  : Effect.die(cause)
              )
            )
          }),
        (turn) =>
          Effect.sync(() => {
            turn.isRunning = false
          })
      ),
    // Asking the socket itself whether it is readable while it is being read would swallow the signal that the pending
    // receive waits for: it would never come back, whatever else arrives.
    waiting: Effect.map(nextPoll, () => arrived),
    poll: (onPolled) => onNextPoll(() => onPolled(arrived))
  }
}

const reasonOf = (cause: unknown): SocketReason =>
  reasons[cause instanceof Error && "code" in cause ? String(cause.code) : ""] ?? "Unknown"

const reasons: { readonly [code: string]: SocketReason } = {
  EADDRINUSE: "AddressInUse",
  EADDRNOTAVAIL: "NoSuchDevice",
  ENODEV: "NoSuchDevice",
  EACCES: "PermissionDenied",
  EINVAL: "InvalidEndpoint",
  EPROTONOSUPPORT: "InvalidEndpoint",
  ENOENT: "InvalidEndpoint",
  ENOTFOUND: "NoSuchDevice",
  ETIMEOUT: "UnknownHost",
  EAGAIN: "Full",
  EFSM: "OutOfTurn",
  EMFILE: "TooManySockets",
  EBADF: "Closed",
  ENOTSOCK: "Closed"
}
