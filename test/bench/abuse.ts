/**
 * A process that abuses a status server: one round for each message with a port. The connections of a round stay open until the
 * next round.
 */
import * as net from "node:net"

const body = Buffer.alloc(10_000_000, "x")

let held: Array<net.Socket> = []

/** Errors are ignored. */
const happens = (socket: net.Socket, event: string) => new Promise((resolve) => socket.once(event, resolve))

const connect = async (port: number, text: string | Buffer = ""): Promise<net.Socket> => {
  const socket = net.connect(port, "127.0.0.1")
  socket.on("error", () => {})
  await Promise.race([happens(socket, "connect"), happens(socket, "close")])
  socket.resume().write(text)
  return socket
}

const closed = async (socket: net.Socket) => socket.closed || happens(socket, "close")

const abuse = async (port: number) => {
  held.forEach((socket) => socket.destroy())
  held = []
  // A port scan.
  for (let i = 0; i < 300; i++) {
    ;(await connect(port)).resetAndDestroy()
  }
  for (let i = 0; i < 300; i++) {
    await closed(
      await connect(port, i % 2 === 0 ? "BLAH\r\n\r\n" : `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)
    )
  }
  for (let i = 0; i < 5; i++) {
    const head =
      `POST /pause HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`
    const socket = await connect(port, head)
    socket.write(body)
    await closed(socket)
  }
  for (let i = 0; i < 1000; i++) {
    held.push(await connect(port, i % 2 === 0 ? "" : "GET / HTTP/1.1\r\n"))
  }
}

process.on("message", async (port: number) => {
  await abuse(port)
  process.send!("done")
})
