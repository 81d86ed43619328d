import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberHandle from "effect/FiberHandle"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicMillis, monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import { nextTurn } from "../internal/Scheduler.ts"
import type { LinkEvent } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { CrashEvidence } from "../protocol/StateMachine.ts"
import type * as Frames from "../wire/Frames.ts"
import * as Addresses from "./addresses.ts"
import { isRefused } from "./probe.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/** @internal */
export interface Options {
  readonly endpoint: string
  readonly heartbeatMillis: number
  readonly crashDetection: boolean
  readonly secure: ZmqSocket.Secure | undefined
}

/**
 * The subscription to the peer's state, for as long as its scope, over one connection after another.
 *
 * @internal
 */
export interface Subscription {
  readonly receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError>
  readonly waiting: Effect.Effect<boolean>
  readonly poll: (onPolled: (isWaiting: boolean) => void) => void
  readonly events: Stream.Stream<Exclude<LinkEvent, "Joined">>
  readonly evidence: Mailbox.ReadonlyMailbox<CrashEvidence>
}

/** A socket that subscribes, in a scope of its own, so that another one can take its place. */
interface Subscriber extends ZmqSocket.Subscriber {
  status: "down" | "opened" | "connected" | "ended"
  readonly since: number
  steppedAt: number
  openedAt: number
  receivedAt: number
  readonly close: Effect.Effect<void>
}

type Input =
  | { readonly _tag: "Step"; readonly subscriber: Subscriber; readonly step: ZmqSocket.ConnectionEvent }
  | { readonly _tag: "Check" }

/** A state message is one byte. */
const maxMessageSize = 512

/** How long, in milliseconds, TCP may take to connect, however short the heartbeat: the first SYN may be lost, twice. */
const connectMillis = 5000

/** A connection on which nothing has arrived for so many heartbeats is made anew. */
const silentHeartbeats = 3

/** For so many heartbeats a handshake may take. */
const patientHeartbeats = 10

/** For so many heartbeats a socket that is to take the place of a silent one may take to connect before the next one is tried. */
const impatientHeartbeats = 4

/** How often, in milliseconds, it is looked after that there is a connection, unless the heartbeat is shorter. */
const checkMillis = 1000

/** Round trips from an accepted TCP connection to the end of libzmq's handshake. */
const roundTrips = { plain: 2, curve: 3 }

/** A process that dies closes its connections first and its ports some milliseconds later. */
const whileItDies = Schedule.intersect(Schedule.exponential("2 millis"), Schedule.recurs(4))

/** Steps that the reader has not taken yet. It always does, so that none is dropped. */
const eventsKept = 64

const stepOf = { down: "Lost", ended: "Lost", opened: "Connecting", connected: "Connected" } as const

/** Asks the system whether a process listens at the peer's endpoint: ZeroMQ does not tell why a connection failed. */
const lookFor = (endpoint: string): Effect.Effect<Option.Option<CrashEvidence>> =>
  Effect.gen(function*() {
    const asOf = yield* monotonicMillis
    return (yield* isRefused(endpoint)) ? Option.some({ _tag: "ConnectionRefused", endpoint, asOf }) : Option.none()
  })

