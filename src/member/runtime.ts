/**
 * Runs a member: one fiber merges the events of the frontend, the peer and the clock, passes them to the core, and performs its
 * outputs. Nothing else changes the member.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as FiberSet from "effect/FiberSet"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { randomBytes } from "node:crypto"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { nextTurn, sliceMillis } from "../internal/Scheduler.ts"
import { Frontend } from "../ports/Frontend.ts"
import { PeerLink } from "../ports/PeerLink.ts"
import { Witness } from "../ports/Witness.ts"
import * as Policies from "../protocol/Policies.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import type { BinaryStarConfig } from "../settings/BinaryStarConfig.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as ActiveTerm from "./activeTerm.ts"
import * as Commands from "./commands.ts"
import type { Event, Failure, Runtime } from "./context.ts"
import * as Counters from "./Counters.ts"
import * as EventQueue from "./eventQueue.ts"
import type { Handler } from "./Handler.ts"
import * as Member from "./Member.ts"
import * as Notices from "./notices.ts"
import { flush, performAll, processEvents, releaseTerm, step } from "./outputs.ts"
import { Requests } from "./Requests.ts"
import * as Responder from "./Responder.ts"
import * as Streams from "./streams.ts"
import * as WitnessCalls from "./witnessCalls.ts"

/** A repeated message is not logged again within this time, in milliseconds. */
const quietMillis = 10_000

const rulesOf = (
  config: BinaryStarConfig,
  life: string,
  witness: Option.Option<Witness["Type"]>
): Member.Rules => ({
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
  stateEndpoint: config.stateEndpoint,
  life,
  fencing: config.fencing,
  ...Option.match(witness, {
    onNone: () => ({}),
    onSome: ({ endpoint }) => ({
      rights: {
        role: config.role,
        life,
        rightMillis: inMillis(config, timing.right),
        guardMillis: inMillis(config, timing.guard)
      },
      witnessEndpoint: endpoint
    })
  })
})

/** The witness, which the policy `witnessed` needs, and no other may have. */
const witnessOf = ({ policy }: BinaryStarConfig): Effect.Effect<Option.Option<Witness["Type"]>, InvalidConfig> =>
  Effect.flatMap(Effect.serviceOption(Witness), (witness) => {
    if (Option.isSome(witness) === (policy === "witnessed")) {
      return Effect.succeed(witness)
    }
    return new InvalidConfig({
      issues: [{
        field: "policy",
        message: policy === "witnessed"
          ? "witnessed needs a witness: provide the layer of one"
          : `${policy} has no use for the witness that is provided: choose witnessed`
      }]
    })
  })

const makeRuntime = <R>(
  config: BinaryStarConfig,
  handler: Handler<R>,
  rules: Member.Rules,
  start: Member.Transition,
  member: Member.Member,
  witness: Option.Option<Witness["Type"]>
): Effect.Effect<Runtime, never, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const queue = EventQueue.make<Event>()
    const state: Runtime["state"] = {
      member,
      pending: [],
      linkEpoch: 0,
      linkReadAt: Number.NEGATIVE_INFINITY,
      heartbeatsUntil: Number.NEGATIVE_INFINITY,
      malformed: undefined,
      votesHeldUntil: Number.NEGATIVE_INFINITY,
      isIdle: false,
      isOver: false,
      hasEnded: false
    }
    const counters = Counters.make(Duration.toMillis(config.heartbeat))
    const responder = yield* Responder.make(handler, {
      timeout: config.timeout,
      quietMillis: config.peerTimeoutMillis,
      now,
      term: () => Member.termOf(state.member),
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
      notices: yield* Notices.make(rules, now, counters),
      terms: ActiveTerm.make<Failure>(),
      latest: yield* SubscriptionRef.make(start),
      logOnce: {
        Blocked: LogOnce.make(peerTimeoutMillis),
        Malformed: LogOnce.make(peerTimeoutMillis),
        OnlyMalformed: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        SameState: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        SameRole: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        TwoActive: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        Silent: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        Witness: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        WitnessBack: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        OtherWitness: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis)),
        OneWay: LogOnce.make(Math.max(peerTimeoutMillis, quietMillis))
      },
      commands: new Map(),
      askWitness: Option.isSome(witness)
        ? yield* WitnessCalls.makeAskWitness(witness.value, config.heartbeat)
        : WitnessCalls.askNone,
      leasedUntil: yield* SubscriptionRef.make(Number.NEGATIVE_INFINITY),
      fork,
      state
    }
  })

/** Passes the next request to the core as a vote, which may make this member active. */
const vote = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const client = runtime.requests.nextClient()
    yield* step(runtime, [{
      _tag: "Vote",
      voter: client === undefined ? "a client" : `client ${Encoding.encodeHex(client)}`,
      hasSubscriber: runtime.state.member.protocol.state === "BACKUP" && (yield* runtime.link.hasSubscriber)
    }])
  })

/** Serves requests for one slice of time: accepted or rejected, as the core decides. */
const serve = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { counters, now, requests, rules, state } = runtime
    const wasVote = Member.admission(rules, state.member, now()) === "Vote"
    if (wasVote) {
      yield* vote(runtime)
    }
    const isAccepted = Member.admission(rules, state.member, now()) === "Accept"
    const before = counters.rejected
    requests.serve({ isAccepted, state: state.member.protocol.state }, now, now() + sliceMillis)
    counters.votes += wasVote ? isAccepted ? 1 : counters.rejected - before : 0
    yield* flush(runtime)
  })

