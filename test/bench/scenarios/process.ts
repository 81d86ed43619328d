/**
 * A process that does nothing yet.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { row } from "../figures.ts"
import * as proc from "../proc.ts"
import { freeEndpoints, startMember, startPair, startPlain, startServer, untilOpen } from "../servers.ts"
import type { Scenario } from "./turns.ts"
import { inTurns } from "./turns.ts"

export const startup: Scenario = async ({ rounds }) => {
  const results = await inTurns(rounds, async (name) => {
    const [frontend, state, peer] = await freeEndpoints()
    const [server, openAt] = await Promise.all([
      name === "plain" ? startPlain(frontend) : startMember("primary", { frontend, state, peer }),
      untilOpen(frontend)
    ])
    await server.stop()
    return { line: server.firstLineAt - server.startedAt, open: openAt - server.startedAt }
  })
  return [
    row("from start to first line, ms", results, ({ line }) => line),
    row("from start to open port, ms", results, ({ open }) => open)
  ]
}

export const idle: Scenario = async () => {
  const seconds = 5
  const plain = await startServer("plain")
  const { backup, primary } = await startPair()
  const all = [primary, backup, plain]
  await sleep(3000)
  const before = all.map(({ pid }) => proc.cpu(pid).all)
  await sleep(seconds * 1000)
  const [ofPrimary, ofBackup, ofPlain] = all.map(({ pid }, i) => (proc.cpu(pid).all - before[i]!) / seconds / 10)
  const compare = (what: string, share: number) =>
    row(what, { project: [share], plain: [ofPlain!] }, (percent) => percent)
  return [
    compare("CPU of a primary, % of a core", ofPrimary!),
    compare("CPU of its backup, % of a core", ofBackup!)
  ]
}
