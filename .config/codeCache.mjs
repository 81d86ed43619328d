// Makes the code cache of the bundled program: what V8 has compiled when a server has run for a moment. See src/compiled.ts.
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { cacheFile, compile, run } from "../dist/compiled.js"

const runMillis = 1500

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-code-"))
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }))
const endpoint = (name) => `ipc://${folder}/${name}`
process.argv.splice(
  1,
  Infinity,
  "bstar",
  "--primary",
  ...["--frontend", endpoint("frontend"), "--state", endpoint("state"), "--peer", endpoint("peer")]
)
const script = compile()
run(script)
setTimeout(() => {
  fs.writeFileSync(cacheFile, script.createCachedData())
  process.exit()
}, runMillis)
