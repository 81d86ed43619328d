/**
 * A server of the least pair: an echo that fails over by the same evidence as this project's, in the shortest code over the binding.
 *
 * The passive server takes over when the connection to the state port of its peer is lost and the port refuses another one, or when the
 * peer reports that it stops. Requests wait until then. Usage: leastPair.mjs active|passive FRONTEND STATE PEER
 */
import * as net from "node:net"
import { Router } from "zeromq"

const [, , role, frontend, state, peer] = process.argv

let isActive = role === "active"
let isStopping = false
let waiting = []
const connections = new Set()

const router = new Router({ linger: 0 })

const connect = (endpoint) => {
  const { hostname, port } = new URL(endpoint)
  return net.connect(Number(port), hostname).on("error", () => {})
}

const takeOver = () => {
  isActive = true
  waiting.forEach((message) => router.send(message))
  waiting = []
}

/** A process that dies closes its connections before its ports. */
const probe = () => {
  const socket = connect(peer).once("error", takeOver).once("connect", () => {
    socket.destroy()
    setTimeout(probe, 1)
  })
}

const watch = () => {
  let hasConnected = false
  connect(peer)
    .once("connect", () => {
      hasConnected = true
    })
    .once("data", takeOver)
    .once("close", () => {
      if (hasConnected && !isActive) {
        probe()
      }
      setTimeout(watch, 100)
    })
}

await router.bind(frontend)
const { hostname, port } = new URL(state)
net.createServer((connection) => connections.add(connection.on("error", () => {}).resume())).listen(Number(port), hostname)
watch()

process.once("SIGTERM", () => {
  isActive = false
  isStopping = true
  connections.forEach((connection) => connection.write("stops"))
  // The requests that arrive meanwhile are rejected.
  setTimeout(() => process.exit(0), 50)
})

console.log(`${role} at ${frontend}`)
for await (const message of router) {
  if (isActive) {
    router.send(message)
  } else if (isStopping) {
    router.send([message[0], "rejected"])
  } else {
    waiting.push(message)
  }
}
