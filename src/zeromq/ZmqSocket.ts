/**
 * ZeroMQ sockets as scoped resources.
 *
 * A socket is opened in a scope and closed with it, with queued messages and pending operations. Received messages are a stream of
 * batches. Every failure is a `SocketError` that names the endpoint.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as zmq from "zeromq"
import type { SocketError } from "../ports/SocketError.ts"
import { endpoints } from "./endpoints.ts"
import { open } from "./handle.ts"
import { countConnections } from "./handshakes.ts"
import type {
  BindingOptions,
  Dealer,
  DealerOptions,
  Options,
  Publisher,
  Request,
  Router,
  RouterOptions,
  StatePublisher,
  StatePublisherOptions,
  Subscriber,
  SubscriberOptions
} from "./models.ts"
import { batchSize, receiver } from "./receiver.ts"
import { sendAll, sender, sendNow, sendSome, sendTogether } from "./sender.ts"
import { binding, common, keepAlive, reconnect } from "./socketOptions.ts"
import * as Topics from "./topics.ts"

export type * from "./models.ts"

/**
 * Capacity for replies, in relation to that for requests. More replies are dropped without an error. libzmq's thread may be late by
 * more than its default of 1,000 when all requests of a client are answered, or rejected, at once.
 */
const replyShare = 4

/**
 * Opens a ROUTER. A client that returns under the routing id of its lost connection replaces it.
 *
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
          sendHighWaterMark: replyShare * (options?.queue ?? 1000),
          receiveHighWaterMark: options?.queue ?? 1000,
          handover: true
        }),
      options,
      "observed"
    )
    return {
      ...endpoints(handle),
      ...sender(handle),
      ...sendAll(handle),
      ...receiver(handle, batchSize),
      ...(yield* countConnections(handle.socket))
    }
  })

/**
 * Opens a PUB.
 *
 * @category constructors
 */
export const makePublisher = (options?: BindingOptions): Effect.Effect<Publisher, SocketError, Scope.Scope> =>
  Effect.map(open(() => new zmq.Publisher({ ...common(options), ...binding(options) }), options), (handle) => ({
    ...endpoints(handle),
    ...sender(handle)
  }))

/**
 * Opens an XPUB.
 *
 * @category constructors
 */
export const makeStatePublisher = (
  options?: StatePublisherOptions
): Effect.Effect<StatePublisher, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* open(
      () =>
        new zmq.XPublisher({
          ...common(options),
          ...binding(options),
          // All subscriptions, but only the last unsubscription of a topic: a subscriber may subscribe twice and leave once.
          verbosity: "allSubs",
          // The next subscription of a connection stays in libzmq's own thread until this one is taken.
          receiveHighWaterMark: 1
        }),
      options
    )
    const { bind, connect } = endpoints(handle)
    // A socket that is being bound cannot receive.
    const isBound = yield* Effect.makeLatch(false)
    return {
      bind: (endpoint) => Effect.tap(bind(endpoint), isBound.open),
      connect,
      ...sender(handle),
      ...sendTogether(handle),
      ...(yield* Topics.read(isBound.whenOpen(receiver(handle, 1).receive), options?.topics ?? []))
    }
  })

/**
 * Opens a SUB that is subscribed to everything.
 *
 * @category constructors
 */
export const makeSubscriber = (
  options?: SubscriberOptions
): Effect.Effect<Subscriber, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const handle = yield* open(
      () =>
        new zmq.Subscriber({
          linger: 0,
          ...reconnect(options),
          ...binding(options),
          ...options?.security?.options
        }),
      options,
      "observed"
    )
    yield* handle.connector.observe
    handle.socket.subscribe("", ...options?.topics ?? [])
    return {
      ...endpoints(handle),
      // A state and its heartbeat.
      ...receiver(handle, batchSize, { areTogether: true }),
      connections: handle.connector.events
    }
  })

/**
 * Opens a DEALER.
 *
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
      sendNow: sendNow(handle),
      sendSome: sendSome(handle),
      connections: handle.connector.events
    }
  })

/**
 * Opens a REQ.
 *
 * @category constructors
 */
export const makeRequest = (options?: Options): Effect.Effect<Request, SocketError, Scope.Scope> =>
  Effect.map(open(() => new zmq.Request(common(options)), options), (handle) => ({
    ...endpoints(handle),
    ...sender(handle),
    // A REQ may be readable and then discard the reply, so it is never read ahead.
    ...receiver(handle, 1)
  }))