/** One slice. Messages of the peer are processed before requests are decided (H6), at least once per slice of time. */
const serveFresh = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { link, now, queue, requests, state } = runtime
    const at = now()
    const isReadDue = at - state.linkReadAt > sliceMillis
    if (isReadDue && (yield* link.poll)) {
      return yield* takeAll(runtime)
    }
    yield* processInOrder(runtime, queue.poll())
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
    yield* processInOrder(runtime, events)
  })

/** Processes events. Crash evidence comes after everything that the peer has sent before. */
const processInOrder = (runtime: Runtime, events: ReadonlyArray<Event>): Effect.Effect<void, Failure> =>
  events.some(({ _tag }) => _tag === "PeerDown")
    ? Effect.gen(function*() {
      const isMore = yield* runtime.link.poll
      yield* processEvents(runtime, isMore ? [...events, ...(yield* runtime.queue.takeAll)] : events)
    })
    : processEvents(runtime, events)

/** Adapts the data plane to the phase of the member. */
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

/** The event loop of a member. */
const loop = (runtime: Runtime, outputs: ReadonlyArray<Member.Output>): Effect.Effect<never, Failure> =>
  Effect.gen(function*() {
    const { now, requests, rules, state } = runtime
    yield* performAll(runtime, outputs)
    while (!state.isOver) {
      requests.gather()
      yield* flush(runtime)
      const at = now()
      const admission = Member.admission(rules, state.member, at)
      const isHeld = admission === "Vote" && at < state.votesHeldUntil && Member.awaitsEvidence(state.member, at)
      yield* !isHeld && requests.isReady(admission === "Accept") ? serveFresh(runtime) : takeAll(runtime)
      yield* followPhase(runtime)
    }
    requests.rejectAll(state.member.protocol.state)
    yield* flush(runtime)
    return yield* Effect.interrupt
  })

/** Logs the cause of a member's end. A stop is logged already as a transition, but not by the Guide's policy. */
const logEnd = ({ rules: { policy } }: Runtime, cause: Cause.Cause<Failure>): Effect.Effect<void> =>
  Either.match(Cause.failureOrCause(cause), {
    // An abort has been logged already, with the Guide's message.
    onLeft: (error) => error._tag === "MemberError" ? Effect.void : Effect.logError(error.message),
    onRight: (cause) =>
      !Cause.isInterruptedOnly(cause)
        ? Effect.logError("defect", cause)
        : policy === Policies.policies.classic
        ? Effect.logInfo("interrupted")
        : Effect.void
  })

/** Releases the term of a member that has failed or was interrupted, and notifies all watchers. */
const end = (runtime: Runtime, ended: Deferred.Deferred<never, Failure>) => (cause: Cause.Cause<Failure>) => {
  // Interruptions that follow from a failure are not the cause.
  const failure = Either.match(Cause.failureOrCause(cause), { onLeft: Cause.fail, onRight: identity })
  runtime.state.isOver = true
  return logEnd(runtime, failure).pipe(
    Effect.zipRight(Effect.sync(() => Commands.rejectAll(runtime))),
    Effect.zipRight(SubscriptionRef.get(runtime.latest)),
    Effect.flatMap(({ to }) =>
      releaseTerm(runtime, { from: to, to, cause: "End", message: "the member has ended", at: runtime.now() })
    ),
    Effect.zipRight(Deferred.failCause(ended, failure)),
    Effect.zipRight(runtime.terms.close(failure))
  )
}

/** Makes a member. `run` ends when the member is stopped, or fails; `ended` fails then with the cause. */
export const make = <R>(config: BinaryStarConfig, handler: Handler<R>) =>
  Effect.gen(function*() {
    const startedAt = (yield* monotonicReader)()
    const witness = yield* witnessOf(config)
    const rules = rulesOf(config, randomBytes(6).toString("hex"), witness)
    const { member, outputs } = Member.start(rules, startedAt)
    const message = outputs.find((output) => output._tag === "Log")?.message ?? "Start"
    const to = member.protocol.state
    const runtime = yield* makeRuntime(
      config,
      handler,
      rules,
      {
        from: undefined,
        to,
        cause: "Start",
        message,
        at: startedAt
      },
      member,
      witness
    )
    const ended = yield* Deferred.make<never, Failure>()
    const stopped = yield* Deferred.make<void>()
    const run: Effect.Effect<never, Failure> = Effect.all([
      Streams.run(runtime, config),
      Effect.ensuring(loop(runtime, outputs), Deferred.succeed(stopped, undefined))
    ], { concurrency: "unbounded", discard: true }).pipe(
      Effect.zipRight(Effect.never),
      Effect.onError(end(runtime, ended)),
      Effect.annotateLogs({ package: "effect-binary-star", role: config.role })
    )
    const stop = Effect.sync(() => runtime.queue.offer({ _tag: "Stop" }))
    return { runtime, run, ended, stop: Effect.zipRight(stop, Deferred.await(stopped)) }
  })
