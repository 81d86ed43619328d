/**
 * The plain side of `proxy`: from clients to workers and back in the shortest loops that the binding allows.
 *
 * It is JavaScript for the same reason as plain.mjs. Usage: plainProxy.mjs FRONTEND BACKEND
 */
import { Dealer, Router } from "zeromq"

const [frontend, backend] = process.argv.slice(2)
const router = new Router()
const dealer = new Dealer()
await router.bind(frontend)
await dealer.bind(backend)
console.log(`from ${frontend} to ${backend}`)

const forward = async (from, to) => {
  for await (const message of from) {
    await to.send(message)
  }
}
await Promise.all([forward(router, dealer), forward(dealer, router)])
