/** The servers of a simulated run: how their processes start, stop, are killed and paused. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as BinaryStar from "../../member/BinaryStar.ts"
import type { Handler } from "../../member/Handler.ts"
import { Frontend } from "../../ports/Frontend.ts"
import { PeerLink } from "../../ports/PeerLink.ts"
import * as Frames from "../../wire/Frames.ts"
import type { ProcessRun } from "./Network.ts"
import { chance, fork, heartbeatMillis, type Run, type Server, upTo } from "./run.ts"

/** The prefix of requests that must not be executed twice. */
export const once = "once "

/** Echoes a request, sometimes after a while. */
const makeHandler = (run: Run): Handler => ({ body }) => {
  const text = Frames.toString(body)
  if (text.startsWith(once) && run.regime === "bounded" && run.executed.has(text)) {
    run.history.violate("ExecutedTwice", text)
  }
  run.executed.add(text)
  return chance(run, 0.2) ? Effect.as(Effect.sleep(upTo(run, 0.5)), body) : body
}

/** Starts the process of a server that has none. */
export const start = (run: Run, server: Server): void => {
  if (server.running !== undefined) {
    return
  }
  const { role } = server
  const { history } = run
  const process = run.time.makeProcess()
  const processRun: ProcessRun = {
    role,
    isCurrent: () => server.running?.run === processRun,
    isPaused: process.isPaused
  }
  const log = (line: string) => processRun.isCurrent() ? history.note(`${role}: ${line}`) : undefined
  const scope = Effect.runSync(Scope.make())
  const close = () => fork(run, Scope.close(scope, Exit.void), process, log)
  server.running = {
    run: processRun,
    process,
    stop: () => {
      history.note(`stop ${role}`)
      close().addObserver(() => end(run, server, processRun))
    },
    kill: () => {
      history.note(`kill ${role}`)
      end(run, server, processRun)
      // Its fibers may still run, but nothing that they send is delivered.
      process.resume()
      close()
    }
  }
  fork(run, runMember(run, processRun, scope, log), process, log).addObserver((exit) => {
    if (processRun.isCurrent() && !Exit.isInterrupted(exit)) {
      history.violate("Ended", `${role}: ${Exit.isFailure(exit) ? messagesOf(exit.cause) : "ended by itself"}`)
      end(run, server, processRun)
    }
  })
}

const runMember = (run: Run, processRun: ProcessRun, scope: Scope.Scope, log: (line: string) => void) =>
  Effect.gen(function*() {
    const { history, network, outside, policy } = run
    const { role } = processRun
    const { frontend, link } = yield* network.join(processRun)
    const member = yield* BinaryStar.make({ role, policy, heartbeat: heartbeatMillis }, makeHandler(run)).pipe(
      Effect.provide(
        Context.make(Frontend, frontend).pipe(Context.add(PeerLink, link), Context.add(Scope.Scope, scope))
      )
    )
    const watch = Stream.runForEach(member.changes, (state) =>
      Effect.sync(() => {
        if (processRun.isCurrent()) {
          history.onState(role, state)
        }
      }))
    fork(run, Effect.ignore(watch), outside, log)
    yield* member.join
  })

/** Without stack traces, so that a run is the same on every machine. */
const messagesOf = (cause: Cause.Cause<unknown>): string =>
  Cause.prettyErrors(cause).map(({ message }) => message).join("; ")

/** A process has ended. */
const end = (run: Run, server: Server, processRun: ProcessRun): void => {
  if (processRun.isCurrent()) {
    server.running = undefined
    run.network.leave(processRun)
    run.history.onState(server.role, "down")
    if (run.isWhole) {
      start(run, server)
    }
  }
}
