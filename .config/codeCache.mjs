// Makes the code cache of the bundled program: what V8 has compiled when a server has run for a moment and has stopped. See src/compiled.ts.
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import { cacheFile, compile, run } from "../dist/compiled.js"

const runMillis = 1500

const servers = Array.from({ length: 3 }, () => net.createServer().listen(0, "127.0.0.1"))
await Promise.all(servers.map((server) => once(server, "listening")))
const [frontend, state, peer] = servers.map((server) => `tcp://127.0.0.1:${server.address().port}`)
await Promise.all(servers.map((server) => once(server.close(), "close")))

process.argv.splice(
  1,
  Infinity,
  "bstar",
  "--primary",
  ...["--frontend", frontend, "--state", state, "--peer", peer]
)
const script = compile()
run(script)
setTimeout(() => process.kill(process.pid, "SIGTERM"), runMillis)
process.on("exit", () => fs.writeFileSync(cacheFile, script.createCachedData()))
