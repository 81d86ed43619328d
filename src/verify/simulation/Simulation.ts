/**
 * A pair and its clients as they are, in one thread, in virtual time, over a network in memory, with faults from a seed.
 * The same seed gives the same run, to the last message.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { PCGRandom } from "effect/Utils"
import * as BinaryStarClient from "../../client/BinaryStarClient.ts"
import * as BinaryStar from "../../member/BinaryStar.ts"
import type { Handler } from "../../member/Handler.ts"
import { ClientLink } from "../../ports/ClientLink.ts"
import { Frontend } from "../../ports/Frontend.ts"
import { PeerLink } from "../../ports/PeerLink.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { PolicyName } from "../../protocol/Policies.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Frames from "../../wire/Frames.ts"
import * as History from "./History.ts"
import * as Network from "./Network.ts"
import * as VirtualTime from "./VirtualTime.ts"

/**
 * What may happen in a run.
 *
 * - `bounded`: processes are killed, stopped, paused and restarted at will; words take half a heartbeat at most, in order.
 * - `wild`: besides, the link is cut, one way or both, and messages are lost, doubled, reordered, and delayed by heartbeats.
 *
 * @since 0.1.0
 * @category models
 */
export type Regime = "bounded" | "wild"

/**
 * What a run is made from. It is named by its seed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly seed: number
  readonly regime: Regime
  readonly policy: PolicyName
  /** How many heartbeats the faults go on. Defaults to `10`. */
  readonly heartbeats?: number | undefined
  /** Whether to keep the history as lines. Defaults to `false`. */
  readonly keepLines?: boolean | undefined
}

/**
 * What came out of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly seed: number
  readonly regime: Regime
  readonly violations: ReadonlyArray<History.Violation>
  readonly answers: number
  readonly takeOvers: number
  readonly faults: number
  /** How often two answered while that was to be expected, and for how many milliseconds after the network was whole. */
  readonly dual: { readonly count: number; readonly afterWholeMillis: number }
  readonly fingerprint: number
  readonly lines: ReadonlyArray<string>
}

const heartbeatMillis = 100
const peerTimeoutMillis = 2 * heartbeatMillis

/** Who may take over sees it with the next vote; that and its answer are under way for up to half a heartbeat each. */
const graceMillis = peerTimeoutMillis + heartbeatMillis

const roles: ReadonlyArray<Role> = ["primary", "backup"]

/** What requests begin with that must not be sent twice. */
const once = "once "

/** One server of the pair: its process, while it has one. */
interface Server {
  readonly role: Role
  running: {
    readonly life: Network.Life
    readonly process: VirtualTime.Process
    readonly stop: () => void
    readonly kill: () => void
  } | undefined
}

/**
 * Makes one run.
 *
 * @since 0.1.0
 * @category constructors
 */
