/**
 * All abuse of a status server at once, against a real pair: the delay of heartbeats, and the duration of a health
 * check. `npx tsx test/bench/httpAbuse.ts [SECONDS]` after `npm run build`.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { request } from "node:http"
import * as net from "node:net"
import { performance } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Subscriber } from "zeromq"
import { freePorts } from "../support/ports.ts"

const heartbeatMillis = 250
const pipelined = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1500)
const body = Buffer.alloc(10_000_000, "x")

const connect = async (port: number, text: string | Buffer, isReading: boolean): Promise<net.Socket> => {
  const socket = net.connect(port, "127.0.0.1")
  socket.on("error", () => {})
  await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {})
  if (isReading) {
    socket.resume()
  }
  socket.write(text)
  return socket
}

const abuse = async (port: number) => {
  for (let i = 0; i < 200; i++) {
    await connect(port, "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n", i % 2 === 0)
  }
  for (let i = 0; i < 1000; i++) {
    await connect(port, "", true)
  }
  const post = `POST /pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n`
  const head = Buffer.from(post)
  process.send!("ready")
  // 100 KiB of pipelined requests a second, and a body of 10 MB.
  for (;;) {
    const reading = await connect(port, pipelined, true)
    const silent = await connect(port, pipelined, false)
    const large = await connect(port, Buffer.concat([head, body]), true)
    await sleep(1_000)
    for (const socket of [reading, silent, large]) {
      socket.destroy()
    }
  }
}

const active = (port: number) =>
  new Promise<{ readonly code: number; readonly millis: number }>((resolve) => {
    const start = performance.now()
    const done = (code: number) => resolve({ code, millis: performance.now() - start })
    request({ port, host: "127.0.0.1", path: "/active", agent: false }, (response) => {
      response.resume().once("end", () => done(response.statusCode!))
    }).on("error", () => done(0)).end()
  })

const measure = async (seconds: number) => {
  const ports = await freePorts(5)
  const [frontends, states, http] = [ports.slice(0, 2), ports.slice(2, 4), ports[4]!] as const
  const start = (role: "-p" | "-b", own: 0 | 1): ChildProcess =>
    spawn(process.execPath, [
      "dist/bstar.js",
      role,
      "--policy=hardened",
      `--heartbeat=${heartbeatMillis} millis`,
      `--frontend=tcp://127.0.0.1:${frontends[own]}`,
      `--state=tcp://127.0.0.1:${states[own]}`,
      `--peer=tcp://127.0.0.1:${states[1 - own]}`,
      ...(own === 0 ? [`--http=127.0.0.1:${http}`] : [])
    ], { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, BSTAR_HTTP_TOKEN: "sesame" } })
  const children = [start("-p", 0), start("-b", 1)]
  const socket = new Subscriber()
  socket.subscribe("")
  socket.connect(`tcp://127.0.0.1:${states[0]}`)
  let last = performance.now()
  let longestGap = 0
  void (async () => {
    for await (const _ of socket) {
      const now = performance.now()
      longestGap = Math.max(longestGap, now - last)
      last = now
    }
  })()
  while ((await active(http)).code !== 200) {
    await sleep(100)
  }
  const abuser = fork(fileURLToPath(import.meta.url), [], {
    execArgv: process.execArgv,
    env: { ...process.env, PORT: String(http) }
  })
  children.push(abuser)
  last = performance.now()
  longestGap = 0
  let longestCheck = 0
  let failedCount = 0
  const until = performance.now() + seconds * 1_000
  while (performance.now() < until) {
    const { code, millis } = await active(http)
    longestCheck = Math.max(longestCheck, millis)
    failedCount += code === 200 ? 0 : 1
    await sleep(50)
  }
  console.log(`latest heartbeat, ms: ${(longestGap - heartbeatMillis).toFixed(0)}`)
  console.log(`longest /active, ms: ${longestCheck.toFixed(0)}; not 200: ${failedCount}`)
  socket.close()
  children.forEach((child) => child.kill("SIGKILL"))
}

await (process.send === undefined ? measure(Number(process.argv[2] ?? 20)) : abuse(Number(process.env["PORT"])))
