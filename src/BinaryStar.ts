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
import * as Frames from "./Frames.ts"
import { Frontend } from "./Frontend.ts"
import * as Fsm from "./Fsm.ts"
import type { Handler } from "./Handler.ts"
import * as Burst from "./internal/burst.ts"
import { monotonicReader, withMonotonicTime } from "./internal/clock.ts"
import * as Inbox from "./internal/inbox.ts"
import { nextTurn, sliceMillis } from "./internal/scheduler.ts"
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
  /** Requests that were accepted but whose handler failed. */
  readonly failed: number
  /** States heard from the peer. */
  readonly heard: number
  /** Messages from the peer that were no state. They are ignored and are no sign of life. */
  readonly malformed: number
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
  /** What the member has seen since it started. */
  readonly counters: Effect.Effect<Counters>
  /** Waits for the member to end. It never does so in good order: it fails with what ended it. */
  readonly join: Effect.Effect<never, BinaryStarError | SocketError>
}>() {}

/** What happens to a member, as it reaches the one fiber that owns its state. */
type Input =
  | { readonly _tag: "Heard"; readonly messages: ReadonlyArray<Frames.Frames> }
  | { readonly _tag: "Beat" }
  | { readonly _tag: "Asked" }
  | { readonly _tag: "Answered"; readonly reply: Frames.Frames; readonly term: number }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }
  | { readonly _tag: "Gone"; readonly evidence: Fsm.Evidence }
  | { readonly _tag: "Stop" }

const beat: Input = { _tag: "Beat" }
const asked: Input = { _tag: "Asked" }
const stop: Input = { _tag: "Stop" }