export const run = async (options: Options): Promise<Report> => {
  const random = new PCGRandom(options.seed)
  const time = VirtualTime.make()
  const history = History.make(time.now, { keepLines: options.keepLines ?? false })
  const weather: Network.Weather = {
    delayMillis: heartbeatMillis / 2,
    isWild: options.regime === "wild",
    cut: new Set()
  }
  const network = Network.make(time, random, weather, history.answered)
  const outside = time.makeProcess()
  let wallOffset = 0
  // From when on nothing bad happens any more, and who has ended by then is started at once.
  let isWhole = false
  const clock = time.clock(() => wallOffset)
  const upTo = (heartbeats: number) => random.number() * heartbeats * heartbeatMillis
  const chance = (probability: number) => random.number() < probability
  const anyOf = <A>(all: ReadonlyArray<A>): A => all[random.integer(all.length)]!

  const fork = <A, E>(effect: Effect.Effect<A, E>, process: VirtualTime.Process, say: (line: string) => void) =>
    Effect.runFork(
      effect.pipe(
        Effect.withClock(clock),
        Effect.provide(Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => say(String(message)))))
      ),
      { scheduler: process.scheduler }
    )

  const executed = new Set<string>()
  const handler: Handler = ({ body }) => {
    const text = Frames.toString(body)
    if (text.startsWith(once) && options.regime === "bounded" && executed.has(text)) {
      history.broken("SentTwice", text)
    }
    executed.add(text)
    return chance(0.2) ? Effect.as(Effect.sleep(upTo(0.5)), body) : body
  }

  const servers = roles.map((role): Server => ({ role, running: undefined }))

  const start = (server: Server) => {
    if (server.running !== undefined) {
      return
    }
    const { role } = server
    const process = time.makeProcess()
    const life: Network.Life = {
      role,
      isThere: () => server.running?.life === life,
      isPaused: process.isPaused
    }
    const say = (line: string) => life.isThere() ? history.note(`${role}: ${line}`) : undefined
    const scope = Effect.runSync(Scope.make())
    const program = Effect.gen(function*() {
      const { frontend, link } = yield* network.join(life)
      const member = yield* BinaryStar.make({ role, policy: options.policy, heartbeat: heartbeatMillis }, handler).pipe(
        Effect.provide(
          Context.make(Frontend, frontend).pipe(Context.add(PeerLink, link), Context.add(Scope.Scope, scope))
        )
      )
      const watch = Stream.runForEach(member.changes, (state) =>
        Effect.sync(() => {
          if (life.isThere()) {
            history.moved(role, state)
          }
        }))
      fork(Effect.ignore(watch), outside, say)
      yield* member.join
    })
    const gone = () => {
      if (life.isThere()) {
        server.running = undefined
        network.leave(life)
        history.moved(role, "down")
        if (isWhole) {
          start(server)
        }
      }
    }
    server.running = {
      life,
      process,
      stop: () => {
        history.note(`stop ${role}`)
        fork(Scope.close(scope, Exit.void), process, say).addObserver(gone)
      },
      kill: () => {
        history.note(`kill ${role}`)
        gone()
        // What is left of it may do what it likes, nobody hears it.
        process.resume()
        fork(Scope.close(scope, Exit.void), process, say)
      }
    }
    fork(program, process, say).addObserver((exit) => {
      if (life.isThere() && !Exit.isInterrupted(exit)) {
        history.broken("Ended", `${role}: ${Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it ended"}`)
        gone()
      }
    })
  }

  // The clients: real ones, each with one request at a time, and one at each server that only votes.
  const clientScope = Effect.runSync(Scope.make())
  const askAlong = (resend: boolean) =>
    Effect.gen(function*() {
      const client = yield* BinaryStarClient.make({
        servers: roles.map((role) => `inproc://${role}`),
        timeout: "1 second"
      })
      for (let i = 0;; i++) {
        const text = `${resend ? "" : once}${i}`
        const reply = yield* Effect.either(client.request(text, { resend }))
        if (reply._tag === "Right" && Frames.toString(reply.right) !== text) {
          history.broken("WrongReply", `${Frames.toString(reply.right)} to ${text}`)
        }
        yield* Effect.sleep(upTo(1))
      }
    })
  const voteAt = (role: Role) =>
    Effect.gen(function*() {
      const connection = yield* network.clientLink.connect(role)
      for (let i = 0;; i++) {
        yield* connection.send([...Frames.make(`vote ${i}`), Frames.delimiter, ...Frames.make(String(i))])
        yield* Effect.sleep(upTo(1))
      }
    })
  const asking: ReadonlyArray<Effect.Effect<never, InvalidConfig | SocketError, ClientLink | Scope.Scope>> = [
    askAlong(true),
    askAlong(false),
    ...roles.map(voteAt)
  ]
  const askers = asking.map((asker) =>
    fork(
      asker.pipe(
        Effect.provideService(ClientLink, network.clientLink),
        Effect.provideService(Scope.Scope, clientScope)
      ),
      outside,
      (line) => history.note(`client: ${line}`)
    )
  )

  let faults = 0
  const restart = (server: Server) => time.after(upTo(chance(0.3) ? 0.2 : 5), () => start(server))
  const fault = () => {
    faults++
    const server = anyOf(servers)
    const { running } = server
    const wild = options.regime === "wild" && chance(0.5)
    if (wild) {
      const directions = anyOf<ReadonlyArray<Role>>([["primary"], ["backup"], roles])
      history.note(`cut from ${directions.join(" and ")}`)
      directions.forEach((role) => weather.cut.add(role))
      time.after(upTo(6), () => directions.forEach((role) => weather.cut.delete(role)))
    } else if (running === undefined || running.process.isPaused()) {
      wallOffset += anyOf([-3_600_000, -500, 500, 3_600_000])
      history.note("the wall clock is set")
    } else {
      anyOf([
        () => {
          running.kill()
          restart(server)
        },
        () => {
          running.stop()
          time.after(upTo(1), () => restart(server))
        },
        () => {
          running.process.pause()
          history.paused(server.role, true)
          time.after(upTo(chance(0.5) ? 2 : 6), () => {
            running.process.resume()
            if (running.life.isThere()) {
              history.paused(server.role, false)
            }
          })
        }
      ])()
    }
  }

  const end = (options.heartbeats ?? 10) * heartbeatMillis
  servers.forEach((server) => time.after(upTo(3), () => start(server)))
  for (let at = upTo(4); at < end; at += upTo(4)) {
    time.after(at, fault)
  }
  if (options.regime === "bounded") {
    history.judge()
  }
  await time.runUntil(end, history.look)

  // All is well again: both run, nothing is cut, nothing old is under way.
  isWhole = true
  if (weather.isWild) {
    weather.isWild = false
    weather.cut.clear()
    network.clear()
  }
  for (const server of servers) {
    server.running?.process.resume()
    history.paused(server.role, false)
    start(server)
  }
  history.note("whole")
  await time.runUntil(end + graceMillis, history.look)
  const duals = history.dual
  history.judge()
  const answered = history.answers
  await time.runUntil(end + 2 * graceMillis, history.look)
  if (history.answers === answered) {
    history.broken("NoService", `no answer from ${graceMillis} to ${2 * graceMillis} ms after all was well`)
  }
  const { answers, fingerprint, takeOvers } = history

  const report: Report = {
    seed: options.seed,
    regime: options.regime,
    violations: [...history.violations],
    answers,
    takeOvers,
    faults,
    dual: { count: duals.count, afterWholeMillis: Math.max(0, duals.last - end) },
    fingerprint,
    lines: [...history.lines]
  }

  // Nothing may be left behind in the process that makes a million runs.
  isWhole = false
  for (const server of servers) {
    server.running?.kill()
  }
  askers.forEach((asker) => Effect.runFork(Fiber.interrupt(asker), { scheduler: outside.scheduler }))
  Effect.runFork(Scope.close(clientScope, Exit.void), { scheduler: outside.scheduler })
  await time.runUntil(end + 3 * graceMillis + 60_000, () => {})
  return report
}
