/** Opens and closes sockets of the binding. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as zmq from "zeromq"
import * as Descriptors from "../internal/Descriptors.ts"
import type { SocketOperation } from "../ports/SocketError.ts"
import { SocketError } from "../ports/SocketError.ts"
import * as Connector from "./connector.ts"
import { reasonOf } from "./failure.ts"
import * as IpcPath from "./ipcPath.ts"
import type { Connecting, Options } from "./models.ts"
import { pace } from "./pacing.ts"
import * as workerExit from "./workerExit.ts"

/** An open socket, and what errors need to know of it after it is closed. */
export interface Handle<S extends zmq.Socket> {
  readonly socket: S
  readonly scope: Scope.Scope
  endpoint: string | undefined
  /** The file of a socket that is bound to an ipc path. */
  file: { readonly path: string; readonly identity: string } | undefined
  readonly connecting: Connecting
  readonly connector: Connector.Connector
  readonly failed: (operation: SocketOperation, cause: unknown, endpoint?: string) => SocketError
}

/** Sockets that libzmq may open, unless the application has chosen a number. Each of `ours` costs 12 bytes. */
const socketLimit = { standard: 1023, ours: 16_383 }

/** Takes effect before the first socket of the process only. */
const raiseSocketLimit = () => {
  if (zmq.context.maxSockets === socketLimit.standard) {
    zmq.context.maxSockets = socketLimit.ours
  }
}

const exhausted = (what: string) => Object.assign(new Error(what), { code: "EMFILE" })

/**
 * Sockets whose observer could not be opened. libzmq's monitor of such a socket has no reader, so that closing it would block the
 * thread that closes all others, and the process could not exit.
 */
const unobserved = new Set<zmq.Socket>()

/** Opens a socket and, if it is observed, its observer. */
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
    throw reasonOf(cause) === "TooManySockets"
      ? exhausted(`libzmq's context.maxSockets, ${socketLimit.standard} unless it is set before the first socket`)
      : cause
  }
}

/** Opens a socket that closes with the scope, with queued messages and pending operations. */
export const open = <S extends zmq.Socket>(
  make: () => S,
  options: Pick<Options, "security"> | undefined,
  observation?: "observed"
): Effect.Effect<Handle<S>, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const security = options?.security
    const opened: { file: Handle<S>["file"] } = { file: undefined }
    const socket = yield* Effect.acquireRelease(
      Effect.try({
        try: () => workerExit.add(openNow(make, observation === "observed" || security !== undefined)),
        catch: (cause) => new SocketError({ reason: reasonOf(cause), operation: "open", endpoint: undefined, cause })
      }),
      (socket) =>
        Effect.suspend(() => {
          socket.close()
          workerExit.remove(socket)
          return opened.file === undefined ? Effect.void : IpcPath.released(opened.file.path, opened.file.identity)
        })
    )
    const failed: Handle<S>["failed"] = (operation, cause, endpoint = handle.endpoint) =>
      // Pending operations of a closed socket fail with various codes.
      new SocketError({ reason: socket.closed ? "Closed" : reasonOf(cause), operation, endpoint, cause })
    const handle: Handle<S> = Object.assign(opened, {
      socket,
      scope: yield* Effect.scope,
      connecting: security === undefined ? Connector.connectDirectly : yield* security.install(socket),
      connector: yield* Connector.make(socket, { failed, isSecured: security !== undefined }),
      endpoint: undefined,
      failed
    })
    return handle
  })
