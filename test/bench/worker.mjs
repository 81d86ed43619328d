/**
 * A worker that echoes requests, written in the usual way. Usage: worker.mjs BACKEND ...
 */
import { Reply } from "zeromq"

const reply = new Reply()
for (const backend of process.argv.slice(2)) {
  reply.connect(backend)
}
console.log("a worker")

for await (const message of reply) {
  await reply.send(message)
}
