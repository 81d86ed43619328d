/**
 * Runs a member: one fiber merges what the frontend, the peer and the clock send, gives it to the core, and does what the core
 * says. Nothing else changes the member.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import { nextTurn, sliceMillis } from "../internal/Scheduler.ts"
import { Frontend } from "../ports/Frontend.ts"
import { PeerLink } from "../ports/PeerLink.ts"
import * as Policies from "../protocol/Policies.ts"
import type { BinaryStarConfig } from "../settings/BinaryStarConfig.ts"
import * as ActiveTerm from "./activeTerm.ts"
import type { Event, Failure, Runtime } from "./context.ts"
import * as Counters from "./Counters.ts"
import * as EventQueue from "./eventQueue.ts"
import type { Handler } from "./Handler.ts"
import { reportOf } from "./makeReport.ts"
import * as Member from "./Member.ts"
import { CommandRejected } from "./MemberError.ts"
import { flush, performAll, releaseTerm, step, takeIn } from "./outputs.ts"
import type { Report, Transition } from "./Report.ts"
import { Requests } from "./Requests.ts"
import * as Responder from "./Responder.ts"
import * as Streams from "./streams.ts"

/** What runs a member, and what others may ask of it. */
export interface MemberHandle {
  /** Runs until the member is asked to stop, or fails. */
  readonly run: Effect.Effect<never, Failure>
  readonly latest: SubscriptionRef.SubscriptionRef<Transition>
  /** Fails with what ended the member. */
  readonly ended: Deferred.Deferred<never, Failure>
  readonly whileActive: ActiveTerm.Terms<Transition, Failure>["whileActive"]
  readonly stop: Effect.Effect<void>
  readonly report: Effect.Effect<Report>
  readonly pause: (reason: string) => Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly promote: (reason: string) => Effect.Effect<void, CommandRejected>
  readonly handOver: (reason: string) => Effect.Effect<{ readonly since: number }, CommandRejected>
}

/** How long, in milliseconds, a message that keeps coming is not logged again. */
const quietMillis = 10_000

const rulesOf = (config: BinaryStarConfig): Member.Rules => ({
  role: config.role,
  policy: Policies.policies[config.policy],
  peerTimeoutMillis: config.peerTimeoutMillis,
  handshakeMillis: config.handshakeMillis,
  lone: config.lone,
  isSelfVoting: config.vote === "self",
  drainMillis: Duration.toMillis(config.drain),
  maxFailovers: config.maxFailovers ?? Number.POSITIVE_INFINITY,
  failoverWindowMillis: Duration.toMillis(config.failoverWindow),
  crashDetection: config.crashDetection,
  peerEndpoint: config.peerEndpoint,
  stateEndpoint: config.stateEndpoint
})

const makeRuntime = <R>(
  config: BinaryStarConfig,
  handler: Handler<R>,
  rules: Member.Rules,
  start: Transition,
  member: Member.Member
): Effect.Effect<Runtime, never, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const queue = EventQueue.make<Event>()
    const counters = Counters.make(Duration.toMillis(config.heartbeat))
    const responder = yield* Responder.make(handler, {
      timeout: config.timeout,
      quietMillis: config.peerTimeoutMillis,
      now,
      onCompletion: (completion) => queue.offer({ _tag: "Completed", completion })
    }, counters)
    const { concurrency, peerTimeoutMillis, maxFrames, maxPerClient = Number.POSITIVE_INFINITY } = config
    const fork = yield* FiberSet.makeRuntime<never>()
    return {
      rules,
      now,
      frontend: yield* Frontend,
      link: yield* PeerLink,
      queue,
      requests: new Requests({ concurrency, maxFrames, maxPerClient }, responder, counters),
      responder,
      counters,
      terms: ActiveTerm.make<Transition, Failure>(),
      latest: yield* SubscriptionRef.make(start),
      logOnce: {
        Held: Burst.make(peerTimeoutMillis),
        Malformed: Burst.make(peerTimeoutMillis),
        TwoActive: Burst.make(Math.max(peerTimeoutMillis, quietMillis)),
        Silent: Burst.make(Math.max(peerTimeoutMillis, quietMillis))
      },
      commands: new Map(),
      fork,
      state: {
        member,
        pending: [],
        linkEpoch: 0,
        linkReadAt: Number.NEGATIVE_INFINITY,
        isIdle: false,
        isOver: false,
        hasEnded: false
      }
    }
  })