/**
 * Starts a member in the current scope. When the scope closes the member answers what it has accepted, for as long as the
 * configured `drain` at the most, says goodbye to its peer if its policy has one, and ends, saying that it was interrupted.
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
    const fork = yield* FiberSet.makeRuntime<R>()
    const rules: Fsm.Rules = {
      role: config.role,
      policy: Fsm.policies[config.policy],
      expiryMillis: config.expiryMillis
    }
    const start = Fsm.start(rules, now())
    const state = yield* SubscriptionRef.make(start.member.state)
    const stopped = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, BinaryStarError | SocketError>()
    const counters = { accepted: 0, rejected: 0, failed: 0, heard: 0, malformed: 0 }

    // The three streams of events run into one inbox. Requests only announce themselves there and wait apart, one batch at
    // a time; further ones stay in the socket, whose high-water mark holds the clients back.
    const inbox = Inbox.make<Input>()
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

    const driver = Effect.gen(function*() {
      let member = start.member
      let batch: ReadonlyArray<Frames.Frames> = []
      let next = 0
      let running = 0
      // Counts how often this member has stopped answering. A reply that was begun before that is nobody's any more.
      let term = 0
      let lookedAt = Number.NEGATIVE_INFINITY
      let lastBeat = now()
      let lateAt = Number.NEGATIVE_INFINITY
      let stopBy = Number.POSITIVE_INFINITY
      const isNewJunk = Burst.make(config.expiryMillis)
      const isNewFailure = Burst.make(config.expiryMillis)

      const become = (outcome: Fsm.Outcome) =>
        Effect.gen(function*() {
          const before = member.state
          member = outcome.member
          if (outcome.verdict._tag === "Fatal") {
            yield* Effect.logError(outcome.say)
            return yield* new BinaryStarError({ reason: outcome.verdict.reason })
          }
          if (outcome.say !== undefined) {
            yield* Effect.logInfo(outcome.say)
          }
          if (member.state !== before) {
            term += member.state === "ACTIVE" ? 0 : 1
            yield* SubscriptionRef.set(state, member.state)
          }
          if (outcome.publish !== undefined) {
            yield* link.publish(encode(outcome.publish))
          }
        })

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
          return become(Fsm.step(rules, member, PeerMessage.toEvent(decoded.right, at)))
        }
        counters.malformed++
        return isNewJunk(at)
          ? Effect.logWarning(
            `malformed state message from the peer at ${config.peer} ignored: ${decoded.left.message}`
          )
          : Effect.void
      }

      const failed = (cause: Cause.Cause<unknown>) => {
        counters.failed++
        return isNewFailure(now()) ? Effect.logError("a handler failed; its request is dropped", cause) : Effect.void
      }

      const answer = (message: Frames.Frames, replies: Array<Frames.Frames>) => {
        const length = Frames.envelopeLength(message)
        const reply = handler({ body: message.slice(length) })
        if (Effect.isEffect(reply)) {
          running++
          const begun = term
          fork(Effect.matchCauseEffect(Effect.map(reply, (body) => envelop(message, length, body)), {
            onFailure: (cause) => inbox.put({ _tag: "Failed", cause }),
            onSuccess: (reply) => inbox.put({ _tag: "Answered", reply, term: begun })
          }))
        } else {
          replies.push(envelop(message, length, reply))
        }
      }

      /** Whether the peer only seems silent, because this process stood still a moment ago and has yet to hear it. */
      const isRash = (at: number) =>
        Number.isFinite(member.peerExpiry) &&
        (Fsm.isLate(rules, lastBeat, at) || at - lateAt < config.expiryMillis / 4)

      const mayServe = () => next < batch.length && running < config.concurrency

      /** Lets replies go, unless the peer may have taken over since they were made: their clients will ask again. */
      function* send(replies: ReadonlyArray<Frames.Frames>) {
        if (replies.length > 0 && slept() === undefined) {
          yield* frontend.reply(replies)
        }
      }

      /**
       * Judges and answers what there is, for one slice of time. Only with fresh evidence may the state change. `at` is when
       * the evidence was asked for: were it judged by a later time, the peer could have spoken in between, unheard.
       */
      function* serve(isFresh: boolean, at: number) {
        const began = now()
        const vote: Fsm.Event = { _tag: "ClientRequest", now: at }
        const replies: Array<Frames.Frames> = []
        while (mayServe()) {
          const outcome = Fsm.step(rules, member, vote)
          const isTakeOver = outcome.member !== member
          if (isTakeOver && !isFresh) {
            lookedAt = Number.NEGATIVE_INFINITY
            break
          }
          const isAccepted = outcome.verdict._tag === "Accept" && !(isTakeOver && isRash(at))
          if (isTakeOver && isAccepted) {
            yield* become(outcome)
          }
          if (isAccepted) {
            counters.accepted++
            try {
              answer(batch[next]!, replies)
            } catch (defect) {
              yield* failed(Cause.die(defect))
            }
          } else {
            counters.rejected++
          }
          next++
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
        yield* become(Fsm.step(rules, member, { _tag: "Slept", now: lastBeat }))
      }

      /** Applies what has come in: first all that the peer has said, if it can be trusted, then the beat that tells our state. */
      function* apply(inputs: ReadonlyArray<Input>, isTrusted: boolean) {
        let isBeat = false
        const replies: Array<Frames.Frames> = []
        for (const input of inputs) {
          switch (input._tag) {
            case "Heard":
              for (const message of isTrusted ? input.messages : []) {
                yield* hear(message)
              }
              break
            case "Gone":
              if (isTrusted) {
                yield* become(Fsm.step(rules, member, { _tag: "PeerGone", now: now(), evidence: input.evidence }))
              }
              break
            case "Beat":
              isBeat = true
              break
            case "Answered":
              running--
              if (input.term === term) {
                replies.push(input.reply)
              }
              break
            case "Failed":
              running--
              yield* failed(input.cause)
              break
            case "Stop":
              if (stopBy === Number.POSITIVE_INFINITY) {
                stopBy = now() + Duration.toMillis(config.drain)
                // Asked again when its time is up, it finds that it is.
                fork(Effect.delay(inbox.put(stop), config.drain))
              }
              break
            case "Asked":
              break
          }
        }
        if (isBeat && isTrusted) {
          const at = now()
          lateAt = Fsm.isLate(rules, lastBeat, at) ? at : lateAt
          yield* link.publish(encode(Fsm.wordOf[member.state]))
          // Who stood still while it published cannot know that the word has left.
          lastBeat = slept() === undefined ? at : lastBeat
        }
        yield* send(replies)
      }

      const isDone = () =>
        stopBy < Number.POSITIVE_INFINITY && ((next === batch.length && running === 0) || now() >= stopBy)

      yield* Effect.logInfo(start.say)
      while (!isDone()) {
        if (next === batch.length && requests !== undefined && stopBy === Number.POSITIVE_INFINITY) {
          batch = requests
          next = 0
          requests = undefined
          requestsTaken()
        }
        if (!mayServe()) {
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
      const goodbye = Fsm.step(rules, member, { _tag: "Stopping", now: now() })
      yield* become({ ...goodbye, publish: undefined })
      if (goodbye.publish !== undefined) {
        yield* link.farewell(encode(goodbye.publish))
      }
    }).pipe(Effect.ensuring(Deferred.succeed(stopped, undefined)))

    yield* Effect.all([
      fromFrontend,
      Effect.zipRight(fromPeer, endOf("messages from the peer")),
      Effect.zipRight(fromClock, endOf("beats")),
      Effect.zipRight(fromEvidence, endOf("evidence")),
      driver
    ], { concurrency: "unbounded", discard: true }).pipe(
      Effect.zipRight(Effect.never),
      Effect.onError((cause) =>
        Either.match(Cause.failureOrCause(cause), {
          onLeft: (error) =>
            Effect.zipRight(
              // A fatal verdict has been told already, in the words of the Guide.
              error._tag === "BinaryStarError" ? Effect.void : Effect.logError(error.message),
              Deferred.fail(ended, error)
            ),
          onRight: (cause) =>
            Effect.zipRight(
              Cause.isInterruptedOnly(cause) ? Effect.logWarning("interrupted") : Effect.logError("defect", cause),
              Deferred.failCause(ended, cause)
            )
        })
      ),
      Effect.annotateLogs({ package: "effect-binary-star", role: config.role }),
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.addFinalizer(() => {
      inbox.offer(stop)
      return Deferred.await(stopped)
    })

    return BinaryStar.of({
      role: config.role,
      state: Effect.flatMap(Deferred.poll(ended), Option.getOrElse(() => SubscriptionRef.get(state))),
      changes: Stream.interruptWhenDeferred(state.changes, ended),
      counters: Effect.sync(() => ({ ...counters })),
      join: Deferred.await(ended)
    })
  })

const decode = Schema.decodeEither(PeerMessage.PeerMessage)
const encode = Schema.encodeSync(PeerMessage.PeerMessage)

/** A reply in the envelope of its request. */
const envelop = (request: Frames.Frames, envelopeLength: number, reply: Frames.Input): Frames.Frames =>
  request.slice(0, envelopeLength).concat(Frames.make(reply))

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
 * Lets the event loop turn every 2 milliseconds, so that no busy fiber of the application can delay a heartbeat.
 * Effect's default scheduler was seen to delay timers by over 400 ms. The command `bstar` uses it; an application that
 * shares its process with a member should too.
 *
 * @since 0.1.0
 * @category layers
 */
export { layer as layerScheduler } from "./internal/scheduler.ts"
