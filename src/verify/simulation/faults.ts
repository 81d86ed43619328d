/** The faults of a simulated run: one of them happens to a server, to the network or to the wall clock. */
import type { Role } from "../../protocol/StateMachine.ts"
import { anyOf, chance, roles, type Run, type Server, upTo } from "./run.ts"
import * as Servers from "./servers.ts"

const restart = (run: Run, server: Server): void => {
  run.time.after(upTo(run, chance(run, 0.3) ? 0.2 : 5), () => Servers.start(run, server))
}

const cut = (run: Run): void => {
  const { conditions, history, time } = run
  const directions = anyOf<ReadonlyArray<Role>>(run, [["primary"], ["backup"], roles])
  history.note(`cut from ${directions.join(" and ")}`)
  directions.forEach((role) => conditions.cut.add(role))
  time.after(upTo(run, 6), () => directions.forEach((role) => conditions.cut.delete(role)))
}

const setWallClock = (run: Run): void => {
  run.wall.offset += anyOf(run, [-3_600_000, -500, 500, 3_600_000])
  run.history.note("the wall clock is set")
}

const pause = (run: Run, { role }: Server, { process, run: processRun }: NonNullable<Server["running"]>): void => {
  process.pause()
  run.history.onPause(role, true)
  run.time.after(upTo(run, chance(run, 0.5) ? 2 : 6), () => {
    process.resume()
    if (processRun.isCurrent()) {
      run.history.onPause(role, false)
    }
  })
}

const processFaults: ReadonlyArray<typeof pause> = [
  (run, server, { kill }) => {
    kill()
    restart(run, server)
  },
  (run, server, { stop }) => {
    stop()
    run.time.after(upTo(run, 1), () => restart(run, server))
  },
  pause
]

/** Makes one fault happen now. */
export const inject = (run: Run): void => {
  run.faults++
  const server = anyOf(run, run.servers)
  const { running } = server
  if (run.regime === "wild" && chance(run, 0.5)) {
    cut(run)
  } else if (running === undefined || running.process.isPaused()) {
    setWallClock(run)
  } else {
    anyOf(run, processFaults)(run, server, running)
  }
}