/** Requests that reach a member that does not accept them are votes: the core is told, and may accept them now. */
const vote = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const client = runtime.requests.nextClient()
    yield* step(runtime, [{
      _tag: "Vote",
      voter: client === undefined ? "a client" : `client ${Encoding.encodeHex(client)}`,
      hasSubscriber: runtime.state.member.protocol.state === "BACKUP" && (yield* runtime.link.hasSubscriber)
    }])
  })

/** Serves requests for one slice of time, by what the core says of them now. */
const serve = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { counters, now, requests, rules, state } = runtime
    const wasVote = Member.admission(rules, state.member) === "Vote"
    if (wasVote) {
      yield* vote(runtime)
    }
    const isAccepted = Member.admission(rules, state.member) === "Accept"
    const before = counters.rejected
    requests.serve({ isAccepted, state: state.member.protocol.state }, now, now() + sliceMillis)
    counters.votes += wasVote ? isAccepted ? 1 : counters.rejected - before : 0
    yield* flush(runtime)
  })

/** One slice: what the peer has sent is taken in before requests are judged (H6), at least every slice of time. */
const serveFresh = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { link, now, queue, requests, state } = runtime
    const at = now()
    const isReadDue = at - state.linkReadAt > sliceMillis
    if (isReadDue && (yield* link.poll)) {
      return yield* takeAll(runtime)
    }
    yield* takeInOrder(runtime, queue.poll())
    if (isReadDue) {
      state.linkReadAt = at
    }
    yield* serve(runtime)
    if (isReadDue && requests.isReady(true)) {
      yield* nextTurn
    }
  })

const takeAll = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    runtime.state.isIdle = true
    const events = yield* runtime.queue.takeAll
    runtime.state.isIdle = false
    yield* takeInOrder(runtime, events)
  })

/** Evidence comes after everything that the peer has sent before. */
const takeInOrder = (runtime: Runtime, events: ReadonlyArray<Event>): Effect.Effect<void, Failure> =>
  events.some(({ _tag }) => _tag === "PeerDown")
    ? Effect.gen(function*() {
      const isMore = yield* runtime.link.poll
      yield* takeIn(runtime, isMore ? [...events, ...(yield* runtime.queue.takeAll)] : events)
    })
    : takeIn(runtime, events)

/** Brings the data plane to the phase of the member. */
const followPhase = (runtime: Runtime): Effect.Effect<void, Failure> => {
  const { requests, state } = runtime
  const { phase, protocol } = state.member
  requests.close(phase._tag !== "Serving")
  if (phase._tag === "Draining" && requests.isIdle()) {
    return step(runtime, [{ _tag: "RequestsDrained" }])
  }
  if (phase._tag === "EndingTerm") {
    requests.rejectAll(protocol.state)
    return flush(runtime)
  }
  return Effect.void
}

/** The fiber of a member. */
const loop = (runtime: Runtime, outputs: ReadonlyArray<Member.Output>): Effect.Effect<never, Failure> =>
  Effect.gen(function*() {
    const { requests, rules, state } = runtime
    yield* performAll(runtime, outputs)
    while (!state.isOver) {
      requests.gather()
      yield* flush(runtime)
      yield* requests.isReady(Member.admission(rules, state.member) === "Accept")
        ? serveFresh(runtime)
        : takeAll(runtime)
      yield* followPhase(runtime)
    }
    requests.rejectAll(state.member.protocol.state)
    yield* flush(runtime)
    return yield* Effect.interrupt
  })

