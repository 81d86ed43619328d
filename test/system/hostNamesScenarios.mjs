/**
 * Runs a scenario with host names and is their name server. Prints the results as JSON. To be run in namespaces for mounts and
 * networks. Arguments: the command line program and the scenario.
 */
import { spawn } from "node:child_process"
import * as dgram from "node:dgram"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import * as zmq from "zeromq"

const [, , program, scenario] = process.argv
const start = performance.now()
const since = (from) => Math.round(performance.now() - from)

/** The addresses by name that the name server answers, unless it is silent. */
const records = new Map()
let isSilent = false

const addressBytes = (address) =>
  address.includes(":")
    ? Buffer.concat([Buffer.alloc(15), Buffer.from([Number(address.slice(2))])])
    : Buffer.from(address.split(".").map(Number))

const nameServer = dgram.createSocket("udp4")
nameServer.on("message", (query, { address, port }) => {
  if (isSilent) {
    return
  }
  const labels = []
  let at = 12
  while (query[at] !== 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query[at]))
    at += query[at] + 1
  }
  const type = query.readUInt16BE(at + 1)
  const known = records.get(labels.join(".").toLowerCase())
  const answers = (known ?? []).filter((address) => (type === 28) === address.includes(":") && [1, 28].includes(type))
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt32BE(0, 8)
  const body = answers.map((answer) => {
    const data = addressBytes(answer)
    const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length])
    return Buffer.concat([record, data])
  })
  nameServer.send(Buffer.concat([header, query.subarray(12, at + 5), ...body]), port, address)
})
nameServer.bind(53, "127.0.0.1")
await once(nameServer, "listening")

const children = new Set()
const run = (...args) => {
  const began = performance.now()
  const child = spawn(process.execPath, [program, ...args, "--heartbeat", "400 millis"])
  children.add(child)
  const lines = []
  let firstMillis
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      firstMillis ??= since(began)
      lines.push(...text.split("\n").filter((line) => line !== ""))
    })
  }
  const has = async (part, from = 0) => {
    while (!lines.slice(from).some((line) => line.includes(part))) {
      if (since(start) > 120_000) {
        throw new Error(`no "${part}" in ${JSON.stringify(lines)}`)
      }
      await sleep(5)
    }
  }
  const stop = async (signal) => {
    const from = performance.now()
    child.kill(signal)
    const [code] = await once(child, "exit")
    return { code, millis: since(from) }
  }
  return { lines, has, stop, firstMillis: () => firstMillis }
}

/** Sends requests to a server until it answers. Returns how long that took. */
const requestAt = async (endpoint) => {
  const from = performance.now()
  const client = new zmq.Dealer({ linger: 0, sendTimeout: 0, receiveTimeout: 20, reconnectInterval: 10, ipv6: true })
  client.connect(endpoint)
  for (;;) {
    await client.send(["", "x"]).catch(() => {})
    const reply = await client.receive().catch(() => undefined)
    if (reply !== undefined) {
      client.close()
      return since(from)
    }
    if (since(from) > 60_000) {
      throw new Error("no answer")
    }
  }
}

const primary = (...args) => run("-p", ...args)
const backup = (...args) => run("-b", ...args)
const ready = "ready as passive"

const scenarios = {
  async dead() {
    isSilent = true
    const http = ["--http", "127.0.0.1:5012", "--peer-http", "http://primary.example:5011"]
    const server = backup("--peer", "tcp://primary.example:5003", ...http)
    await server.has("cannot look up the host of tcp://primary.example:5003")
    for (let i = 0; i < 3; i++) {
      await fetch("http://127.0.0.1:5012/pair")
    }
    return { firstMillis: server.firstMillis(), stop: await server.stop("SIGTERM"), lines: server.lines }
  },
  async silentLater() {
    records.set("primary.example", ["127.0.0.2"]).set("backup.example", ["127.0.0.3"])
    const first = primary("--peer", "tcp://backup.example:5004")
    const second = backup("--peer", "tcp://primary.example:5003")
    await second.has("waiting for primary")
    const answer = requestAt("tcp://127.0.0.1:5001")
    await second.has(ready)
    await answer
    isSilent = true
    await first.stop("SIGKILL")
    const failoverMillis = await requestAt("tcp://127.0.0.1:5002")
    return { failoverMillis, stop: await second.stop("SIGTERM") }
  },
  async ipv6Only() {
    records.set("primary.example", ["::1"]).set("backup.example", ["::1"])
    primary("--peer", "tcp://backup.example:5004")
    const second = backup("--peer", "tcp://primary.example:5003")
    const answerMillis = await requestAt("tcp://[::1]:5001")
    await second.has(ready)
    return { answerMillis }
  },
  async moved() {
    records.set("primary.example", ["127.0.0.2"])
    const second = backup("--peer", "tcp://primary.example:5003")
    const first = primary("--state", "tcp://127.0.0.2:5003")
    await requestAt("tcp://127.0.0.1:5001")
    await second.has(ready)
    await first.stop("SIGKILL")
    await requestAt("tcp://127.0.0.1:5002")
    records.set("primary.example", ["127.0.0.9"])
    const again = primary("--state", "tcp://127.0.0.9:5003")
    await again.has(ready)
    const from = second.lines.length
    await again.stop("SIGKILL")
    const third = primary("--state", "tcp://127.0.0.9:5003")
    await third.has(ready)
    return { lines: second.lines.slice(from) }
  },
  async knownLater() {
    const second = backup("--peer", "tcp://primary.example:5003")
    await second.has("cannot look up the host of tcp://primary.example:5003")
    records.set("primary.example", ["127.0.0.2"])
    await second.has("the host of tcp://primary.example:5003 is known now")
    primary()
    const answerMillis = await requestAt("tcp://127.0.0.1:5001")
    await second.has(ready)
    return { answerMillis, lines: second.lines }
  },
  /** Each member connects to `localhost`, at one of whose addresses no process listens. */
  async localhost() {
    const second = backup("--state", "tcp://[::1]:5004")
    const first = primary("--state", "tcp://127.0.0.1:5003")
    const answerMillis = await requestAt("tcp://127.0.0.1:5001")
    await second.has(ready)
    await first.stop("SIGKILL")
    const failoverMillis = await requestAt("tcp://127.0.0.1:5002")
    return { answerMillis, failoverMillis }
  },
  async keys() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-keys-"))
    await once(spawn(process.execPath, [program, "keygen", folder], { stdio: "ignore" }), "exit")
    const keys = ["--keys", folder, "--clients", "anyone"]
    const other = net.createServer((connection) => connection.end()).listen(5003, "127.0.0.1")
    primary("--state", "tcp://[::1]:5003", ...keys)
    const second = backup(...keys)
    await second.has(ready)
    other.close()
    fs.rmSync(folder, { recursive: true })
    return {}
  },
  async defaults() {
    const first = primary()
    const second = backup()
    const answerMillis = await requestAt("tcp://127.0.0.1:5001")
    await second.has(ready)
    await first.stop("SIGKILL")
    return { answerMillis, failoverMillis: await requestAt("tcp://127.0.0.1:5002") }
  }
}

try {
  console.log(JSON.stringify(await scenarios[scenario]()))
} finally {
  children.forEach((child) => child.kill("SIGKILL"))
}
process.exit()
