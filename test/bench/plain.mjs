/**
 * The plain side of the comparison: an echo in the shortest loop that the binding allows.
 *
 * It is JavaScript, so that its process contains no compiler, like that of `bstar`. Usage: plain.mjs ENDPOINT
 */
import { Router } from "zeromq"

const router = new Router()
await router.bind(process.argv[2])
console.log(`echo at ${process.argv[2]}`)

for await (const message of router) {
  await router.send(message)
}