/** Logs what has ended a member. */
const logEnd = (cause: Cause.Cause<Failure>): Effect.Effect<void> =>
  Either.match(Cause.failureOrCause(cause), {
    // An abort has been logged already, in the words of the Guide.
    onLeft: (error) => error._tag === "MemberError" ? Effect.void : Effect.logError(error.message),
    onRight: (cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.logWarning("interrupted") : Effect.logError("defect", cause)
  })

/** Nothing takes commands any more. */
const rejectCommands = ({ commands, now, state }: Runtime): void => {
  state.hasEnded = true
  commands.forEach((complete) => complete("Interrupted", now()))
}

/** Releases the term of a member that has ended in bad order, and lets everybody know. */
const end = (runtime: Runtime, ended: Deferred.Deferred<never, Failure>) => (cause: Cause.Cause<Failure>) => {
  // What was interrupted because of a failure says nothing by itself.
  const why = Either.match(Cause.failureOrCause(cause), { onLeft: Cause.fail, onRight: identity })
  runtime.state.isOver = true
  return logEnd(why).pipe(
    Effect.zipRight(Effect.sync(() => rejectCommands(runtime))),
    Effect.zipRight(SubscriptionRef.get(runtime.latest)),
    Effect.flatMap(({ to }) =>
      releaseTerm(runtime, { from: to, to, cause: "End", message: "the member has ended", at: runtime.now() })
    ),
    Effect.zipRight(Deferred.failCause(ended, why)),
    Effect.zipRight(runtime.terms.close(why))
  )
}

type CommandInput = Extract<Member.Input, { readonly id: number }>

/** Gives a command to the core, which completes it unless the member ends before. */
const makeCommands = ({ commands, now, queue, state }: Runtime) => {
  let lastId = 0
  return (make: (id: number) => CommandInput): Effect.Effect<number, Member.Rejection> =>
    Effect.suspend(() => {
      const id = ++lastId
      const result = Deferred.unsafeMake<number, Member.Rejection>(FiberId.none)
      const complete = (rejection: Member.Rejection | undefined, since: number) =>
        Deferred.unsafeDone(result, rejection === undefined ? Effect.succeed(since) : Effect.fail(rejection))
      if (state.hasEnded) {
        complete("Interrupted", now())
      } else {
        commands.set(id, complete)
        queue.offer(make(id))
      }
      return Effect.ensuring(Deferred.await(result), Effect.sync(() => commands.delete(id)))
    })
}

const orElseRefused = (command: CommandRejected["command"]) =>
  Effect.mapError((reason: Member.Rejection) => new CommandRejected({ command, reason }))

/** Makes a member that is not running yet. */
export const make = <R>(
  config: BinaryStarConfig,
  handler: Handler<R>
): Effect.Effect<MemberHandle, never, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const startedAt = (yield* monotonicReader)()
    const rules = rulesOf(config)
    const { member, outputs } = Member.start(rules, startedAt)
    const message = outputs.find((output) => output._tag === "Log")?.message ?? "Start"
    const start: Transition = { from: undefined, to: member.protocol.state, cause: "Start", message, at: startedAt }
    const runtime = yield* makeRuntime(config, handler, rules, start, member)
    const ended = yield* Deferred.make<never, Failure>()
    const stopped = yield* Deferred.make<void>()
    const annotated = Effect.annotateLogs({ package: "effect-binary-star", role: config.role })
    const command = makeCommands(runtime)
    const stop = Effect.sync(() => runtime.queue.offer({ _tag: "Stop" }))
    return {
      run: Effect.all([
        Streams.run(runtime, config),
        Effect.ensuring(loop(runtime, outputs), Deferred.succeed(stopped, undefined))
      ], { concurrency: "unbounded", discard: true }).pipe(
        Effect.zipRight(Effect.never),
        Effect.onError(end(runtime, ended)),
        annotated
      ),
      latest: runtime.latest,
      ended,
      whileActive: runtime.terms.whileActive,
      stop: Effect.zipRight(stop, Deferred.await(stopped)),
      report: reportOf(runtime),
      pause: (reason) => Effect.ignore(command((id) => ({ _tag: "Pause", id, reason }))),
      resume: Effect.ignore(command((id) => ({ _tag: "Resume", id }))),
      promote: (reason) =>
        Effect.asVoid(command((id) => ({ _tag: "Promote", id, reason }))).pipe(orElseRefused("promote")),
      handOver: (reason) =>
        command((id) => ({ _tag: "HandOver", id, reason })).pipe(
          Effect.map((since) => ({ since })),
          orElseRefused("handOver")
        )
    }
  })
