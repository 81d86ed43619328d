import { randomInt } from "node:crypto"
import { once } from "node:events"
import * as net from "node:net"

const assignedPorts = new Set<number>()

/**
 * Below the ephemeral ports, with one of which a port may be connected to itself while no process listens there. Each process that
 * runs test files has a range of its own.
 */
const rangeSize = 2000
const firstPort = 12_000 + rangeSize * (Number(process.env["VITEST_POOL_ID"] ?? 0) % 10)

const isFree = async (port: number): Promise<boolean> => {
  // A connection of a client that looks for an earlier server there would keep this one open.
  const server = net.createServer((connection) => connection.destroy())
  const isListening = new Promise<boolean>((resolve) => {
    server.once("listening", () => resolve(true))
    server.once("error", () => resolve(false))
  })
  server.listen(port, "127.0.0.1")
  return await isListening && (await once(server.close(), "close"), true)
}

/** Free ports of this machine. No two calls in this process return the same one. */
export const freePorts = async (count: number): Promise<Array<number>> => {
  const ports: Array<number> = []
  while (ports.length < count) {
    const port = randomInt(firstPort, firstPort + rangeSize)
    if (!assignedPorts.has(port) && await isFree(port)) {
      assignedPorts.add(port)
      ports.push(port)
    }
  }
  return ports
}