/** @internal */
export const make = (options: Options): Effect.Effect<Subscription, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { endpoint, heartbeatMillis } = options
    const now = yield* monotonicReader
    const scope = yield* Effect.scope
    const evidence = yield* Mailbox.make<CrashEvidence>({ capacity: 1, strategy: "sliding" })
    const events = yield* Mailbox.make<Exclude<LinkEvent, "Joined">>(eventsKept)
    const inputs = yield* Mailbox.make<Input>(eventsKept)
    const isFirstFailure = Burst.make(Math.max(10 * heartbeatMillis, 10_000))
    const isFirstSlow = Burst.make(Math.max(10 * heartbeatMillis, 10_000))

    // What was said before the connection closed is there a turn later at the latest.
    const look = Effect.flatMap(
      Effect.zipRight(nextTurn, lookFor(endpoint)),
      Option.match({ onNone: () => Effect.succeed(false), onSome: (found) => evidence.offer(found) })
    )

    const untilGone = Effect.repeat(look, { until: (isGone) => isGone, schedule: whileItDies })

    const open = Effect.gen(function*() {
      const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
      const close = Scope.close(own, Exit.void)
      const socket = yield* ZmqSocket.makeSubscriber({
        reconnectMillis: Math.ceil(Math.min(200, heartbeatMillis / 8)),
        connectMillis,
        handshakeMillis: Math.ceil(Math.max(patientHeartbeats * heartbeatMillis, connectMillis)),
        maxMessageSize,
        secure: options.secure
      }).pipe(Effect.tapError(() => close), Scope.extend(own))
      const subscriber: Subscriber = {
        ...socket,
        status: "down",
        since: now(),
        steppedAt: now(),
        openedAt: 0,
        receivedAt: now(),
        close
      }
      const search = yield* Scope.extend(FiberHandle.make<unknown>(), own)
      // A fiber inherits from its parent that it cannot be interrupted.
      const searchFor = (look: Effect.Effect<unknown>) => FiberHandle.run(search, Effect.interruptible(look))
      // The first look is worth its result, and that the next one, which counts, is made by code that has run before.
      yield* options.crashDetection ? searchFor(look) : Effect.void
      yield* Stream.runForEach(socket.connections, (step) =>
        Effect.gen(function*() {
          if (options.crashDetection) {
            yield* step === "lost" || step === "failed" ? searchFor(untilGone) : FiberHandle.clear(search)
          }
          yield* inputs.offer({ _tag: "Step", subscriber, step })
        })).pipe(Effect.interruptible, Effect.forkIn(own))
      yield* Effect.tapError(socket.connect(endpoint), () => close)
      return subscriber
    })

    // Written by the one fiber that takes the inputs; `undefined` until there can be a socket again.
    let current: Subscriber | undefined = yield* open
    let candidate: Subscriber | undefined
    let reported: Exclude<LinkEvent, "Joined"> = "Lost"
    const isThere = yield* Effect.makeLatch(true)

    const isSought = () => Addresses.isName(endpoint) && Addresses.known(endpoint).length === 0

    /** The step that the link as a whole has come to. While one connection is there another one may be made beside it. */
    const report = Effect.suspend(() => {
      const steps = [current, candidate].map((subscriber) => stepOf[subscriber?.status ?? "down"])
      // While the peer's address is still looked up, it is no more silent than while it is connected.
      const step = steps.find((step) => step === "Connected") ??
        (isSought() ? "Connecting" : steps.find((step) => step === "Connecting")) ?? "Lost"
      if (step === reported) {
        return Effect.void
      }
      reported = step
      return events.offer(step)
    })

    const warnOfFailure = (error: SocketError) =>
      isFirstFailure(now()) ? Effect.logWarning(`${error.message}; trying again`) : Effect.void

    const openCandidate = Effect.matchEffect(open, {
      onFailure: warnOfFailure,
      onSuccess: (next) =>
        Effect.sync(() => {
          candidate = next
        })
    })

    const closeCandidate = Effect.suspend(() => {
      const before = candidate
      candidate = undefined
      return before?.close ?? Effect.void
    })

    const promote = Effect.suspend(() => {
      const before = current
      current = candidate
      candidate = undefined
      return Effect.zipRight(isThere.open, before?.close ?? Effect.void)
    })

    /** A socket that libzmq has given up is closed first: it may have been connected to itself, and hold the peer's port. */
    const discard = Effect.suspend(() => {
      const before = current
      current = undefined
      return Effect.zipRight(isThere.close, before?.close ?? Effect.void)
    })

    const warnOfSlowness = ({ openedAt }: Subscriber) => {
      const roundTrip = (now() - openedAt) / (options.secure === undefined ? roundTrips.plain : roundTrips.curve)
      return roundTrip > heartbeatMillis && isFirstSlow(now())
        ? Effect.logWarning(
          `a round trip to the peer at ${endpoint} takes about ${Math.round(roundTrip)} ms, which is longer than the ` +
            `heartbeat of ${Math.round(heartbeatMillis)} ms: choose a longer --heartbeat on both servers`
        )
        : Effect.void
    }

    const isSilent = (at: number) =>
      current === undefined || at - current.receivedAt > silentHeartbeats * heartbeatMillis

    const onStep = (subscriber: Subscriber, step: ZmqSocket.ConnectionEvent) =>
      Effect.gen(function*() {
        subscriber.steppedAt = now()
        switch (step) {
          case "opened":
            subscriber.status = "opened"
            subscriber.openedAt = now()
            return
          case "connected":
            subscriber.status = "connected"
            yield* warnOfSlowness(subscriber)
            return yield* subscriber === candidate ? promote : Effect.void
          case "lost":
          case "failed":
            subscriber.status = "down"
            return
          case "ended":
            subscriber.status = "ended"
            return yield* subscriber === candidate ? closeCandidate : discard
        }
      })

    const check = Effect.gen(function*() {
      const at = now()
      if (!isSilent(at)) {
        return yield* closeCandidate
      }
      if (candidate !== undefined && at - candidate.since > impatientHeartbeats * heartbeatMillis) {
        yield* closeCandidate
      }
      if (candidate === undefined && !isRetrying(at)) {
        yield* openCandidate
      }
    })

    /** Whether the socket itself goes on trying, as it does where connections are refused, or the address is looked up. */
    const isRetrying = (at: number) =>
      isSought() || current?.status === "down" && at - current.steppedAt <= silentHeartbeats * heartbeatMillis

    yield* report
    const take = (input: Input) =>
      input._tag === "Check"
        ? check
        : input.subscriber === current || input.subscriber === candidate
        ? onStep(input.subscriber, input.step)
        : Effect.void
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.forever(Effect.flatMap(restore(inputs.take), (input) => Effect.zipRight(take(input), report)))
    ).pipe(Effect.interruptible, Effect.forkScoped)
    // A connection of inproc has no steps, and cannot be lost.
    yield* endpoint.startsWith("inproc:") ? Effect.void : inputs.offer({ _tag: "Check" }).pipe(
      Effect.schedule(Schedule.spaced(Math.min(heartbeatMillis, checkMillis))),
      Effect.interruptible,
      Effect.forkScoped
    )

    const receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError> = Effect.suspend(() => {
      const mine = current
      return mine === undefined
        ? Effect.zipRight(isThere.await, receive)
        : Effect.matchEffect(mine.receive, {
          onFailure: (error) => mine === current ? Effect.fail(error) : receive,
          onSuccess: (batch) => {
            mine.receivedAt = now()
            return mine === current ? Effect.succeed(batch) : receive
          }
        })
    })

    return {
      receive,
      waiting: Effect.suspend(() => current?.waiting ?? Effect.succeed(false)),
      poll: (onPolled) => current === undefined ? onPolled(false) : current.poll(onPolled),
      events: Mailbox.toStream(events),
      evidence
    }
  })
