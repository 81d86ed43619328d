/**
 * A member of a pair: the main program, the service that lets others watch it, and its layers.
 *
 * Three streams of events come in: requests from the frontend, states from the peer, beats from the clock. One fiber
 * takes them in, folds the state machine over them and carries out what it says: answer, drop, publish, end. Nobody else
 * changes the state.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as BinaryStarConfig from "./BinaryStarConfig.ts"
import type { InvalidConfig, SocketError } from "./BinaryStarError.ts"
import { BinaryStarError } from "./BinaryStarError.ts"
import * as Envelope from "./Envelope.ts"
import type * as Frames from "./Frames.ts"
import { Frontend } from "./Frontend.ts"
import * as Fsm from "./Fsm.ts"
import type { Handler } from "./Handler.ts"
import * as Answers from "./internal/answers.ts"
import * as Burst from "./internal/burst.ts"
import { monotonicReader, withMonotonicTime } from "./internal/clock.ts"
import * as Inbox from "./internal/inbox.ts"
import { nextTurn, sliceMillis } from "./internal/scheduler.ts"
import * as Terms from "./internal/terms.ts"
import { PeerLink } from "./PeerLink.ts"
import * as PeerMessage from "./PeerMessage.ts"

/**
 * What a member has seen since it started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counters {
  /** Requests that were answered, or handed to an effect that answers them. */
  readonly accepted: number
  /** Requests that were dropped because this server may not answer. */
  readonly rejected: number
  /** Requests that were accepted but whose handler failed or took too long. A `Refusal` is no failure. */
  readonly failed: number
  /** States heard from the peer. */
  readonly heard: number
  /** Messages from the peer that were no state. They are ignored and are no sign of life. */
  readonly malformed: number
}

/**
 * A change of a member's state, and what caused it: an event of the state machine, the `Start` of the member, or its `End`
 * in bad order.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transition {
  /** `undefined` for the start. */
  readonly from: Fsm.State | undefined
  readonly to: Fsm.State
  readonly cause: Fsm.Event["_tag"] | "Start" | "End"
  /** What has happened, for people. */
  readonly say: string
  /** When, in milliseconds of the monotonic clock. */
  readonly at: number
}

/**
 * A time in which a member is active.
 *
 * @since 0.1.0
 * @category models
 */
export interface Term {
  /** What made the member active. */
  readonly began: Transition
  /** What makes the member cease to be active. It is known before what runs in the term is interrupted. */
  readonly ending: Deferred.Deferred<Transition>
}

/**
 * A running member of a pair.
 *
 * @since 0.1.0
 * @category tags
 */
export class BinaryStar extends Context.Tag("effect-binary-star/BinaryStar")<BinaryStar, {
  /** Which server of the pair this is. */
  readonly role: Fsm.Role
  /** The state now: it answers in `ACTIVE`, and stands by in `PASSIVE` and `RESUMING`. Fails when the member has ended. */
  readonly state: Effect.Effect<Fsm.State, BinaryStarError | SocketError>
  /** The state now, and then each other state that it changes to. Fails when the member ends. */
  readonly changes: Stream.Stream<Fsm.State, BinaryStarError | SocketError>
  /** The latest transition, and then each that follows. Fails when the member ends. */
  readonly transitions: Stream.Stream<Transition, BinaryStarError | SocketError>
  /** What the member has seen since it started. */
  readonly counters: Effect.Effect<Counters>
  /** Runs an effect whenever this member is active; see {@link whileActive}. */
  readonly whileActive: <A, E, R>(
    effect: Effect.Effect<A, E, R> | ((term: Term) => Effect.Effect<A, E, R>)
  ) => Effect.Effect<never, E | BinaryStarError | SocketError, R>
  /** Ends the member in good order, as closing its scope does, and waits until it has said goodbye. */
  readonly stop: Effect.Effect<void>
  /** Waits for the member to end: fails with what ended it, and is interrupted when it was asked to stop. */
  readonly join: Effect.Effect<never, BinaryStarError | SocketError>
}>() {}

