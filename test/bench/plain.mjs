/**
 * What this project is compared with: an echo in the shortest loop that the binding allows.
 *
 * JavaScript, so that it starts and lives without a compiler in its process, as `bstar` does. Usage: plain.mjs ENDPOINT
 */
import { Router } from "zeromq"

const router = new Router()
await router.bind(process.argv[2])
console.log(`echo at ${process.argv[2]}`)

for await (const message of router) {
  await router.send(message)
}
