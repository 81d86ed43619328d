/**
 * A TCP relay in user space with a one-way delay, for kernels that cannot delay packets.
 *
 * The connection of a client is established at once, which a relay cannot avoid. Everything else takes as long as on a network: the
 * target accepts after three delays (SYN, SYN-ACK, ACK), every byte takes one, in order, in both directions.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"

export interface Relay {
  /** The endpoint that stands in for the target. */
  readonly endpoint: string
  /** Connections that a client has made so far. */
  readonly connectionCount: () => number
  /** Changes the one-way delay of what is sent from now on. */
  readonly setDelay: (millis: number) => Effect.Effect<void>
  /** Passes nothing until it is healed, and closes no connection: a cut cable. Bytes sent meanwhile pass afterwards. */
  readonly cut: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
  /** Resets every connection in both directions, at once. */
  readonly reset: Effect.Effect<void>
}

export interface Options {
  readonly delayMillis: number
  /**
   * Whether connections are refused while no process listens at the target's port, one delay after that has changed: crash evidence
   * passes the relay. Needs `/proc/net/tcp`; without it connections are accepted, and reset three delays later.
   */
  readonly refuses?: boolean
}

/** A SYN, a SYN-ACK and an ACK precede a connection at the target. */
const setupDelays = 3

/** Milliseconds between two checks of the target's port. */
const checkMillis = 5

const portOf = (endpoint: string) => Number(endpoint.slice(endpoint.lastIndexOf(":") + 1))

const tables = ["/proc/net/tcp", "/proc/net/tcp6"].filter((file) => fs.existsSync(file))

const buffer = Buffer.alloc(64 * 1024)

/** Whether a process listens at a port of this host. Listening sockets come first in a table, so only its beginning is read. */
const isListening = (port: number): boolean => {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  return tables.some((table) => {
    const file = fs.openSync(table, "r")
    try {
      let text = ""
      let length: number
      while ((length = fs.readSync(file, buffer)) > 0) {
        text += buffer.toString("latin1", 0, length)
        const rows = text.split("\n").slice(1, -1).map((row) => row.trim().split(/\s+/))
        if (rows.some(([, address, , state]) => state === "0A" && address!.endsWith(local))) {
          return true
        }
        if (rows.some(([, , , state]) => state !== "0A")) {
          return false
        }
      }
      return false
    } finally {
      fs.closeSync(file)
    }
  })
}

/** One direction of a connection: actions run in order, one delay later, unless the relay is cut. */
const makeLine = (millis: () => number, isCut: () => boolean) => {
  const queue: Array<{ readonly at: number; readonly run: () => void }> = []
  let timer: NodeJS.Timeout | undefined
  let lastAt = 0
  const flush = () => {
    timer = undefined
    while (!isCut() && queue.length > 0 && queue[0]!.at <= performance.now()) {
      queue.shift()!.run()
    }
    const [next] = queue
    if (next !== undefined && !isCut()) {
      timer = setTimeout(flush, Math.max(1, next.at - performance.now()))
    }
  }
  return {
    put: (run: () => void, delays = 1) => {
      lastAt = Math.max(lastAt, performance.now() + delays * millis())
      queue.push({ at: lastAt, run })
      timer ??= setTimeout(flush, 0)
    },
    /** To be called when the relay is healed. */
    resume: () => {
      timer ??= setTimeout(flush, 0)
    },
    drop: () => {
      clearTimeout(timer)
      queue.length = 0
    }
  }
}

interface Connection {
  readonly resume: () => void
  readonly reset: () => void
}

/** Connects a client to the target, and carries the bytes of both. */
const carry = (
  client: net.Socket,
  target: { readonly host: string; readonly port: number },
  millis: () => number,
  isCut: () => boolean,
  closed: (connection: Connection) => void
): Connection => {
  const server = new net.Socket({ allowHalfOpen: true })
  const forth = makeLine(millis, isCut)
  const back = makeLine(millis, isCut)
  const carryOver = (from: net.Socket, to: net.Socket, line: ReturnType<typeof makeLine>) => {
    from.setNoDelay(true)
    from.on("data", (bytes) =>
      line.put(() => {
        if (to.writable && !to.write(bytes)) {
          from.pause()
        }
      }))
    to.on("drain", () => from.resume())
    from.on("end", () => line.put(() => to.end()))
    from.on("error", () => line.put(() => to.resetAndDestroy()))
    from.on("close", () => client.destroyed && server.destroyed && closed(connection))
  }
  const connection: Connection = {
    resume: () => {
      forth.resume()
      back.resume()
    },
    reset: () => {
      for (const [socket, line] of [[client, forth], [server, back]] as const) {
        line.drop()
        socket.resetAndDestroy()
      }
    }
  }
  carryOver(client, server, forth)
  carryOver(server, client, back)
  // Bytes that are sent before the target is connected wait in `server`.
  forth.put(() => server.connect(target), setupDelays)
  return connection
}

/** A relay to an endpoint, on a free port of this host. It ends with the scope. */
export const make = (
  target: string,
  { delayMillis, refuses = false }: Options
): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function*() {
    const to = { host: "127.0.0.1", port: portOf(target) }
    const connections = new Set<Connection>()
    let count = 0
    let millis = delayMillis
    let isCut = false
    const accept = (client: net.Socket) => {
      count++
      connections.add(carry(client, to, () => millis, () => isCut, (connection) => connections.delete(connection)))
    }
    const open = async (port: number) => {
      const server = net.createServer({ allowHalfOpen: true }, accept).listen(port, "127.0.0.1")
      await once(server, "listening")
      return server
    }
    let listener: net.Server | undefined = yield* Effect.promise(() => open(0))
    const { port } = listener.address() as net.AddressInfo
    const set = async (isOpen: boolean) => {
      const before = listener
      listener = isOpen ? before ?? await open(port) : undefined
      if (!isOpen) {
        before?.close()
      }
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        listener?.close()
        connections.forEach(({ reset }) => reset())
      })
    )
    if (refuses && tables.length > 0) {
      let isOpen = true
      const changes = makeLine(() => millis, () => isCut)
      const check = () => {
        if (isListening(to.port) !== isOpen) {
          isOpen = !isOpen
          const next = isOpen
          changes.put(() => void set(next))
        }
      }
      check()
      yield* Effect.acquireRelease(
        Effect.sync(() => setInterval(check, checkMillis)),
        (timer) =>
          Effect.sync(() => {
            clearInterval(timer)
            changes.drop()
          })
      )
    }
    return {
      endpoint: `tcp://127.0.0.1:${port}`,
      connectionCount: () => count,
      setDelay: (next) =>
        Effect.sync(() => {
          millis = next
        }),
      cut: Effect.sync(() => {
        isCut = true
      }),
      heal: Effect.sync(() => {
        isCut = false
        connections.forEach(({ resume }) => resume())
      }),
      reset: Effect.sync(() => connections.forEach(({ reset }) => reset()))
    }
  })
