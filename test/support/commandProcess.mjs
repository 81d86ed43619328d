// A command for `bstar run`. It records its start, every 5 ms that it is alive, and SIGTERM.
import { spawn } from "node:child_process"
import * as fs from "node:fs"

const [, self, log, ...traits] = process.argv
const group = process.env.CHILD_GROUP ?? String(process.pid)
const record = (what) => fs.appendFileSync(log, `${what} ${group} ${process.hrtime.bigint()}\n`)

process.on("SIGTERM", () => {
  record("terminated")
  if (!traits.includes("stubborn")) {
    process.exit(0)
  }
})
record("start")
setInterval(() => record("alive"), 5)
if (traits.includes("parent")) {
  spawn(process.execPath, [self, log, "stubborn"], { env: { ...process.env, CHILD_GROUP: group }, stdio: "inherit" })
}
const { BSTAR_NODE_CAUSE, BSTAR_NODE_PREVIOUS, BSTAR_NODE_REASON, BSTAR_NODE_ROLE, BSTAR_NODE_STATE } = process.env
process.stdout.write(
  `child of ${process.ppid}: ${BSTAR_NODE_ROLE} ${BSTAR_NODE_PREVIOUS} -> ${BSTAR_NODE_STATE} ` +
    `${BSTAR_NODE_CAUSE} (${BSTAR_NODE_REASON})\n`
)
