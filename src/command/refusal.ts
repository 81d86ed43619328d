import * as net from "node:net"

/**
 * Where a process would listen.
 *
 * @internal
 */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

const isRefusal = (error: NodeJS.ErrnoException): boolean =>
  error instanceof AggregateError ? error.errors.every(isRefusal) : error.code === "ECONNREFUSED"

/**
 * Reports once whether the system refuses a connection to an address, because no process listens there. A connection, any
 * other failure, and no answer in time are no refusal.
 *
 * @internal
 */
export const probe = (address: Address, timeoutMillis: number, report: (isRefused: boolean) => void): void => {
  const socket = net.connect(address)
  let isSettled = false
  const settle = (isRefused: boolean) => {
    if (!isSettled) {
      isSettled = true
      socket.destroy()
      report(isRefused)
    }
  }
  // A process that stood still runs its timers first, and reads an answer that has arrived one turn later.
  socket.setTimeout(timeoutMillis, () => setImmediate(settle, false))
  socket.on("connect", () => settle(false))
  socket.on("error", (error) => settle(isRefusal(error)))
}