/** What happens to a member, as it reaches the one fiber that owns its state. */
type Input =
  | { readonly _tag: "Heard"; readonly messages: ReadonlyArray<Frames.Frames> }
  | { readonly _tag: "Beat" }
  | { readonly _tag: "Asked" }
  | { readonly _tag: "Ended"; readonly ended: Answers.Ended }
  | { readonly _tag: "Gone"; readonly evidence: Fsm.Evidence }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "TimeUp" }
  | { readonly _tag: "Released" }

const beat: Input = { _tag: "Beat" }
const asked: Input = { _tag: "Asked" }
const stop: Input = { _tag: "Stop" }
const timeUp: Input = { _tag: "TimeUp" }
const released: Input = { _tag: "Released" }

/**
 * Starts a member in the current scope. When the scope closes the member answers what it has accepted, for as long as the
 * configured `drain` at the most, ends what runs while it is active, says goodbye to its peer if its policy has one, and
 * ends, saying that it was interrupted.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Effect.Effect<BinaryStar["Type"], InvalidConfig, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const config = yield* BinaryStarConfig.make(options)
    const frontend = yield* Frontend
    const link = yield* PeerLink
    const now = yield* monotonicReader
    const fork = yield* FiberSet.makeRuntime<never>()
    const rules: Fsm.Rules = {
      role: config.role,
      policy: Fsm.policies[config.policy],
      expiryMillis: config.expiryMillis
    }
    const start = Fsm.start(rules, now())
    const latest = yield* SubscriptionRef.make<Transition>({
      from: undefined,
      to: start.member.state,
      cause: "Start",
      say: start.say ?? "Start",
      at: now()
    })
    const terms = Terms.make<Transition, BinaryStarError | SocketError>()
    const stopped = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, BinaryStarError | SocketError>()
    const counters = { accepted: 0, rejected: 0, failed: 0, heard: 0, malformed: 0 }

    // The three streams of events run into one inbox. Requests only announce themselves there and wait apart, one batch at
    // a time; further ones stay in the socket, whose high-water mark holds the clients back.
    const inbox = Inbox.make<Input>()
    const answers = yield* Answers.make(handler, {
      timeout: config.timeout,
      quietMillis: config.expiryMillis,
      onEnd: (ended) => inbox.offer({ _tag: "Ended", ended }),
      onFailure: () => counters.failed++
    })
    let requests: ReadonlyArray<Frames.Frames> | undefined
    let requestsTaken = () => {}
    const fromFrontend = frontend.run((batch) => {
      requests = batch
      inbox.offer(asked)
      return new Promise((resolve) => requestsTaken = resolve)
    })
    const fromPeer = Stream.runForEach(link.messages, (messages) => inbox.put({ _tag: "Heard", messages }))
    const fromEvidence = config.crashDetection
      ? Stream.runForEach(link.gone, (evidence) => inbox.put({ _tag: "Gone", evidence }))
      : Effect.never
    const fromClock = Stream.fromSchedule(Schedule.fixed(config.heartbeat)).pipe(
      Stream.runForEach(() => inbox.put(beat)),
      withMonotonicTime
    )

    /** Ends what runs while this member is active. Until all of it is finalized the member says nothing else. */
    const release = (why: Transition) =>
      Effect.suspend(() => {
        terms.end(why)
        return Effect.zipRight(answers.endTerm, terms.ended)
      })

    const driver = Effect.gen(function*() {
      let member = start.member
      let batch: ReadonlyArray<Frames.Frames> = []
      let next = 0
      let lookedAt = Number.NEGATIVE_INFINITY
      let lastBeat = now()
      let lateAt = Number.NEGATIVE_INFINITY
      let isVoteDue = false
      let stopBy = Number.POSITIVE_INFINITY
      let isBatchLate = false
      let isReleased = false
      const isNewJunk = Burst.make(config.expiryMillis)

      const isStopping = () => stopBy < Number.POSITIVE_INFINITY

      const become = (
        outcome: Fsm.Outcome,
        cause: Transition["cause"]
      ): Effect.Effect<void, BinaryStarError | SocketError> =>
        Effect.gen(function*() {
          const from = member.state
          member = outcome.member
          const isFatal = outcome.verdict._tag === "Fatal"
          const transition = { from, to: member.state, cause, say: outcome.say ?? cause, at: now() }
          if (outcome.say !== undefined) {
            yield* isFatal ? Effect.logError(outcome.say) : Effect.logInfo(outcome.say)
          }
          if (isFatal || (member.state !== from && member.state !== "ACTIVE")) {
            yield* release(transition)
          }
          if (outcome.verdict._tag === "Fatal") {
            // Those whose requests were interrupted are told.
            yield* apply(inbox.poll(), false)
            return yield* new BinaryStarError({ reason: outcome.verdict.reason })
          }
          if (member.state !== from) {
            yield* SubscriptionRef.set(latest, transition)
          }
          if (outcome.publish !== undefined) {
            yield* link.publish(encode(outcome.publish))
          }
          if (member.state !== from && member.state === "ACTIVE") {
            terms.begin(transition)
          }
        })

      const advance = (event: Fsm.Event) => become(Fsm.step(rules, member, event), event._tag)

      /** What follows from having stood still, if this process has and if its policy minds. */
      const slept = (): Fsm.Outcome | undefined => {
        const at = now()
        if (!Fsm.hasSlept(rules, lastBeat, at)) {
          return undefined
        }
        const outcome = Fsm.step(rules, member, { _tag: "Slept", now: at })
        return outcome.member === member ? undefined : outcome
      }

      const hear = (message: Frames.Frames) => {
        const decoded = decode(message)
        const at = now()
        if (Either.isRight(decoded)) {
          counters.heard++
          return advance(PeerMessage.toEvent(decoded.right, at))
        }
        counters.malformed++
        return isNewJunk(at)
          ? Effect.logWarning(
            `malformed state message from the peer at ${config.peer} ignored: ${decoded.left.message}`
          )
          : Effect.void
      }

      /** Whether the peer only seems silent, because this process stood still a moment ago and has yet to hear it. */
      const isRash = (at: number) =>
        Number.isFinite(member.peerExpiry) &&
        (Fsm.isLate(rules, lastBeat, at) || at - lateAt < config.expiryMillis / 4)

      const mayServe = () => next < batch.length && (isBatchLate || answers.running() < config.concurrency)

      /** Takes the requests that wait, if there are any. What is taken when it stops is for the other server. */
      const takeBatch = () => {
        if (requests === undefined) {
          return false
        }
        batch = requests
        next = 0
        isBatchLate = isBatchLate || isStopping()
        requests = undefined
        requestsTaken()
        return true
      }

      /** Sends away what this server will not answer any more. */
      function* sendAway() {
        isBatchLate = true
        while (next < batch.length || takeBatch()) {
          yield* serve(false, now())
        }
      }

      /** Lets replies go, unless the peer may have taken over since they were made: then their clients have to ask again. */
      function* send(replies: ReadonlyArray<Frames.Frames>) {
        if (replies.length > 0) {
          yield* frontend.reply(slept() === undefined ? replies : replies.flatMap(Envelope.withdraw))
        }
      }

      /**
       * Takes over because of a vote. Only with fresh evidence may the state change: without it the vote has to wait. And not
       * where the peer only seems silent.
       */
      function* takeOver(outcome: Fsm.Outcome, isFresh: boolean, at: number) {
        if (!isFresh) {
          lookedAt = Number.NEGATIVE_INFINITY
          return "wait"
        }
        if (outcome.verdict._tag !== "Accept" || isRash(at)) {
          return "reject"
        }
        yield* become(outcome, "ClientRequest")
        return "accept"
      }

      /**
       * Judges and answers what there is, for one slice of time. `at` is when the evidence was asked for: were it judged by a
       * later time, the peer could have spoken in between, unheard.
       */
      function* serve(isFresh: boolean, at: number) {
        const began = now()
        const vote: Fsm.Event = { _tag: "ClientRequest", now: at }
        const replies: Array<Frames.Frames> = []
        if (isVoteDue) {
          const outcome = Fsm.step(rules, member, vote)
          isVoteDue = outcome.member !== member && (yield* takeOver(outcome, isFresh, at)) === "wait"
        }
        while (mayServe()) {
          const outcome = Fsm.step(rules, member, vote)
          const verdict = isBatchLate
            ? "reject"
            : outcome.member !== member
            ? yield* takeOver(outcome, isFresh, at)
            : outcome.verdict._tag === "Accept"
            ? "accept"
            : "reject"
          if (verdict === "wait") {
            break
          }
          const request = batch[next++]!
          if (verdict === "accept") {
            counters.accepted++
            const failure = answers.begin(request, member.state, replies)
            if (failure !== undefined) {
              yield* failure
            }
          } else {
            counters.rejected++
            answers.refuse(request, replies)
          }
          if (now() - began > sliceMillis) {
            break
          }
        }
        yield* send(replies)
        if (mayServe() && isFresh) {
          yield* nextTurn
        }
      }

      /** Takes in what has come, unless this process has stood still meanwhile: then what it knew of the peer is void. */
      function* takeIn(inputs: ReadonlyArray<Input>) {
        if (slept() === undefined) {
          return yield* apply(inputs, true)
        }
        yield* apply(inputs, false)
        yield* link.forget
        // What was in hand is in the inbox after a turn.
        yield* link.waiting
        yield* apply(inbox.poll(), false)
        lastBeat = now()
        yield* advance({ _tag: "Slept", now: lastBeat })
      }

      /** Applies what has come in: first all that the peer has said, if it can be trusted, then the beat that tells our state. */
      function* apply(inputs: ReadonlyArray<Input>, isTrusted: boolean) {
        let isBeat = false
        const replies: Array<Frames.Frames> = []
        const ended: Array<Answers.Ended> = []
        for (const input of inputs) {
          switch (input._tag) {
            case "Heard":
              for (const message of isTrusted ? input.messages : []) {
                yield* hear(message)
              }
              break
            case "Gone":
              if (isTrusted) {
                yield* advance({ _tag: "PeerGone", now: now(), evidence: input.evidence })
                isVoteDue = config.vote === "self" && !isStopping()
              }
              break
            case "Beat":
              isBeat = true
              break
            case "Ended":
              ended.push(input.ended)
              break
            case "TimeUp":
              // A timer may come a little early.
              stopBy = now()
              break
            case "Released":
              isReleased = true
              break
            case "Stop":
              if (!isStopping()) {
                stopBy = now() + Duration.toMillis(config.drain)
                fork(Effect.interruptible(Effect.delay(Effect.sync(() => inbox.offer(timeUp)), config.drain)))
              }
              break
            case "Asked":
              break
          }
        }
        // What the peer has said may have ended the term in which they were begun.
        for (const one of ended) {
          yield* answers.conclude(one, replies)
        }
        if (isBeat && isTrusted) {
          const at = now()
          lateAt = Fsm.isLate(rules, lastBeat, at) ? at : lateAt
          yield* link.publish(encode(Fsm.wordOf[member.state]))
          // Who stood still while it published cannot know that the word has left.
          lastBeat = slept() === undefined ? at : lastBeat
          isVoteDue = config.vote === "self" && !isStopping()
        }
        yield* send(replies)
      }

      const isDone = () => isStopping() && ((next === batch.length && answers.running() === 0) || now() >= stopBy)

      yield* Effect.logInfo(start.say)
      while (!isDone()) {
        if (next === batch.length) {
          takeBatch()
        }
        if (!mayServe() && !isVoteDue) {
          yield* takeIn(yield* inbox.takeAll)
          continue
        }
        // Fresh evidence first: what the peer has said is applied before a request is judged. What came within the last
        // slice of time is as good as still under way, but for a vote that would change the state.
        const at = now()
        const isFresh = at - lookedAt > sliceMillis
        if (isFresh && (yield* link.waiting)) {
          yield* takeIn(yield* inbox.takeAll)
          continue
        }
        yield* takeIn(inbox.poll())
        if (isFresh) {
          lookedAt = at
        }
        yield* serve(isFresh, at)
      }
      // What runs while it is active ends first, and as long as that takes the peer hears that it is.
      const goodbye = Fsm.step(rules, member, { _tag: "Stopping", now: now() })
      const { state } = goodbye.member
      fork(Effect.zipRight(
        release({ from: member.state, to: state, cause: "Stopping", say: goodbye.say ?? "stopping", at: now() }),
        inbox.put(released)
      ))
      while (!isReleased) {
        yield* sendAway()
        yield* takeIn(yield* inbox.takeAll)
      }
      const lastWord = Fsm.step(rules, member, { _tag: "Stopping", now: now() })
      yield* become({ ...lastWord, publish: undefined }, "Stopping")
      if (lastWord.publish !== undefined) {
        yield* link.farewell(encode(lastWord.publish))
      }
      yield* sendAway()
      return yield* Effect.interrupt
    }).pipe(Effect.ensuring(Deferred.succeed(stopped, undefined)))

    yield* Effect.all([
      fromFrontend,
      Effect.zipRight(fromPeer, endOf("messages from the peer")),
      Effect.zipRight(fromClock, endOf("beats")),
      Effect.zipRight(fromEvidence, endOf("evidence")),
      driver
    ], { concurrency: "unbounded", discard: true }).pipe(
      Effect.zipRight(Effect.never),
      Effect.onError((cause) => {
        // What was interrupted because of a failure says nothing by itself.
        const why = Either.match(Cause.failureOrCause(cause), { onLeft: Cause.fail, onRight: identity })
        return tellEnd(why).pipe(
          Effect.zipRight(SubscriptionRef.get(latest)),
          Effect.flatMap(({ to }) => release({ from: to, to, cause: "End", say: "the member has ended", at: now() })),
          Effect.zipRight(Deferred.failCause(ended, why)),
          Effect.zipRight(terms.close(why))
        )
      }),
      Effect.annotateLogs({ package: "effect-binary-star", role: config.role }),
      Effect.interruptible,
      Effect.forkScoped
    )
    const stopNow = Effect.suspend(() => {
      inbox.offer(stop)
      return Deferred.await(stopped)
    })
    yield* Effect.addFinalizer(() => stopNow)
    const transitions = Stream.unwrap(Effect.map(
      Deferred.isDone(ended),
      (isOver) =>
        isOver ? Stream.fromEffect(Deferred.await(ended)) : Stream.interruptWhenDeferred(latest.changes, ended)
    ))

    return BinaryStar.of({
      role: config.role,
      state: Effect.flatMap(
        Deferred.poll(ended),
        Option.getOrElse(() => Effect.map(SubscriptionRef.get(latest), ({ to }) => to))
      ),
      changes: Stream.map(transitions, ({ to }) => to),
      transitions,
      whileActive: terms.whileActive,
      stop: stopNow,
      counters: Effect.sync(() => ({ ...counters })),
      join: Deferred.await(ended)
    })
  })

