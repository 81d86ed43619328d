/**
 * The least time of a call over each transport: a request and a reply of the size of an RPC call, without Effect and without this
 * project. Some microseconds of busy time at each end stand for all else that a call costs.
 *
 * `node test/bench/transport.mjs [ROUNDS] [SECONDS]`: medians over rounds in turns of the p50s, and of their ratios to TCP.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { createConnection, createServer } from "node:net"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { context, Dealer, Router } from "zeromq"

/** The frames of a call of `rpc`: envelope, delimiter, message. */
const request = [Buffer.alloc(18, 1), Buffer.alloc(0), Buffer.alloc(150, 2)]
const reply = Buffer.alloc(60, 3)

/** `spin`: microseconds for which an end polls its socket after a send, before it waits for the event loop. */
const transports = {
  "TCP": { server: "tcp", client: "tcp" },
  "ZeroMQ": { server: "zmq", client: "zmq" },
  "ZeroMQ over ipc": { server: "zmq", client: "zmq", isLocal: true },
  "ZeroMQ, 2 I/O threads": { server: "zmq", client: "zmq", ioThreads: 2 },
  "ZeroMQ, polls 50 us": { server: "zmq", client: "zmq", spin: 50 },
  "ZeroMQ, polls 500 us": { server: "zmq", client: "zmq", spin: 500 },
  "ZMTP in JavaScript": { server: "zmq", client: "zmtp" }
}

const busyMicros = [0, 40, 80, 120]

const work = (micros) => {
  const end = performance.now() + micros / 1000
  while (performance.now() < end);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

const endpoint = (isLocal, port) =>
  isLocal ? `ipc://${tmpdir()}/transport-${port}` : `tcp://127.0.0.1:${port}`

const receive = (socket, spin) => {
  const end = performance.now() + spin / 1000
  while (spin > 0 && !socket.readable && performance.now() < end);
  return socket.receive()
}

/** Each returns when it listens. `busy` is the time before a reply. */
const servers = {
  tcp: async (_, port, busy) => {
    const server = createServer((socket) => {
      socket.setNoDelay(true)
      socket.on("data", () => {
        work(busy())
        socket.write(reply)
      })
    })
    await once(server.listen(port, "127.0.0.1"), "listening")
  },
  zmq: async ({ isLocal = false, spin = 0 }, port, busy) => {
    const router = new Router({ linger: 0, sendTimeout: 0 })
    await router.bind(endpoint(isLocal, port))
    const serve = async () => {
      for (;;) {
        const [id, name, delimiter] = await receive(router, spin)
        work(busy())
        router.send([id, name, delimiter, reply])
      }
    }
    serve()
  }
}

const connectTcp = async (port) => {
  const socket = createConnection(port, "127.0.0.1")
  await once(socket, "connect")
  return socket.setNoDelay(true)
}

const exchange = (socket, bytes) =>
  new Promise((resolve) => {
    socket.once("data", resolve)
    socket.write(bytes)
  })

const text = (string, lengthBytes = 1) => {
  const length = Buffer.alloc(lengthBytes)
  length.writeUIntBE(string.length, 0, lengthBytes)
  return Buffer.concat([length, Buffer.from(string, "latin1")])
}

/** The parts of ZMTP 3.0 (mechanism NULL) that one DEALER needs for short frames. */
const zmtp = {
  greeting: Buffer.from(`\xff${"\0".repeat(8)}\x7f\x03\x00NULL`.padEnd(64, "\0"), "latin1"),
  ready: Buffer.concat([text("READY"), text("Socket-Type"), text("DEALER", 4), text("Identity"), text("", 4)]),
  frame: (flags, body) => Buffer.concat([Buffer.from([flags, body.length]), body])
}

/** Each returns a function that makes a call. */
const clients = {
  tcp: async (_, port) => {
    const socket = await connectTcp(port)
    return () => exchange(socket, Buffer.concat(request))
  },
  zmq: async ({ isLocal = false, spin = 0 }, port) => {
    const dealer = new Dealer({ linger: 0, sendTimeout: 0 })
    dealer.connect(endpoint(isLocal, port))
    return () => {
      dealer.send(request)
      return receive(dealer, spin)
    }
  },
  zmtp: async (_, port) => {
    const socket = await connectTcp(port)
    let received = 0
    const isReady = new Promise((resolve) => {
      // The greeting of the server, and its READY.
      socket.on("data", (bytes) => (received += bytes.length) > 64 + 30 && resolve())
    })
    socket.write(Buffer.concat([zmtp.greeting, zmtp.frame(4, zmtp.ready)]))
    await isReady
    socket.removeAllListeners("data")
    const message = (frames) => Buffer.concat(frames.map((body, i) => zmtp.frame(i < frames.length - 1 ? 1 : 0, body)))
    return () => exchange(socket, message(request))
  }
}

const runServer = async (transport, port) => {
  let busy = 0
  await servers[transport.server](transport, port, () => busy)
  process.on("message", (micros) => {
    busy = micros
    process.send("busy")
  })
  process.send("ready")
}

const runClient = async (transport, port) => {
  const call = await clients[transport.client](transport, port)
  await call()
  process.on("message", async ({ busy, seconds }) => {
    const latencies = []
    const before = process.cpuUsage()
    const end = performance.now() + seconds * 1000
    while (performance.now() < end) {
      const start = performance.now()
      await call()
      work(busy)
      latencies.push((performance.now() - start) * 1000)
    }
    const { system, user } = process.cpuUsage(before)
    process.send({ p50: median(latencies), cpu: (system + user) / latencies.length })
  })
  process.send("ready")
}

const start = async (name, port) => {
  const child = async (end) => {
    const process = fork(fileURLToPath(import.meta.url), [end, name, port])
    await once(process, "message")
    return process
  }
  const server = await child("server")
  const client = await child("client")
  const ask = async (process, message) => {
    process.send(message)
    return (await once(process, "message"))[0]
  }
  return {
    measure: async (busy, seconds) => {
      await ask(server, busy)
      return ask(client, { busy, seconds })
    },
    end: () => [client, server].forEach((child) => child.kill())
  }
}

const compare = async (rounds, seconds) => {
  const names = Object.keys(transports)
  const ends = []
  for (const [i, name] of names.entries()) {
    ends.push(await start(name, 21_500 + i))
  }
  for (const end of ends) {
    await end.measure(0, seconds)
  }
  for (const busy of busyMicros) {
    const results = names.map(() => [])
    for (let round = 0; round < rounds; round++) {
      for (const [i, end] of ends.entries()) {
        results[i].push(await end.measure(busy, seconds))
      }
    }
    console.log(`\n${busy} us of busy time at each end`.padEnd(36), "p50, us   ratio   CPU of the client, us")
    for (const [i, name] of names.entries()) {
      const of = (f, digits) => median(results[i].map(f)).toFixed(digits)
      const ratio = of(({ p50 }, round) => p50 / results[0][round].p50, 2)
      console.log(name.padEnd(35), of(({ p50 }) => p50, 0).padStart(6), ratio.padStart(8), of(({ cpu }) => cpu, 0).padStart(8))
    }
  }
  ends.forEach(({ end }) => end())
}

const [, , first, second, port] = process.argv
if (first === "server" || first === "client") {
  const transport = transports[second]
  context.ioThreads = transport.ioThreads ?? 1
  await (first === "server" ? runServer : runClient)(transport, Number(port))
} else {
  await compare(Number(first ?? 7), Number(second ?? 0.3))
}
