/** Binds and connects sockets. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as zmq from "zeromq"
import { SocketError } from "../ports/SocketError.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Addresses from "./addresses.ts"
import type { Handle } from "./handle.ts"
import { open } from "./handle.ts"
import * as IpcPath from "./ipcPath.ts"
import type { Socket } from "./models.ts"

/** Keeps the path of a socket that was just bound, as long as the socket is open. */
const keepPath = (handle: Handle<zmq.Socket>, endpoint: string): Effect.Effect<void> => {
  const path = IpcPath.pathOf(endpoint)
  const identity = path === undefined ? undefined : IpcPath.identityOf(path)
  if (path === undefined || identity === undefined) {
    return Effect.void
  }
  handle.file = { path, identity }
  const bindAgain = Effect.try({
    try: () => {
      // Not `bind`, during which sends fail.
      handle.socket.bindSync(endpoint)
      const identity = IpcPath.identityOf(path) ?? ""
      handle.file = { path, identity }
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
const rejectUsedPath = (endpoint: string): Effect.Effect<void, SocketError> => {
  const path = IpcPath.pathOf(endpoint)
  return path === undefined ? Effect.void : Effect.flatMap(IpcPath.isInUse(path), (isInUse) =>
    isInUse
      ? Effect.fail(new SocketError({ reason: "AddressInUse", operation: "bind", endpoint }))
      : Effect.void)
}

/** A socket that was closed a moment ago may hold its port a little longer. */
const bindAgain = Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurs(5))

/** All interfaces, of IPv6 too if there is IPv6, or an address of IPv6. */
const allowIpv6 = (socket: zmq.Socket, address: string) => {
  if (address.startsWith("tcp://*:") || address.startsWith("tcp://[")) {
    socket.ipv6 = true
  }
}

const bind = (handle: Handle<zmq.Socket>, endpoint: string): Effect.Effect<string, SocketError> =>
  Effect.tryPromise({
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
    (bound) => Effect.zipRight(rejectUsedPath(endpoint), bound),
    Effect.retry({ while: (error) => error.reason === "AddressInUse", schedule: bindAgain })
  )

/** The binding loses the reason why an observed socket could not be bound. One that is not observed reports it. */
const tryToBind = (endpoint: string): Effect.Effect<string, SocketError> =>
  Effect.scoped(
    Effect.flatMap(open(() => new zmq.Router({ linger: 0 }), undefined), (handle) => bind(handle, endpoint))
  )

const connect = (handle: Handle<zmq.Socket>, endpoint: string): Effect.Effect<void, SocketError> =>
  handle.connector.connection(endpoint).pipe(
    Effect.flatMap((connection) => handle.connecting(endpoint, connection)),
    Effect.tap(() => {
      handle.endpoint = endpoint
    })
  )

/** `bind` and `connect` of a socket. libzmq takes a port modulo 65536, so endpoints are checked first. */
export const endpoints = (handle: Handle<zmq.Socket>): Socket => ({
  bind: (endpoint) =>
    Endpoint.isBindable(endpoint)
      ? bind(handle, endpoint)
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "bind", endpoint })),
  connect: (endpoint) =>
    Endpoint.isConnectable(endpoint)
      ? connect(handle, endpoint)
      : Effect.fail(new SocketError({ reason: "InvalidEndpoint", operation: "connect", endpoint }))
})
