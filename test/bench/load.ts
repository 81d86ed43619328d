/**
 * The load written in Node: a process that runs one job of the benchmark at a time.
 *
 * A client in Node needs about as much CPU for a message as a server. The load therefore omits what it can: messages are received
 * in batches, replies are not compared, and the time is read once a batch.
 */
import { Buffer } from "node:buffer"
import { once } from "node:events"
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { context, Dealer } from "zeromq"
import * as Zmtp from "../campaigns/fuzz/zmtp.ts"
import type { Measured, Options } from "./meter.ts"
import { Meter } from "./meter.ts"
import * as proc from "./proc.ts"

/** The CURVE options of a client, as named by the binding. */
export interface CurveKeys {
  readonly curvePublicKey: string
  readonly curveSecretKey: string
  readonly curveServerKey: string
}

/** Requests in a closed loop: each client keeps `window` of them in flight and sends one more for each reply. */
export interface Echo extends Omit<Options, "cpu"> {
  readonly endpoint: string
  /** The process whose CPU time is measured. */
  readonly pid: number
  /** The size of a request in bytes. */
  readonly bytes: number
  /** The keys, if the server requires them. */
  readonly keys?: CurveKeys
  readonly clients: number
  readonly window: number
}

/** Requests as fast as they can be sent. The replies are not read. */
export interface Flood {
  readonly endpoint: string
  readonly seconds: number
}

/**
 * Requests at a fixed rate whose replies are not read. Written by hand and not with libzmq, so that it takes next to no CPU of
 * this machine: a real abuser has another machine.
 */
export interface Abuse {
  readonly endpoint: string
  readonly seconds: number
  readonly rate: number
}

export interface FloodResult {
  readonly sent: number
  readonly seconds: number
}

export type Job =
  | { readonly kind: "echo" } & Echo
  | { readonly kind: "flood" } & Flood
  | { readonly kind: "abuse" } & Abuse

/** A request as a REQ client sends it. */
const requestOf = (bytes: number) => [Buffer.alloc(0), Buffer.alloc(bytes)]

/** The size of a request whose reply is not read. */
const abuseBytes = 32

/** The largest batch of one socket. */
const batchSize = 64

/** The milliseconds after which an echo is lost. */
const patienceMillis = 10_000

// A thousand clients are near the 1023 sockets that libzmq allows by default.
context.maxSockets = 8192

/** Connects and waits for a first reply: the connection is complete then. */
const connect = async (endpoint: string, request: Array<Buffer>, keys?: CurveKeys): Promise<Dealer> => {
  const socket = new Dealer({ linger: 0, sendTimeout: 0, receiveTimeout: patienceMillis, ...keys })
  socket.connect(endpoint)
  await socket.send(request)
  const reply = await socket.receive()
  if (reply.length !== request.length || reply.some((frame, i) => !frame.equals(request[i]!))) {
    throw new Error(`${endpoint} gave back something else than the request`)
  }
  return socket
}

/** Receives a batch of replies. Returns their number. */
const receiveBatch = async (socket: Dealer): Promise<number> => {
  socket.receiveTimeout = patienceMillis
  let last = socket.receive()
  await last
  // A receive with a timeout of 0 that succeeds does not wait for the event loop.
  socket.receiveTimeout = 0
  let count = 1
  while (count < batchSize && socket.readable) {
    last = socket.receive()
    count++
  }
  await last
  return count
}

const echo = async (job: Echo): Promise<Measured> => {
  const request = requestOf(job.bytes)
  const sockets = await Promise.all(
    Array.from({ length: job.clients }, () => connect(job.endpoint, request, job.keys))
  )
  const meter = new Meter({ ...job, cpu: () => proc.cpu(job.pid) })

  const run = async (socket: Dealer): Promise<void> => {
    // Replies are in the order of the requests: the oldest time is that of the next reply.
    const sentAt = new Float64Array(job.window)
    let oldest = 0
    let inFlight = 0
    while (inFlight < job.window) {
      sentAt[inFlight++] = performance.now()
      void socket.send(request)
    }
    while (inFlight > 0) {
      const count = await receiveBatch(socket)
      const now = performance.now()
      for (let i = 0; i < count; i++) {
        if (meter.count(sentAt[oldest]!, now)) {
          sentAt[oldest] = now
          void socket.send(request)
        } else {
          inFlight--
        }
        oldest = oldest + 1 === job.window ? 0 : oldest + 1
      }
    }
    socket.close()
  }

  await Promise.all(sockets.map(run))
  const measured = meter.result()
  // Each client has received one more to connect.
  return { ...measured, allReplies: measured.allReplies + job.clients }
}

const flood = async (job: Flood): Promise<FloodResult> => {
  const request = requestOf(abuseBytes)
  const socket = await connect(job.endpoint, request)
  const start = performance.now()
  const end = start + job.seconds * 1000
  let sent = 0
  while (performance.now() < end) {
    // Wait for space in the send buffer, then fill it.
    socket.sendTimeout = patienceMillis
    await socket.send(request)
    sent++
    socket.sendTimeout = 0
    for (let i = 0; i < batchSize && socket.writable; i++) {
      void socket.send(request)
      sent++
    }
  }
  const seconds = (performance.now() - start) / 1000
  socket.close()
  return { sent, seconds }
}

const abuse = async (job: Abuse): Promise<FloodResult> => {
  const perMilli = job.rate / 1000
  const requests = Buffer.concat(Array.from({ length: perMilli }, () => Zmtp.message(...requestOf(abuseBytes))))
  const socket = net.connect(Zmtp.portOf(job.endpoint), "127.0.0.1")
  const cutOff = () => process.exit(1)
  socket.on("close", cutOff)
  socket.write(Buffer.concat([Zmtp.greeting, Zmtp.ready("DEALER")]))
  // libzmq disconnects a client that does not read its handshake. After the handshake nothing is read.
  for (let readCount = 0; readCount <= Zmtp.greeting.length;) {
    await once(socket, "readable")
    readCount += socket.read()?.length ?? 0
  }
  const start = performance.now()
  let millis = 0
  while (millis < job.seconds * 1000) {
    while (millis < performance.now() - start) {
      if (!socket.write(requests)) {
        await once(socket, "drain")
      }
      millis++
    }
    await sleep(1)
  }
  const seconds = (performance.now() - start) / 1000
  socket.off("close", cutOff).destroy()
  return { sent: millis * perMilli, seconds }
}

const perform = (job: Job) => job.kind === "echo" ? echo(job) : job.kind === "flood" ? flood(job) : abuse(job)

process.on("message", async (job: Job) => {
  try {
    process.send!(await perform(job))
  } catch (cause) {
    throw new Error(`the server at ${job.endpoint} does not answer as it should`, { cause })
  }
})