const decode = Schema.decodeEither(PeerMessage.PeerMessage)
const encode = Schema.encodeSync(PeerMessage.PeerMessage)

/** Says what has ended a member. */
const tellEnd = (why: Cause.Cause<BinaryStarError | SocketError>): Effect.Effect<void> =>
  Either.match(Cause.failureOrCause(why), {
    // A fatal verdict has been told already, in the words of the Guide.
    onLeft: (error) => error._tag === "BinaryStarError" ? Effect.void : Effect.logError(error.message),
    onRight: (cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.logWarning("interrupted") : Effect.logError("defect", cause)
  })

const endOf = (what: string) => Effect.dieMessage(`the stream of ${what} has ended`)

/**
 * A member of a pair that runs as long as the layer lives. What goes over its ports decides what it is: sockets
 * (`Zmq.layer`) or memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  options: BinaryStarConfig.Options,
  handler: Handler<R>
): Layer.Layer<BinaryStar, InvalidConfig, Frontend | PeerLink | R> =>
  Layer.scoped(BinaryStar, make(options, handler)) as Layer.Layer<BinaryStar, InvalidConfig, Frontend | PeerLink | R>

/**
 * The same with options from a `Config`, for instance {@link BinaryStarConfig.config}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <R = never>(
  options: Config.Config.Wrap<BinaryStarConfig.Options>,
  handler: Handler<R>
): Layer.Layer<BinaryStar, ConfigError.ConfigError | InvalidConfig, Frontend | PeerLink | R> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), (options) => layer(options, handler)))

/**
 * Runs an effect whenever this server is active: a singleton of the pair.
 *
 * It is started when the server becomes active. When the server ceases to be active, is stopped, or ends, the effect is
 * interrupted, and it is finalized before the server says that it is anything else; a finalizer that takes longer than the
 * peer's patience therefore delays the take-over, unless this process dies or is cut off. An effect that ends by itself is
 * run again with the next term. Where one fails, all fails with it. It must not wait, where it cannot be interrupted, for
 * the member to stop or to stand by: that waits for it. A member that ends because of a defect or a broken socket publishes
 * nothing meanwhile, so the peer may take over after two heartbeats.
 *
 * A pair without clients has nobody who votes: give it `vote: "self"`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const whileActive = <A, E, R>(
  effect: Effect.Effect<A, E, R> | ((term: Term) => Effect.Effect<A, E, R>)
): Effect.Effect<never, E | BinaryStarError | SocketError, R | BinaryStar> =>
  Effect.flatMap(BinaryStar, (member) => member.whileActive(effect))

/** How soon a layer is built again that has failed. */
const buildAgain = Schedule.union(Schedule.exponential("100 millis"), Schedule.spaced("10 seconds"))

/**
 * Builds a layer whenever this server is active, and releases it as {@link whileActive} does. What the layer fails with is
 * logged, and it is built again by the schedule `retry`, by default after 0.1 seconds and then twice as late each time, up
 * to 10 seconds; when the schedule ends, with the next term.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWhileActive = <A, E, R, R2 = never>(
  layer: Layer.Layer<A, E, R>,
  options?: { readonly retry?: Schedule.Schedule<unknown, unknown, R2> | undefined }
): Layer.Layer<never, never, BinaryStar | R | R2> =>
  Layer.launch(layer).pipe(
    Effect.sandbox,
    Effect.tapError((cause) => Effect.logError("what runs while this server is active has failed", cause)),
    Effect.retry(options?.retry ?? buildAgain),
    // Where it is not to be tried again it is with the next term.
    Effect.ignore,
    whileActive,
    // That the member has ended is told by its `join`.
    Effect.ignore,
    Effect.interruptible,
    Effect.forkScoped,
    Layer.scopedDiscard
  )

const awaitState = (isWanted: (state: Fsm.State) => boolean) =>
  Effect.flatMap(BinaryStar, ({ changes }) =>
    changes.pipe(
      Stream.filter(isWanted),
      Stream.runHead,
      // The states of a member that has ended end with a failure.
      Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed })),
      Effect.asVoid
    ))

/**
 * Waits until this server is active. Fails when the member has ended.
 *
 * @since 0.1.0
 * @category combinators
 */
export const awaitActive: Effect.Effect<void, BinaryStarError | SocketError, BinaryStar> = awaitState((state) =>
  state === "ACTIVE"
)

/**
 * Waits until this server stands by for its peer. Fails when the member has ended.
 *
 * @since 0.1.0
 * @category combinators
 */
export const awaitPassive: Effect.Effect<void, BinaryStarError | SocketError, BinaryStar> = awaitState((state) =>
  state === "PASSIVE" || state === "RESUMING"
)

/**
 * Lets the event loop turn every 2 milliseconds, so that no busy fiber of the application can delay a heartbeat.
 * Effect's default scheduler was seen to delay timers by over 400 ms. The command `bstar` uses it; an application that
 * shares its process with a member should too.
 *
 * @since 0.1.0
 * @category layers
 */
export { layer as layerScheduler } from "./internal/scheduler.ts"
