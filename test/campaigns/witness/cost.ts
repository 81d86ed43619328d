/**
 * What a witness costs: two pairs on this host, one with a witness and one without, measured in turn.
 */
import { Effect } from "effect"
import { median } from "../../bench/figures.ts"
import { startLoad } from "../../bench/loads.ts"
import * as proc from "../../bench/proc.ts"
import { thisHost } from "../../support/engine.ts"
import type { Pair } from "../chaos/nodes.ts"
import { makePair } from "../chaos/nodes.ts"
import { startWitness } from "./engines.ts"
import type { Measurement } from "./measurements.ts"
import { ranks } from "./report.ts"
import { initTable, isWholeAgain } from "./rig.ts"

const heartbeatMillis = 1000

const idleMillis = 30_000

const shape = { clients: 8, window: 8, seconds: 3, requests: 200_000 }

/** The CPU time of both servers while nothing is asked, as a share of one core each. */
const idle = (pairs: { readonly [W in "plain" | "witnessed"]: Pair }) =>
  Effect.gen(function*() {
    const cpu = (pair: Pair) => proc.cpu(pair.nodes.primary.pid()).all + proc.cpu(pair.nodes.backup.pid()).all
    const before = { plain: cpu(pairs.plain), witnessed: cpu(pairs.witnessed) }
    yield* Effect.sleep(idleMillis)
    const percent = (what: "plain" | "witnessed") => (cpu(pairs[what]) - before[what]) / 2 / idleMillis * 100
    return { plain: percent("plain"), witnessed: percent("witnessed") }
  })

export const cost: Measurement = (options, progress) =>
  Effect.gen(function*() {
    if (options.engine === "none") {
      return yield* Effect.dieMessage("the cost of a witness needs a witness")
    }
    const engine = yield* startWitness(options.engine, thisHost)
    yield* initTable(options, engine)
    const start = (witness: ReadonlyArray<string>) =>
      makePair({
        policy: (witness.length === 0 ? "hardened" : "witnessed") as "hardened",
        heartbeat: `${heartbeatMillis} millis`,
        program: options.program,
        network: undefined,
        behind: { primary: witness, backup: witness },
        env: engine.env
      })
    const pairs = { plain: yield* start([]), witnessed: yield* start(["--witness", engine.url]) }
    yield* Effect.forEach(Object.values(pairs), (pair) => isWholeAgain(pair, { ...options, heartbeatMillis }))
    const load = yield* Effect.acquireRelease(Effect.sync(startLoad), ({ end }) => Effect.sync(end))
    const results = {
      plain: [] as Array<{ rate: number; p50: number }>,
      witnessed: [] as Array<{ rate: number; p50: number }>
    }
    const idles: Array<{ readonly plain: number; readonly witnessed: number }> = []
    for (let round = 1; round <= options.rounds; round++) {
      for (const what of round % 2 === 0 ? ["plain", "witnessed"] as const : ["witnessed", "plain"] as const) {
        const { primary } = pairs[what].nodes
        const endpoint = pairs[what].at.primary.frontend
        const { p50, replies, seconds } = yield* Effect.promise(() =>
          load.echo({ ...shape, endpoint, pid: primary.pid() })
        )
        results[what].push({ rate: replies / seconds, p50 })
      }
      if (round % 4 === 1) {
        idles.push(yield* idle(pairs))
      }
      yield* progress(`round ${round} of ${options.rounds}`)
    }
    const line = (what: string, figure: (of: "plain" | "witnessed") => ReadonlyArray<number>) => {
      const [plain, witnessed] = [figure("plain"), figure("witnessed")]
      const ratio = median(witnessed.map((value, i) => value / plain[i]!))
      return [
        { what, values: witnessed, ranks: ranks(witnessed), remark: `${ratio.toFixed(3)} of that without (median)` },
        { what: "  without", values: plain, ranks: ranks(plain), remark: "" }
      ]
    }
    return [
      ...line("requests a second, with a witness", (of) => results[of].map(({ rate }) => rate)),
      ...line("p50 in microseconds, with a witness", (of) => results[of].map(({ p50 }) => p50)),
      ...line("idle CPU of a server in percent of a core, with a witness", (of) => idles.map((round) => round[of]))
    ]
  }).pipe(Effect.scoped)
