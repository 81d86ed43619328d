/**
 * ZeroMQ sockets as scoped resources.
 *
 * A socket is opened in a scope and closed with it, whatever is still queued or awaited. What it receives is a stream of
 * batches, fed by one receive loop that lives as long as the socket: an interrupted `receive` of the binding would
 * swallow the next message. Every failure is a {@link SocketError} that names the endpoint.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as dns from "node:dns"
import * as zmq from "zeromq"
import type { SocketOperation, SocketReason } from "../BinaryStarError.ts"
import { SocketError } from "../BinaryStarError.ts"
import * as Endpoint from "../Endpoint.ts"
import type * as Frames from "../Frames.ts"
import { sliceMillis } from "../internal/scheduler.ts"

/**
 * What every socket can do: be found and find others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Socket {
  /** Listens at an endpoint. Succeeds with the endpoint as it came out, so `tcp://127.0.0.1:*` gives a free port. */
  readonly bind: (endpoint: string) => Effect.Effect<string, SocketError>
  /** Connects to an endpoint, now or as soon as somebody listens there; and again whenever the connection is lost. */
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
 * A socket that sends to many and drops what one of them does not take.
 *
 * @since 0.1.0
 * @category models
 */
export interface Spreader extends Sender {
  /** Sends messages in order, in one go. */
  readonly sendAll: (messages: Iterable<Frames.Frames>) => Effect.Effect<void, SocketError>
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
   * high-water mark holds the senders back. To be run once; ends when the socket is closed.
   */
  readonly messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
  /** Whether a message has arrived that `messages` has not emitted yet. */
  readonly waiting: Effect.Effect<boolean>
}

/**
 * A ROUTER socket: receives from many with a routing frame in front, and sends to the one whom the first frame names.
 *
 * @since 0.1.0
 * @category models
 */
export interface Router extends Socket, Spreader, Receiver {}

/**
 * A PUB socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Publisher extends Socket, Spreader {}

/**
 * A SUB socket, subscribed to everything.
 *
 * @since 0.1.0
 * @category models
 */
export interface Subscriber extends Socket, Receiver {}

/**
 * A DEALER socket.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dealer extends Socket, Sender, Receiver {}

/**
 * A REQ socket: one request, one reply, in turns.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request extends Socket, Sender, Receiver {}

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
}

/** Messages in one batch at the most. Sixteen gain nothing, and more than 256 gain nothing more. */
const batchSize = 256

/** Batches that wait in front of a reader; the next one is read from the socket meanwhile. */
const batchesAhead = 1

/**
 * Opens a ROUTER.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRouter = (options?: Options): Effect.Effect<Router, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const socket = yield* open(() => new zmq.Router(common(options)))
    return { ...endpoints(socket), ...spreader(socket), ...(yield* receiver(socket, batchSize)) }
  })

/**
 * Opens a PUB.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makePublisher = (options?: Options): Effect.Effect<Publisher, SocketError, Scope.Scope> =>
  Effect.map(
    open(() => new zmq.Publisher(common(options))),
    (socket) => ({ ...endpoints(socket), ...spreader(socket) })
  )

/**
 * Opens a SUB that is subscribed to everything.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeSubscriber: Effect.Effect<Subscriber, SocketError, Scope.Scope> = Effect.gen(function*() {
  const socket = yield* open(() => new zmq.Subscriber({ linger: 0 }))
  socket.subscribe()
  return { ...endpoints(socket), ...(yield* receiver(socket, batchSize)) }
})

/**
 * Opens a DEALER.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeDealer = (options?: Options): Effect.Effect<Dealer, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const socket = yield* open(() => new zmq.Dealer(common(options)))
    return { ...endpoints(socket), ...sender(socket), ...(yield* receiver(socket, batchSize)) }
  })

/**
 * Opens a REQ.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRequest = (options?: Options): Effect.Effect<Request, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const socket = yield* open(() => new zmq.Request(common(options)))
    // A REQ may say that a reply is there and then discard it, so it is never read ahead.
    return { ...endpoints(socket), ...sender(socket), ...(yield* receiver(socket, 1)) }
  })

type Sending = zmq.Socket & { readonly send: (message: Array<Uint8Array>) => Promise<void> }
type Receiving = zmq.Socket & { receiveTimeout: number; readonly receive: () => Promise<Array<Uint8Array>> }

// With a send timeout of 0 a send never waits, so that there is no second one that would throw EBUSY.
const common = (options: Options | undefined) => ({ linger: options?.lingerMillis ?? 0, sendTimeout: 0 })

const open = <S extends zmq.Socket>(make: () => S): Effect.Effect<S, SocketError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({ try: make, catch: (cause) => toError("open", undefined, cause) }),
    (socket) => Effect.sync(() => socket.close())
  )

const endpoints = (socket: zmq.Socket): Socket => ({
  bind: (endpoint) =>
    Endpoint.isBindable(endpoint)
      ? Effect.tryPromise({
        try: async () => {
          await socket.bind(endpoint)
          return socket.lastEndpoint ?? endpoint
        },
        catch: (cause) => toError("bind", endpoint, cause)
      })
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "bind", endpoint })),
  connect: (endpoint) =>
    Endpoint.isConnectable(endpoint)
      ? Effect.zipRight(
        lookUp(endpoint),
        Effect.try({
          try: () => socket.connect(endpoint),
          catch: (cause) => toError("connect", endpoint, cause)
        })
      )
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "connect", endpoint }))
})

/** libzmq connects to a name that does not exist without a word, and waits in its only I/O thread while it looks it up. */
const lookUp = (endpoint: string): Effect.Effect<void, SocketError> => {
  const parts = Endpoint.parse(endpoint)
  return parts?.protocol === "tcp"
    ? Effect.tryPromise({
      try: () => dns.promises.lookup(parts.host.replace(/^\[|\]$/g, "")),
      catch: (cause) => new SocketError({ reason: "UnknownHost", operation: "connect", endpoint, cause })
    })
    : Effect.void
}

