import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { BinaryStarConfig } from "../BinaryStarConfig.ts"
import type { OrderReason, SocketError } from "../BinaryStarError.ts"
import { BinaryStarError, OrderRefused } from "../BinaryStarError.ts"
import * as Envelope from "../Envelope.ts"
import type * as Frames from "../Frames.ts"
import { Frontend } from "../Frontend.ts"
import * as Fsm from "../Fsm.ts"
import type { Handler } from "../Handler.ts"
import { type LinkEvent, PeerLink } from "../PeerLink.ts"
import * as PeerMessage from "../PeerMessage.ts"
import type { Hold, Report, Transition } from "../Report.ts"
import * as Answers from "./answers.ts"
import * as Burst from "./burst.ts"
import { monotonicReader, withMonotonicTime } from "./clock.ts"
import * as Damping from "./damping.ts"
import * as Inbox from "./inbox.ts"
import * as Line from "./line.ts"
import { nextTurn, sliceMillis } from "./scheduler.ts"
import * as Statistics from "./statistics.ts"
import * as Terms from "./terms.ts"

/** What an operator wants, and who waits until it is so. */
type Order = Promotion | HandOver

interface Promotion {
  readonly _tag: "Promote"
  readonly reason: string
  readonly done: Deferred.Deferred<void, OrderRefused>
}

interface HandOver {
  readonly _tag: "HandOver"
  readonly reason: string
  readonly done: Deferred.Deferred<{ readonly since: number }, OrderRefused>
}

/** A member is about to be active no more: it answers what it has accepted, until then, and takes no more. */
interface Leaving {
  readonly since: number
  readonly until: number
  /** The order to hand over; it is asked to stop otherwise. */
  readonly order: HandOver | undefined
}

/** What happens to a member, as it reaches the one fiber that owns its state. */
type Input =
  | Order
  | { readonly _tag: "Heard"; readonly messages: ReadonlyArray<Frames.Frames>; readonly at: number }
  | { readonly _tag: "Beat" }
  | { readonly _tag: "Asked" }
  | { readonly _tag: "Ended"; readonly ended: Answers.Ended }
  | { readonly _tag: "Gone"; readonly evidence: Fsm.Evidence }
  | { readonly _tag: "Link"; readonly event: LinkEvent }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "TimeUp" }
  | { readonly _tag: "Released" }

const isHeartbeat = ({ _tag }: Input): boolean => _tag === "Heard"

const isEvidence = ({ _tag }: Input): boolean => _tag === "Gone"

/** What a step of the connection to the peer is to the state machine. */
const linkTags = { Connecting: "LinkConnecting", Connected: "LinkConnected", Lost: "LinkLost" } as const

/** Requests that are read in one go where they are answered at once. With fewer, libzmq's thread is woken up more often. */
const batchSize = 256

/** The same where one client asks for more than all others together, so that they do not wait for what it asks. */
const smallBatchSize = 16

const beat: Input = { _tag: "Beat" }
const asked: Input = { _tag: "Asked" }
const stop: Input = { _tag: "Stop" }
const timeUp: Input = { _tag: "TimeUp" }
const released: Input = { _tag: "Released" }

/**
 * What runs a member, and what others may ask of it.
 *
 * @internal
 */
export interface Driver {
  /** Takes in what comes and does what follows, until it is asked to stop or fails. */
  readonly run: Effect.Effect<never, BinaryStarError | SocketError>
  readonly latest: SubscriptionRef.SubscriptionRef<Transition>
  /** Fails with what ended it. */
  readonly ended: Deferred.Deferred<never, BinaryStarError | SocketError>
  readonly whileActive: Terms.Terms<Transition, BinaryStarError | SocketError>["whileActive"]
  readonly stop: Effect.Effect<void>
  readonly report: Effect.Effect<Report>
  readonly pause: (reason: string) => Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly promote: (reason: string) => Effect.Effect<void, OrderRefused>
  readonly handOver: (reason: string) => Effect.Effect<{ readonly since: number }, OrderRefused>
}

/**
 * Three streams of events come in: requests from the frontend, states from the peer, beats from the clock. One fiber takes
 * them in, folds the state machine over them and carries out what it says.
 *
 * @internal
 */
