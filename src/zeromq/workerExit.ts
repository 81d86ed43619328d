import process from "node:process"
import { isMainThread } from "node:worker_threads"
import type * as zmq from "zeromq"

const open = new Set<zmq.Socket>()

const closeAll = () =>
  open.forEach((socket) => {
    socket.events.close()
    socket.close()
  })

/**
 * Closes a socket when its worker thread exits or fails: a pending receive would abort the whole process. A worker that is terminated
 * runs no more code, so its sockets cannot be closed.
 *
 * @internal
 */
export const add = <S extends zmq.Socket>(socket: S): S => {
  if (!isMainThread) {
    if (open.size === 0) {
      process.once("exit", closeAll)
    }
    open.add(socket)
  }
  return socket
}

/** @internal */
export const remove = (socket: zmq.Socket): void => {
  if (open.delete(socket) && open.size === 0) {
    process.removeListener("exit", closeAll)
  }
}