const sender = (socket: Sending): Sender => ({
  send: (message) =>
    Effect.tryPromise({
      try: () => socket.send(message as Array<Uint8Array>),
      catch: (cause) => toError("send", socket.lastEndpoint ?? undefined, cause)
    })
})

const ignore = () => {}

const spreader = (socket: Sending): Spreader => ({
  ...sender(socket),
  sendAll: (messages) =>
    Effect.try({
      try: () => {
        for (const message of messages) {
          // ROUTER and PUB drop what they cannot send, and say so to nobody.
          socket.send(message as Array<Uint8Array>).catch(ignore)
        }
      },
      catch: (cause) => toError("send", socket.lastEndpoint ?? undefined, cause)
    })
})

const receiver = (socket: Receiving, size: number): Effect.Effect<Receiver, never, Scope.Scope> =>
  Effect.gen(function*() {
    const mailbox = yield* Mailbox.make<ReadonlyArray<Frames.Frames>, SocketError>(batchesAhead)
    const runtime = yield* Effect.runtime<never>()
    const offer = (batch: ReadonlyArray<Frames.Frames>) =>
      mailbox.unsafeOffer(batch) ? undefined : Runtime.runPromise(runtime)(mailbox.offer(batch))
    const loop = receiveLoop(socket, size, offer).then(
      () => mailbox.unsafeDone(Exit.void),
      (cause) => mailbox.unsafeDone(socket.closed ? Exit.void : Exit.fail(toError("receive", undefined, cause)))
    )
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        mailbox.shutdown,
        Effect.promise(() => {
          socket.close()
          return loop
        })
      )
    )
    return {
      messages: Mailbox.toStream(mailbox),
      waiting: Effect.sync(() => socket.readable || Option.getOrElse(mailbox.unsafeSize(), () => 0) > 0)
    }
  })

const receiveLoop = async (
  socket: Receiving,
  size: number,
  offer: (batch: ReadonlyArray<Frames.Frames>) => Promise<unknown> | undefined
): Promise<never> => {
  let sliceStart = performance.now()
  for (;;) {
    const idle = !socket.readable
    socket.receiveTimeout = -1
    const first = await socket.receive()
    if (idle) {
      sliceStart = performance.now()
    }
    const rest: Array<Promise<Array<Uint8Array>>> = []
    if (socket.readable) {
      // A receive with a timeout of 0 that is known to succeed takes no detour through the event loop.
      socket.receiveTimeout = 0
      while (rest.length < size - 1 && socket.readable) {
        rest.push(socket.receive())
      }
    }
    const offered = offer(rest.length === 0 ? [first] : [first, ...(await Promise.all(rest))])
    if (offered !== undefined) {
      await offered
    }
    if (performance.now() - sliceStart > sliceMillis) {
      await nextTurn()
      sliceStart = performance.now()
    }
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

const toError = (operation: SocketOperation, endpoint: string | undefined, cause: unknown): SocketError =>
  new SocketError({ reason: reasonOf(cause), operation, endpoint, cause })

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
  EAGAIN: "Full",
  EFSM: "OutOfTurn",
  EMFILE: "TooManySockets",
  EBADF: "Closed",
  ENOTSOCK: "Closed"
}