export const make = <R>(
  config: BinaryStarConfig,
  handler: Handler<R>
): Effect.Effect<Driver, never, Frontend | PeerLink | Scope.Scope | R> =>
  Effect.gen(function*() {
    const frontend = yield* Frontend
    const link = yield* PeerLink
    const now = yield* monotonicReader
    const fork = yield* FiberSet.makeRuntime<never>()
    const rules: Fsm.Rules = {
      role: config.role,
      policy: Fsm.policies[config.policy],
      expiryMillis: config.expiryMillis,
      handshakeMillis: config.handshakeMillis,
      lone: config.lone
    }
    const start = Fsm.start(rules, now())
    const began = now()
    const quietMillis = Math.max(config.expiryMillis, 10_000)
    // These are the driver's to write, and everybody's to see.
    let member = start.member
    let leaving: Leaving | undefined
    let hasEnded = false
    const latest = yield* SubscriptionRef.make<Transition>({
      from: undefined,
      to: start.member.state,
      cause: "Start",
      say: start.say ?? "Start",
      at: now()
    })
    const terms = Terms.make<Transition, BinaryStarError | SocketError>()
    const annotated = Effect.annotateLogs({ package: "effect-binary-star", role: config.role })
    const stopped = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, BinaryStarError | SocketError>()
    const statistics = Statistics.make(Duration.toMillis(config.heartbeat))
    const { counters } = statistics
    const damping = Damping.make(
      config.maxFailovers ?? Number.POSITIVE_INFINITY,
      Duration.toMillis(config.failoverWindow)
    )
    let paused: Extract<Hold, { _tag: "Paused" }> | undefined
    /** Whether the peer is heard although what it says makes no difference now. */
    const isHeard = (at: number) => {
      const { heardAt } = statistics.peer()
      return Number.isFinite(member.peerExpiry) && heardAt !== undefined && at - heardAt <= config.expiryMillis
    }
    const holdAt = (at: number): Hold | undefined => {
      const until = damping.until(at)
      return paused ?? (until === undefined ? undefined : { _tag: "Damped", until })
    }

    // The three streams of events run into one inbox. Requests only announce themselves there and wait apart, one batch at
    // a time; further ones stay in the socket, whose high-water mark holds the clients back.
    const inbox = Inbox.make<Input>()
    const answers = yield* Answers.make(handler, {
      timeout: config.timeout,
      quietMillis: config.expiryMillis,
      onEnd: (ended) => inbox.offer({ _tag: "Ended", ended }),
      onAnswer: (at) => statistics.latency.add(now() - at),
      onFailure: () => counters.failed++
    })
    let requests: ReadonlyArray<Frames.Frames> | undefined
    let requestsAt = 0
    let requestsTaken = () => {}
    // Requests that may be answered as soon as others have ended. They are few, so that whoever asks next is not behind many.
    const line = Line.make()
    const lineLength = Math.min(batchSize, 2 * config.concurrency)
    let nextSize = batchSize
    const room = () => answers.running() + line.size() === 0 ? nextSize : Math.max(1, lineLength - line.size())
    const fromFrontend = frontend.run((batch) => {
      // Of fewer it cannot be told.
      if (batch.length >= smallBatchSize) {
        nextSize = Line.isOneMost(batch) ? smallBatchSize : batchSize
      }
      requests = batch
      requestsAt = now()
      inbox.offer(asked)
      return new Promise((resolve) => requestsTaken = resolve)
    }, () => room())
    const fromPeer = Stream.runForEach(link.messages, (messages) => inbox.put({ _tag: "Heard", messages, at: now() }))
    const fromEvidence = config.crashDetection
      ? Stream.runForEach(link.gone, (evidence) => inbox.put({ _tag: "Gone", evidence }))
      : Effect.never
    const fromLink = Stream.runForEach(link.events, (event) => inbox.put({ _tag: "Link", event }))
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
      let batch: ReadonlyArray<Frames.Frames> = []
      let batchAt = 0
      let next = 0
      let lookedAt = Number.NEGATIVE_INFINITY
      let lastBeat = now()
      let lateAt = Number.NEGATIVE_INFINITY
      let isVoteDue = false
      let promotion: Promotion | undefined
      let isPromotionDue = false
      // What a promotion has made of this member, which is not yet active. Any word from the peer makes another of it.
      let promoted: Fsm.Member | undefined
      let goneBecause: string | undefined
      let isBatchLate = false
      let isLineOver = false
      let isReleased = false
      const isNewJunk = Burst.make(config.expiryMillis)
      const isNewlyHeld = Burst.make(config.expiryMillis)
      const isNewlyDual = Burst.make(quietMillis)
      const isNewlySilent = Burst.make(quietMillis)

      const become = (
        outcome: Fsm.Outcome,
        cause: Transition["cause"],
        why: Pick<Transition, "evidence" | "reason"> = {}
      ): Effect.Effect<void, BinaryStarError | SocketError> =>
        Effect.gen(function*() {
          const from = member.state
          member = outcome.member
          const isFatal = outcome.verdict._tag === "Fatal"
          const transition: Transition = { from, to: member.state, cause, say: outcome.say ?? cause, ...why, at: now() }
          const isActivated = member.state !== from && member.state === "ACTIVE"
          // A server that is said to be active has told its peer so, which would not take over from it otherwise.
          if (isActivated && outcome.publish !== undefined) {
            yield* link.publish(encode(outcome.publish))
          }
          if (outcome.say !== undefined) {
            const say = isFatal ? Effect.logError(outcome.say) : Effect.logInfo(outcome.say)
            yield* member.state === from && !isFatal ? say : Effect.annotateLogs(say, noteOf(transition))
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
          if (outcome.publish !== undefined && !isActivated) {
            // A state without heartbeats also closes the port, so that the peer detects it.
            const isLast = Fsm.wordOf[member.state] === undefined
            yield* (isLast ? link.farewell : link.publish)(encode(outcome.publish))
          }
          if (isActivated) {
            terms.begin(transition)
          }
        })

      const advance = (event: Fsm.Event, why?: Pick<Transition, "evidence" | "reason">) =>
        become(Fsm.step(rules, member, event), event._tag, why)

      /** What is known of the peer's silence, for people. */
      const silence = (at: number) => {
        const { heardAt } = statistics.peer()
        return Number.isFinite(member.peerExpiry) || goneBecause === undefined
          ? heardAt === undefined
            ? "no word from the peer yet"
            : `no word from the peer for ${Math.round(at - heardAt)} ms`
          : goneBecause
      }

      /** What follows from having stood still, if this process has and if its policy minds. */
      const slept = (): Fsm.Outcome | undefined => {
        const at = now()
        if (!Fsm.hasSlept(rules, lastBeat, at)) {
          return undefined
        }
        const outcome = Fsm.step(rules, member, { _tag: "Slept", now: at })
        return outcome.member === member ? undefined : outcome
      }

      const hear = (message: Frames.Frames, at: number) => {
        const decoded = decode(message)
        if (Either.isRight(decoded)) {
          statistics.hear(decoded.right, member.state, at)
          return Effect.zipRight(
            advance(PeerMessage.toEvent(decoded.right, at), { evidence: `the peer says ${decoded.right}` }),
            decoded.right === "ACTIVE" ? warnOfTwo(at) : Effect.void
          )
        }
        counters.malformed++
        return isNewJunk(at)
          ? Effect.logWarning(
            `malformed state message from the peer at ${config.peer} ignored: ${decoded.left.message}`
          )
          : Effect.void
      }

      const warnOfTwo = (at: number) =>
        Effect.suspend(() =>
          member.state === "ACTIVE" && isNewlyDual(at)
            ? Effect.logError(
              `two servers are active: the peer at ${config.peer} reports ACTIVE, and so does this one; ` +
                "stop one of them (a peer of another make may not step down by itself)"
            )
            : Effect.void
        )

      /** Tells why the state machine refuses votes while nothing comes from the peer, which would otherwise go unnoticed. */
      const warnOfSilence = (at: number) =>
        Effect.gen(function*() {
          const { heardAt = began } = statistics.peer()
          // After a stall the silence may be this process's own.
          const isSilent = at - heardAt > config.expiryMillis && Fsm.isPeerExpired(member, at)
          if (!isSilent || !isNewlySilent(at)) {
            return
          }
          const peer = config.role === "primary" ? "backup" : "primary"
          const isBlocked = config.lone === "serve" && !member.hasReceived && (yield* link.hasSubscriber)
          yield* Effect.logWarning(
            `votes are refused: no heartbeat from the ${peer} at ${config.peer} for ${
              Math.round((at - heardAt) / 1000)
            } s, ` + (isBlocked
              ? `but a subscriber is connected to ${config.state}, so that a ${peer} may be there: check --peer and --state`
              : `waiting for it; start the ${peer}, or bstar promote`)
          )
        })

      /** Whether the peer only seems silent, because this process stood still a moment ago and has yet to hear it. */
      const isRash = (at: number) =>
        Number.isFinite(member.peerExpiry) &&
        (Fsm.isLate(rules, lastBeat, at) || at - lateAt < config.expiryMillis / 4)

      const isBusy = () => answers.running() >= config.concurrency

      const isLate = () => isBatchLate && next < batch.length

      const isWaiting = () => next < batch.length || line.size() > 0

      const mayServe = () => isLate() || (line.size() > 0 && isLineOver) || (isWaiting() && !isBusy())

      /** What a client may not have. */
      const excessOf = (request: Frames.Frames): readonly ["Busy" | "Failed", string] | undefined => {
        const { maxFrames, maxPerClient = Number.POSITIVE_INFINITY } = config
        const frames = request.length - 1
        return frames > maxFrames
          ? ["Failed", `${frames} frames, of ${maxFrames} that a request may have`]
          : answers.running() + line.size() >= maxPerClient &&
              answers.runningOf(request) + line.sizeOf(request) >= maxPerClient
          ? ["Busy", `${maxPerClient} requests under way, which is all that a client may have`]
          : undefined
      }

      const refuse = (
        [status, why]: readonly ["Busy" | "Failed", string],
        request: Frames.Frames,
        replies: Array<Frames.Frames>
      ) => {
        counters.limited++
        return answers.limit(request, status, why, replies)
      }

      /** Takes the requests that wait, if there are any. What is taken when it stops is for the other server. */
      const takeBatch = () => {
        if (requests === undefined) {
          return false
        }
        batch = requests
        batchAt = requestsAt
        next = 0
        isBatchLate = isBatchLate || leaving !== undefined
        requests = undefined
        requestsTaken()
        return true
      }

      /**
       * Takes what waits. What cannot be answered now waits in line, where everybody has his turn, up to so many; the rest
       * stays with the clients.
       */
      function* takeRequests() {
        const replies: Array<Frames.Frames> = []
        while (!isLate() && (next === batch.length || line.size() > 0 || isBusy())) {
          while (next < batch.length) {
            const request = batch[next++]!
            const excess = excessOf(request)
            if (excess === undefined) {
              line.add({ request, at: batchAt })
              continue
            }
            const warning = refuse(excess, request, replies)
            if (warning !== undefined) {
              yield* warning
            }
          }
          if (line.size() >= lineLength || !takeBatch()) {
            break
          }
        }
        yield* send(replies)
      }

      /** Sends away what this server will not answer any more. */
      function* sendAway() {
        isBatchLate = true
        isLineOver = true
        while (isWaiting() || takeBatch()) {
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
       * Takes over, or begins to. Only with fresh evidence may the state change: without it whoever wants it has to wait. And
       * not where the peer only seems silent.
       */
      function* takeOver(
        outcome: Fsm.Outcome,
        isFresh: boolean,
        at: number,
        cause: "ClientRequest" | "Promote",
        why: Pick<Transition, "evidence" | "reason">
      ) {
        if (!isFresh) {
          lookedAt = Number.NEGATIVE_INFINITY
          return "wait"
        }
        if (outcome.member === member || isRash(at)) {
          return "reject"
        }
        yield* become(outcome, cause, why)
        return outcome.verdict._tag === "Accept" ? "accept" : "reject"
      }

      /** Takes over because of a vote, unless that is on hold. Who waits for its peer to take over may cease to do so. */
      function* elect(outcome: Fsm.Outcome, isFresh: boolean, at: number, voter: string) {
        const from = member.state
        // Becoming active for the first time is no failover, nor is another way of waiting.
        const held = outcome.verdict._tag === "Accept" ? holdAt(at) : undefined
        const hold = held?._tag === "Damped" && from === "PRIMARY" ? undefined : held
        if (hold !== undefined) {
          if (isNewlyHeld(at)) {
            yield* hold._tag === "Paused"
              ? Effect.logWarning(
                `paused by an operator (${hold.reason}): votes are refused although the peer is silent`
              )
              : Effect.logError(
                `more than ${config.maxFailovers} failovers in ${
                  Duration.format(config.failoverWindow)
                }: votes are refused for ${Math.ceil((hold.until - at) / 1000)} s more; bstar promote overrides`
              )
          }
          return "reject"
        }
        const verdict = yield* takeOver(outcome, isFresh, at, "ClientRequest", {
          evidence: `${silence(at)}; vote by ${voter}`
        })
        const { heardAt, said } = statistics.peer()
        // After a goodbye it was planned.
        if (verdict === "accept" && said === "ACTIVE" && from !== "PRIMARY") {
          counters.failovers++
          damping.add(at)
          statistics.failover.add(at - (heardAt ?? at))
        }
        return verdict
      }

      /** Does what an operator has ordered, if it can be done, be it after a while. */
      function* promote(order: Promotion, isFresh: boolean, at: number) {
        const before = member
        const outcome = Fsm.step(rules, member, { _tag: "Promote", now: at })
        const verdict = outcome.member === member && outcome.verdict._tag === "Accept"
          ? "accept"
          : yield* takeOver(outcome, isFresh, at, "Promote", { evidence: silence(at), reason: order.reason })
        if (verdict === "wait") {
          return
        }
        isPromotionDue = false
        if (verdict === "reject") {
          promoted = member === before ? promoted : member
          if (member === promoted) {
            return
          }
        }
        promotion = undefined
        promoted = undefined
        yield* settle(order, verdict === "accept" ? Effect.void : refused(order, "PeerAlive"))
      }

      /** Begins to hand over, if there is somebody to hand over to. */
      function* beginHandOver(order: HandOver, at: number) {
        const isSupported = Fsm.step(rules, member, { _tag: "Yield", now: at }).member.state === "YIELDING"
        const refusal = leaving !== undefined
          ? "Interrupted"
          : member.state !== "ACTIVE"
          ? "NotActive"
          : !isSupported
          ? "Unsupported"
          : Fsm.isPeerExpired(member, at) || statistics.peer().said !== "PASSIVE"
          ? "PeerSilent"
          : undefined
        if (refusal !== undefined) {
          yield* settle(order, refused(order, refusal))
          return
        }
        yield* Effect.logInfo(`handing over: ${order.reason}`)
        leave(order)
      }

      const leave = (order: HandOver | undefined) => {
        const since = now()
        leaving = { since, until: since + Duration.toMillis(config.drain), order }
        fork(Effect.interruptible(Effect.delay(Effect.sync(() => inbox.offer(timeUp)), config.drain)))
      }

      /**
       * Judges and answers what there is, for one slice of time. `at` is when the evidence was asked for: were it judged by a
       * later time, the peer could have spoken in between, unheard.
       */
      function* serve(isFresh: boolean, at: number) {
        const began = now()
        const hasSubscriber = member.state === "BACKUP" && (yield* link.hasSubscriber)
        const vote: Fsm.Event = { _tag: "ClientRequest", now: at, hasSubscriber }
        const replies: Array<Frames.Frames> = []
        let answered = 0
        let isRefused = false
        if (promotion !== undefined && isPromotionDue) {
          yield* promote(promotion, isFresh, at)
        }
        if (isVoteDue) {
          const outcome = Fsm.step(rules, member, vote)
          isVoteDue = outcome.member !== member && (yield* elect(outcome, isFresh, at, "this server")) === "wait"
        }
        while (mayServe()) {
          const first = isLate() ? undefined : line.first()
          const request = first?.request ?? batch[next]!
          const requestAt = first?.at ?? batchAt
          const outcome = Fsm.step(rules, member, vote)
          const isVote = outcome.member !== member || outcome.verdict._tag === "Reject"
          const verdict = (first === undefined ? isBatchLate : isLineOver)
            ? "reject"
            : outcome.member !== member
            ? yield* elect(outcome, isFresh, at, `client ${Encoding.encodeHex(request[0]!)}`)
            : outcome.verdict._tag === "Accept"
            ? "accept"
            : "reject"
          if (verdict === "wait") {
            break
          }
          counters.votes += isVote ? 1 : 0
          // Who waits in line has been found to be within the limits.
          const excess = verdict === "accept" && first === undefined ? excessOf(request) : undefined
          if (first === undefined) {
            next++
          } else {
            line.shift()
          }
          if (verdict === "reject") {
            isRefused ||= outcome.verdict._tag === "Reject"
            counters.rejected++
            answers.refuse(request, replies)
          } else {
            const before = replies.length
            counters.accepted += excess === undefined ? 1 : 0
            const failure = excess === undefined
              ? answers.begin(request, member.state, requestAt, replies)
              : refuse(excess, request, replies)
            if (first === undefined && excess === undefined) {
              answered += replies.length - before
            }
            if (failure !== undefined) {
              yield* failure
            }
          }
          if (now() - began > sliceMillis) {
            break
          }
        }
        if (isRefused && leaving === undefined) {
          yield* warnOfSilence(at)
        }
        yield* send(replies)
        if (answered > 0) {
          statistics.latency.add(now() - batchAt, answered)
        }
        if (mayServe() && isFresh) {
          yield* nextTurn
        }
      }

      /** Takes in what has come, unless this process has stood still meanwhile: then what it knew of the peer is void. */
      function* takeIn(inputs: ReadonlyArray<Input>) {
        if (slept() === undefined) {
          // A policy that does not mind must not publish what the peer has overtaken in the meantime.
          if (Fsm.hasSlept(rules, lastBeat, now())) {
            return yield* apply([...inputs, ...(yield* drain())], true)
          }
          // Evidence comes after all that the peer has said before.
          const hasMore = inputs.some(isEvidence) && (yield* link.waiting)
          return yield* apply(hasMore ? [...inputs, ...(yield* inbox.takeAll)] : inputs, true)
        }
        const evidence = `stood still for ${Math.round(now() - lastBeat)} ms`
        const found = yield* findPeer(inputs)
        if (found.aloneSince !== undefined) {
          return yield* keepTerm(found.inputs, found.aloneSince, evidence)
        }
        yield* apply(found.inputs, false)
        lastBeat = now()
        yield* advance({ _tag: "Slept", now: lastBeat }, { evidence })
        // What the peer sent before is dropped, and the time that it has to be heard counts from then on.
        yield* apply(yield* drain(), false)
        lastBeat = now()
        member = Fsm.step(rules, member, { _tag: "Slept", now: lastBeat }).member
      }

      /**
       * Since when this member, which has stalled, is known to have no peer; undefined where there may be one. That is probed only
       * if the member was active, and its peer had expired, before the stall. Meanwhile the member replies to no request and
       * publishes nothing. What it receives is added to `inputs`.
       */
      function* findPeer(inputs: ReadonlyArray<Input>) {
        const at = now()
        if (
          !config.crashDetection || member.state !== "ACTIVE" || !Fsm.isPeerExpired(member, lastBeat) ||
          !Fsm.mayKeepTerm(rules, lastBeat, at) || inputs.some(isHeartbeat) ||
          // An answer that is too late to keep the term does not delay its end.
          !(yield* link.isRefused(Math.min(config.expiryMillis / 8, lastBeat + config.expiryMillis - at))) ||
          !Fsm.mayKeepTerm(rules, lastBeat, now())
        ) {
          return { aloneSince: undefined, inputs }
        }
        const received = yield* drain()
        // A peer that starts after the refusal gives this member as much time as one that received a heartbeat then.
        const isAlone = !received.some(isHeartbeat) && !Fsm.hasSlept(rules, at, now())
        return { aloneSince: isAlone ? at : undefined, inputs: [...inputs, ...received] }
      }

      /** The member stays active and publishes that. Replies that were made during the stall are sent. */
      function* keepTerm(inputs: ReadonlyArray<Input>, aloneSince: number, evidence: string) {
        const at = now()
        lastBeat = aloneSince
        yield* advance({ _tag: "Slept", now: at, isAlone: true }, { evidence })
        // If the process stalled again while it published, that is noticed next.
        const isTrusted = slept() === undefined
        lastBeat = isTrusted ? at : lastBeat
        yield* apply(inputs, isTrusted)
      }

      /** All that the peer has sent, batch by batch, until nothing is left. What it sends meanwhile does not keep this up. */
      function* drain() {
        yield* link.forget
        const until = now() + config.expiryMillis / 4
        const all: Array<Input> = []
        let isMore = true
        while (isMore && now() < until) {
          isMore = yield* link.waiting
          const inputs = inbox.poll()
          isMore ||= inputs.some(isHeartbeat)
          all.push(...inputs)
        }
        return all
      }

      /** Applies what has come in: first all that the peer has said, if it can be trusted, then the beat that tells our state. */
      function* apply(inputs: ReadonlyArray<Input>, isTrusted: boolean) {
        let isBeat = false
        let isJoined = false
        const replies: Array<Frames.Frames> = []
        const ended: Array<Answers.Ended> = []
        const evidence: Array<Fsm.Evidence> = []
        for (const input of inputs) {
          switch (input._tag) {
            case "Heard":
              for (const message of isTrusted ? input.messages : []) {
                yield* hear(message, input.at)
              }
              break
            case "Gone":
              evidence.push(input.evidence)
              break
            case "Link":
              if (input.event === "Joined") {
                isJoined = true
              } else {
                yield* advance({ _tag: linkTags[input.event], now: now() })
              }
              break
            case "Promote":
              if (leaving !== undefined || promotion !== undefined) {
                yield* settle(input, refused(input, "Interrupted"))
              } else {
                promotion = input
                isPromotionDue = true
              }
              break
            case "HandOver":
              yield* beginHandOver(input, now())
              break
            case "Beat":
              isBeat = true
              break
            case "Ended":
              ended.push(input.ended)
              break
            case "TimeUp":
              // A timer may come a little early. That of an earlier order says nothing.
              if (leaving !== undefined && now() > leaving.until - sliceMillis) {
                leaving = { ...leaving, until: now() }
              }
              break
            case "Released":
              isReleased = true
              break
            case "Stop":
              if (leaving?.order !== undefined) {
                yield* settle(leaving.order, refused(leaving.order, "Interrupted"))
                leaving = { ...leaving, order: undefined }
              } else if (leaving === undefined) {
                leave(undefined)
              }
              break
            case "Asked":
              break
          }
        }
        for (const one of isTrusted ? evidence : []) {
          yield* learn(one)
          voteLater()
        }
        // What the peer has said may have ended the term in which they were begun.
        for (const one of ended) {
          yield* answers.conclude(one, replies)
        }
        if (isBeat && isTrusted) {
          const at = now()
          if (Fsm.isLate(rules, lastBeat, at)) {
            lateAt = at
            yield* advance({ _tag: "Late", now: at })
          }
          statistics.beat(at)
          yield* publishState
          // Who stood still while it published cannot know that the word has left.
          lastBeat = slept() === undefined ? at : lastBeat
          voteLater()
        } else if (isJoined && isTrusted) {
          yield* publishState
        }
        yield* send(replies)
      }

      const publishState = Effect.suspend(() => {
        const word = Fsm.wordOf[member.state]
        return word === undefined ? Effect.void : link.publish(encode(word))
      })

      /** Whether the next vote lets this server go on without making it active. It needs no client for that. */
      const goesOn = () => {
        const vote = Fsm.step(rules, member, { _tag: "ClientRequest", now: now(), hasSubscriber: true })
        return vote.member !== member && vote.verdict._tag === "Reject"
      }

      /** Whoever wants this server to be active is heard when what has come in is applied. */
      const voteLater = () => {
        isVoteDue = leaving === undefined && (config.vote === "self" || goesOn())
        isPromotionDue = promotion !== undefined
      }

      const learn = (evidence: Fsm.Evidence) =>
        Effect.suspend(() => {
          const outcome = Fsm.step(rules, member, { _tag: "PeerGone", now: now(), evidence })
          goneBecause = outcome.say ?? goneBecause
          return become(outcome, "PeerGone")
        })

      const isDone = ({ until }: Leaving) => (!isWaiting() && answers.running() === 0) || now() >= until

      /** Serves until this server is to leave and has answered what it had accepted. */
      function* serveUntilDone() {
        while (leaving === undefined || !isDone(leaving)) {
          yield* takeRequests()
          if (!mayServe() && !isVoteDue && !isPromotionDue) {
            yield* takeIn(yield* inbox.takeAll)
            continue
          }
          yield* judge()
        }
      }

      /** Judges what is to be judged, after fresh evidence. */
      function* judge() {
        // What the peer has said is applied before a request is judged. What came within the last slice of time is as good as
        // still under way, but for a vote that would change the state.
        const at = now()
        const isFresh = at - lookedAt > sliceMillis
        if (isFresh && (yield* link.waiting)) {
          return yield* takeIn(yield* inbox.takeAll)
        }
        yield* takeIn(inbox.poll())
        if (isFresh) {
          lookedAt = at
        }
        yield* serve(isFresh, at)
      }

      /** Ends what runs while this server is active. As long as that takes the peer hears that it is. */
      function* releaseAll(cause: "Stopping" | "Yield", reason?: string) {
        const at = now()
        const { member: { state }, say = cause } = Fsm.step(rules, member, { _tag: cause, now: at })
        isReleased = false
        fork(Effect.zipRight(
          release({ from: member.state, to: state, cause, say, at, ...(reason === undefined ? {} : { reason }) }),
          inbox.put(released)
        ))
        while (!isReleased) {
          yield* sendAway()
          yield* takeIn(yield* inbox.takeAll)
        }
      }

      /** Leaves it to the peer to be active, unless it is asked to stop, or has ceased to be active, before it comes to that. */
      function* handOver(order: HandOver, since: number) {
        yield* releaseAll("Yield", order.reason)
        if (leaving?.order === undefined) {
          return
        }
        if (member.state === "ACTIVE") {
          yield* advance({ _tag: "Yield", now: now() }, { reason: order.reason })
          yield* settle(order, Effect.succeed({ since }))
        } else {
          yield* settle(order, refused(order, "Interrupted"))
        }
        leaving = undefined
        isBatchLate = false
        isLineOver = false
      }

      yield* publishState
      yield* Effect.logInfo(start.say)
      yield* serveUntilDone()
      while (leaving?.order !== undefined) {
        yield* handOver(leaving.order, leaving.since)
        yield* serveUntilDone()
      }
      yield* releaseAll("Stopping")
      const lastWord = Fsm.step(rules, member, { _tag: "Stopping", now: now() })
      yield* become({ ...lastWord, publish: undefined }, "Stopping")
      if (lastWord.publish !== undefined) {
        yield* link.farewell(encode(lastWord.publish))
      }
      yield* sendAway()
      return yield* Effect.interrupt
    }).pipe(Effect.ensuring(Deferred.succeed(stopped, undefined)))

    const run = Effect.all([
      fromFrontend,
      Effect.zipRight(fromPeer, endOf("messages from the peer")),
      Effect.zipRight(fromClock, endOf("beats")),
      Effect.zipRight(fromEvidence, endOf("evidence")),
      Effect.zipRight(fromLink, endOf("events of the link")),
      driver
    ], { concurrency: "unbounded", discard: true }).pipe(
      Effect.zipRight(Effect.never),
      Effect.onError((cause) => {
        // What was interrupted because of a failure says nothing by itself.
        const why = Either.match(Cause.failureOrCause(cause), { onLeft: Cause.fail, onRight: identity })
        hasEnded = true
        return tellEnd(why).pipe(
          Effect.zipRight(SubscriptionRef.get(latest)),
          Effect.flatMap(({ to }) => release({ from: to, to, cause: "End", say: "the member has ended", at: now() })),
          Effect.zipRight(Deferred.failCause(ended, why)),
          Effect.zipRight(terms.close(why))
        )
      }),
      annotated
    )
    const stopNow = Effect.suspend(() => {
      inbox.offer(stop)
      return Deferred.await(stopped)
    })
    /** Gives an order to the driver, which settles it unless it ends before. */
    const order = <A>(make: (done: Deferred.Deferred<A, OrderRefused>) => Extract<Input, Order>) =>
      Effect.suspend(() => {
        const done = Deferred.unsafeMake<A, OrderRefused>(FiberId.none)
        const order = make(done)
        inbox.offer(order)
        return Effect.raceFirst(
          Deferred.await(done),
          Effect.zipRight(Effect.exit(Deferred.await(ended)), refused(order, "Interrupted"))
        )
      })

    return {
      run,
      latest,
      ended,
      whileActive: terms.whileActive,
      stop: stopNow,
      report: Effect.zipWith(SubscriptionRef.get(latest), frontend.connections, (transition, connections) => {
        const at = now()
        const vote = Fsm.step(rules, member, { _tag: "ClientRequest", now: at })
        return {
          at,
          transition,
          answers: !hasEnded && leaving === undefined && vote.member === member && vote.verdict._tag === "Accept",
          peer: { ...statistics.peer(), isExpired: Fsm.isPeerExpired(member, at) && !isHeard(at) },
          counters: { ...counters },
          connections,
          latency: statistics.latency.get(),
          failover: statistics.failover.get(),
          hold: holdAt(at)
        }
      }),
      pause: (reason) =>
        Effect.suspend(() => {
          paused = { _tag: "Paused", reason, at: now() }
          return Effect.logWarning(`paused: ${reason}`)
        }).pipe(annotated),
      resume: Effect.suspend(() => {
        paused = undefined
        return Effect.logInfo("resumed")
      }).pipe(annotated),
      promote: (reason) => order<void>((done) => ({ _tag: "Promote", reason, done })),
      handOver: (reason) => order<{ readonly since: number }>((done) => ({ _tag: "HandOver", reason, done }))
    }
  })

const refused = (order: Order, reason: OrderReason) =>
  new OrderRefused({ order: order._tag === "Promote" ? "promote" : "handOver", reason })

const settle = <A>(
  order: { readonly done: Deferred.Deferred<A, OrderRefused> },
  exit: Effect.Effect<A, OrderRefused>
) => Deferred.complete(order.done, exit)

/** What a log tells of a transition besides its message. */
const noteOf = ({ cause, evidence, from, reason, to }: Transition) => ({
  event: "transition",
  from,
  to,
  cause,
  ...(evidence === undefined ? {} : { evidence }),
  ...(reason === undefined ? {} : { reason })
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
