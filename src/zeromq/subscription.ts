import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberHandle from "effect/FiberHandle"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { nextTurn } from "../internal/Scheduler.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { CrashEvidence } from "../protocol/StateMachine.ts"
import { isInproc } from "../settings/Inproc.ts"
import type * as Frames from "../wire/Frames.ts"
import * as HeartbeatMessage from "../wire/HeartbeatMessage.ts"
import * as Addresses from "./addresses.ts"
import { isRefused } from "./crashEvidence.ts"
import type { SocketSecurity, Subscriber as Socket } from "./models.ts"
import type { ConnectionStep } from "./peerConnections.ts"
import * as PeerConnections from "./peerConnections.ts"
import { maxMessageSize } from "./statePort.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/** @internal */
export interface Options {
  readonly endpoint: string
  readonly heartbeatMillis: number
  readonly crashDetection: boolean
  readonly security: SocketSecurity | undefined
}

/**
 * The subscription to the peer's state, for the lifetime of the scope, over one connection after another.
 *
 * @internal
 */
export interface Subscription {
  readonly receive: Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError>
  readonly poll: Effect.Effect<boolean>
  readonly events: Stream.Stream<ConnectionStep>
  readonly evidence: Mailbox.ReadonlyMailbox<CrashEvidence>
}

/** How long, in milliseconds, TCP may take to connect, however short the heartbeat: the first SYN may be lost, twice. */
const connectMillis = 5000

/** Heartbeats that a handshake may take before the connection is replaced: more than the six that the core waits for. */
const handshakeHeartbeats = 10

/** Time between two checks of the connections, in milliseconds, unless the heartbeat is shorter. */
const checkMillis = 1000

/** A process that dies closes its connections first and its ports some milliseconds later. */
const whileItDies = Schedule.intersect(Schedule.spaced("1 millis"), Schedule.recurs(25))

/** Events that are not taken yet. The reader always takes them, so that none is dropped. */
const eventCapacity = 64

/** A socket that subscribes, in a scope of its own, so that another one can take its place. */
interface Subscriber {
  readonly socket: Socket
  readonly search: FiberHandle.FiberHandle
  readonly close: Effect.Effect<void>
}

interface Session extends Options {
  readonly rules: PeerConnections.Rules
  readonly now: () => number
  readonly scope: Scope.Scope
  readonly inputs: Mailbox.Mailbox<PeerConnections.Input>
  readonly events: Mailbox.Mailbox<ConnectionStep>
  readonly evidence: Mailbox.Mailbox<CrashEvidence>
  readonly isFirstFailure: (now: number) => boolean
  readonly isFirstSlow: (now: number) => boolean
  readonly subscribers: Map<number, Subscriber>
  connections: PeerConnections.PeerConnections
  lastId: number
}

/** The id of the first connection. */
const firstId = 1

/** Probes for crash evidence: ZeroMQ does not report why a connection failed. Whether there is some. */
const probe = ({ endpoint, evidence, now }: Session): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    // What the peer sent before the connection closed is received one turn of the event loop later at most.
    yield* nextTurn
    const asOf = now()
    return (yield* isRefused(endpoint)) && (yield* evidence.offer({ _tag: "ConnectionRefused", endpoint, asOf }))
  })

const untilRefused = (session: Session) =>
  Effect.repeat(probe(session), { until: (isFound) => isFound, schedule: whileItDies })

/** Runs a probe beside the session. A fiber would inherit from its parent that it cannot be interrupted. */
const search = ({ search }: Subscriber, probe: Effect.Effect<unknown>) =>
  FiberHandle.run(search, Effect.interruptible(probe))

/** Opens a socket and connects it to the peer. Succeeds with the id of its connection. */
const open = (session: Session): Effect.Effect<number, SocketError> =>
  Effect.gen(function*() {
    const { endpoint, heartbeatMillis, inputs, security } = session
    const own = yield* Scope.fork(session.scope, ExecutionStrategy.sequential)
    const close = Scope.close(own, Exit.void)
    const id = ++session.lastId
    return yield* Effect.gen(function*() {
      const socket = yield* ZmqSocket.makeSubscriber({
        reconnectMillis: Math.ceil(Math.min(200, heartbeatMillis / 8)),
        connectMillis,
        handshakeMillis: Math.ceil(Math.max(handshakeHeartbeats * heartbeatMillis, connectMillis)),
        maxMessageSize,
        topics: [HeartbeatMessage.topic],
        security
      })
      const subscriber: Subscriber = { socket, search: yield* FiberHandle.make(), close }
      session.subscribers.set(id, subscriber)
      yield* Effect.addFinalizer(() => Effect.sync(() => session.subscribers.delete(id)))
      // The first probe is useful in itself, and it warms up the code path for the next one, which counts.
      yield* session.crashDetection ? search(subscriber, probe(session)) : Effect.void
      yield* Stream.runForEach(socket.connections, (step) => inputs.offer({ _tag: "Step", id, step })).pipe(
        Effect.interruptible,
        Effect.forkScoped
      )
      yield* socket.connect(endpoint)
      return id
    }).pipe(Scope.extend(own), Effect.tapError(() => close))
  })

