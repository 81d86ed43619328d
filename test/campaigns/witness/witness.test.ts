import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as path from "node:path"
import { isAvailable } from "../../support/network.ts"
import { root } from "../../support/processes.ts"
import { missing } from "./engines.ts"

const problem = isAvailable() ? missing.etcd : "this system has no network namespaces, TUN device or Python"

/** The results of a short campaign, which is a program of its own: it enters a network namespace. */
const run = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly rounds: ReadonlyArray<{ readonly findings: ReadonlyArray<{ readonly what: string }> }> }>(
    (resolve, reject) =>
      execFile(
        process.execPath,
        ["--import", "tsx", path.join(root, "test/campaigns/witness/run.ts"), ...args, "--json"],
        { cwd: root, maxBuffer: 1e9, timeout: 230_000 },
        (error, stdout, stderr) => {
          try {
            resolve(JSON.parse(stdout))
          } catch {
            reject(new Error(`${error?.message}\n${stdout}\n${stderr}`))
          }
        }
      )
  )

/** The findings of a kind. How long nobody answers depends on the load of this machine. The campaign judges it. */
const found = ({ rounds }: Awaited<ReturnType<typeof run>>, whats: ReadonlyArray<string>) =>
  rounds.flatMap(({ findings }) => findings).filter(({ what }) => whats.includes(what))

describe.skipIf(problem !== undefined)(
  `chaos with a witness${problem === undefined ? "" : ` (skipped: ${problem})`}`,
  () => {
    it("two answering: a pair without a witness is found out when its link is cut", async () => {
      const results = await run(
        ..."--witness none --kinds peer --most 1 --rounds 4 --seed 4 --heartbeat".split(" "),
        "300 millis"
      )
      assert.isNotEmpty(found(results, ["two answering"]))
      assert.deepStrictEqual(found(results, ["lost request", "unexpected exit", "not whole again"]), [])
    })

    it("two answering: never with a witness, whatever is cut, stopped and killed, and no request is lost", async () => {
      const results = await run(..."--rounds 8 --seed 3 --heartbeat".split(" "), "300 millis")
      assert.deepStrictEqual(
        found(results, ["two answering", "lost request", "unexpected exit", "not whole again"]),
        []
      )
    })

    it("two commands: a pair without a witness is found out when its link is cut", async () => {
      const results = await run(
        ..."--command --witness none --kinds peer --most 1 --rounds 3 --seed 4 --heartbeat".split(" "),
        "300 millis"
      )
      assert.isNotEmpty(found(results, ["two commands"]))
      assert.deepStrictEqual(found(results, ["no command", "unexpected exit", "not whole again"]), [])
    })

    it("two commands: never with a witness, whatever is cut, stopped and killed, and one runs again", async () => {
      const results = await run(..."--command --rounds 8 --seed 5 --heartbeat".split(" "), "300 millis")
      assert.deepStrictEqual(
        found(results, ["two commands", "no command", "unexpected exit", "not whole again"]),
        []
      )
    })
  }
)
