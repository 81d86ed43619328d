import { Effect } from "effect"
import { rehearse } from "../src/member/WarmUp.ts"
import { layer } from "../src/internal/Scheduler.ts"
const one = Effect.gen(function*() { const c = process.cpuUsage(); const t = performance.now(); yield* rehearse; const d = process.cpuUsage(c); console.log("wall", (performance.now() - t).toFixed(1), "cpu", (d.user + d.system) / 1000) })
Effect.runPromise(Effect.repeatN(one, 9).pipe(Effect.provide(layer)))