const warnOfFailure = ({ isFirstFailure, now }: Session, error: SocketError) =>
  isFirstFailure(now()) ? Effect.logWarning(`${error.message}; trying again`) : Effect.void

const warnOfSlowness = ({ endpoint, heartbeatMillis, isFirstSlow, now }: Session, millis: number) =>
  isFirstSlow(now())
    ? Effect.logWarning(
      `a round trip to the peer at ${endpoint} takes about ${Math.round(millis)} ms, which is longer than the ` +
        `heartbeat of ${Math.round(heartbeatMillis)} ms: choose a longer --heartbeat on both servers`
    )
    : Effect.void

const perform = (session: Session, output: PeerConnections.Output): Effect.Effect<unknown> => {
  const subscriber = "id" in output ? session.subscribers.get(output.id) : undefined
  switch (output._tag) {
    case "Open":
      return Effect.matchEffect(open(session), {
        onFailure: (error) => warnOfFailure(session, error),
        onSuccess: (id) =>
          Effect.sync(() => {
            session.connections = PeerConnections.addCandidate(session.connections, id, session.now())
          })
      })
    case "Close":
      return subscriber?.close ?? Effect.void
    case "Probe":
      return subscriber === undefined ? Effect.void : search(subscriber, untilRefused(session))
    case "StopProbe":
      return subscriber === undefined ? Effect.void : FiberHandle.clear(subscriber.search)
    case "Report":
      return session.events.offer(output.step)
    case "SlowRoundTrip":
      return warnOfSlowness(session, output.millis)
  }
}

const take = (session: Session, input: PeerConnections.Input): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { connections, endpoint, now, rules } = session
    const isAddressUnknown = Addresses.isName(endpoint) && Addresses.known(endpoint).length === 0
    const [next, outputs] = PeerConnections.step(rules, connections, input, now(), isAddressUnknown)
    session.connections = next
    return Effect.forEach(outputs, (output) => perform(session, output), { discard: true })
  })

/** The next batch of the current connection. One that was replaced meanwhile is not read any more. */
const receive = (session: Session): Effect.Effect<ReadonlyArray<Frames.Frames>, SocketError> =>
  Effect.suspend(() => {
    const { id } = session.connections.current
    const isCurrent = () => session.connections.current.id === id
    const again = Effect.suspend(() => receive(session))
    const subscriber = session.subscribers.get(id)
    return subscriber === undefined ? Effect.never : Effect.matchEffect(subscriber.socket.receive, {
      onFailure: (error) => isCurrent() ? Effect.fail(error) : again,
      onSuccess: (batch) => {
        const received = PeerConnections.receive(session.connections, id, session.now())
        session.connections = received ?? session.connections
        return received === undefined ? again : Effect.succeed(batch)
      }
    })
  })

/** @internal */
export const make = (options: Options): Effect.Effect<Subscription, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { crashDetection, endpoint, heartbeatMillis, security } = options
    const quietMillis = Math.max(10 * heartbeatMillis, 10_000)
    const now = yield* monotonicReader
    const session: Session = {
      ...options,
      rules: { heartbeatMillis, crashDetection, isSecured: security !== undefined },
      now,
      scope: yield* Effect.scope,
      inputs: yield* Mailbox.make<PeerConnections.Input>(eventCapacity),
      events: yield* Mailbox.make<ConnectionStep>(eventCapacity),
      evidence: yield* Mailbox.make<CrashEvidence>({ capacity: 1, strategy: "sliding" }),
      isFirstFailure: LogOnce.make(quietMillis),
      isFirstSlow: LogOnce.make(quietMillis),
      subscribers: new Map(),
      connections: PeerConnections.make(firstId, now()),
      lastId: firstId - 1
    }
    const { inputs } = session
    yield* open(session)
    yield* take(session, { _tag: "Check" })
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.forever(Effect.flatMap(restore(inputs.take), (input) => take(session, input)))
    ).pipe(Effect.interruptible, Effect.forkScoped)
    // A connection of inproc has no steps, and cannot be lost.
    yield* isInproc(endpoint) ? Effect.void : inputs.offer({ _tag: "Check" }).pipe(
      Effect.schedule(Schedule.spaced(Math.min(heartbeatMillis, checkMillis))),
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      receive: receive(session),
      poll: Effect.suspend(() =>
        session.subscribers.get(session.connections.current.id)?.socket.poll ?? Effect.succeed(false)
      ),
      events: Mailbox.toStream(session.events),
      evidence: session.evidence
    }
  })
