/** Passes inputs to the core, and performs its outputs in order. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { nextPoll } from "../internal/Scheduler.ts"
import type { Publication } from "../ports/PeerLink.ts"
import * as Term from "../protocol/Term.ts"
import { inMillis, timing } from "../protocol/Timing.ts"
import * as Envelope from "../wire/Envelope.ts"
import type * as Frames from "../wire/Frames.ts"
import * as HeartbeatMessage from "../wire/HeartbeatMessage.ts"
import * as PeerMessage from "../wire/PeerMessage.ts"
import type { Event, Failure, Runtime } from "./context.ts"
import * as Member from "./Member.ts"
import { MemberError } from "./MemberError.ts"
import type { Completion } from "./Responder.ts"
import * as WitnessCalls from "./witnessCalls.ts"

const decode = Schema.decodeEither(PeerMessage.PeerMessage)
const encode = Schema.encodeSync(PeerMessage.PeerMessage)

/** Steps the core, and performs the outputs. */
export const step = (runtime: Runtime, inputs: ReadonlyArray<Member.Input>): Effect.Effect<void, Failure> =>
  Effect.suspend(() => {
    const { rules, state, terms } = runtime
    const { member, outputs } = Member.step(rules, state.member, inputs, runtime.now())
    state.member = member
    terms.onNumber(Member.termOf(member))
    return performAll(runtime, outputs)
  })

/**
 * Performs outputs. Some have a result that is processed at once; the outputs that follow from it are performed after all
 * pending ones, so the order is that of the decisions.
 */
export const performAll = (
  runtime: Runtime,
  outputs: ReadonlyArray<Member.Output>
): Effect.Effect<void, Failure> => {
  const { pending } = runtime.state
  pending.push(...outputs)
  return pending.length === 0 ? Effect.void : Effect.whileLoop({
    while: () => pending.length > 0,
    body: () => perform(runtime, pending.shift()!),
    step: () => {}
  })
}

const perform = (runtime: Runtime, output: Member.Output): Effect.Effect<void, Failure> => {
  const { counters, latest, terms } = runtime
  switch (output._tag) {
    case "Publish":
      return publish(runtime, output)
    case "Reply":
      return Effect.asVoid(runtime.link.publish({ heartbeat: HeartbeatMessage.encode(output.heartbeat) }))
    case "AskWitness":
      return WitnessCalls.askWitness(runtime, output)
    case "Probe":
      return WitnessCalls.probe(runtime)
    case "ReadLink":
      return readLink(runtime)
    case "ResetLink":
      return resetLink(runtime, output)
    case "EndTerm":
      return endTerm(runtime, output)
    case "BeginTerm":
      return Effect.sync(() => terms.begin(output.transition))
    case "Transitioned":
      return SubscriptionRef.set(latest, output.transition)
    case "FailedOver":
      counters.failovers++
      counters.failover.add(output.silentMillis)
      return Effect.void
    case "Conflict":
      counters.conflicts++
      return Effect.void
    case "WakeAt":
      return wakeAt(runtime, output.at)
    case "Leased":
      return SubscriptionRef.set(runtime.leasedUntil, output.until)
    case "Complete":
      return Effect.sync(() => runtime.commands.get(output.id)?.(output.rejection, output.since))
    case "Log":
      return log(runtime, output)
    case "Abort":
      return abort(runtime, output.reason)
    case "Exit":
      return Effect.sync(() => {
        runtime.state.isOver = true
      })
  }
}

const publish = (
  runtime: Runtime,
  { heartbeat, isFinal, isHeartbeat, state }: Extract<Member.Output, { _tag: "Publish" }>
): Effect.Effect<void, Failure> => {
  const publication: Publication = { state: encode(state), heartbeat: HeartbeatMessage.encode(heartbeat) }
  if (!isHeartbeat) {
    return isFinal ? publishFinal(runtime, publication) : Effect.asVoid(runtime.link.publish(publication))
  }
  const startedAt = runtime.now()
  runtime.counters.heartbeat(startedAt, runtime.state.member.peer?.receivedAt)
  return Effect.flatMap(
    runtime.link.publish(publication),
    (isPortOpen) => step(runtime, [{ _tag: "HeartbeatSent", startedAt, isPortOpen }])
  )
}

/**
 * Publishes the final heartbeat, which makes the peer active, and closes the port. That takes longer, so requests are rejected meanwhile:
 * their clients send them to the peer. Other events wait.
 */
const publishFinal = (runtime: Runtime, publication: Publication): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { link, queue, requests, state } = runtime
    const later: Array<Event> = []
    const rejectArrived = Effect.suspend(() => {
      requests.rejectAll(state.member.protocol.state)
      return flush(runtime)
    })
    yield* link.publishFinal(publication)
    yield* Effect.zipRight(nextPoll, rejectArrived)
    const rejectArriving = Effect.forever(Effect.flatMap(queue.takeAll, (events) => {
      later.push(...events)
      return rejectArrived
    }))
    yield* Effect.raceFirst(link.close, rejectArriving)
    later.forEach(queue.offer)
  })

/** Delivers everything that the peer has sent before now, batch by batch, then `LinkRead`. */
const readLink = (runtime: Runtime): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { link, now, queue, state } = runtime
    let at = now()
    while (yield* link.poll) {
      yield* processEvents(runtime, yield* queue.takeAll)
      at = now()
    }
    state.linkReadAt = at
    const hasSubscriber = yield* link.hasSubscriber
    yield* processEvents(runtime, queue.poll(), [{ _tag: "LinkRead", at, hasSubscriber }])
  })

/** Delivers everything that the peer sent during a stall, batch by batch, for a limited time. */
const resetLink = (
  runtime: Runtime,
  { epoch, probeMillis }: Extract<Member.Output, { _tag: "ResetLink" }>
): Effect.Effect<void, Failure> =>
  Effect.gen(function*() {
    const { link, now, queue, rules, state } = runtime
    const triedAt = now()
    const isRefused = probeMillis !== undefined && (yield* link.isRefused(probeMillis))
    const refusal = isRefused ? { triedAt, knownAt: now() } : undefined
    yield* link.reset
    const until = now() + inMillis(rules, timing.linkReset)
    const all: Array<Event> = []
    let isMore = true
    while (isMore && now() < until) {
      isMore = yield* link.poll
      const events = queue.poll()
      isMore ||= events.some(({ _tag }) => _tag === "Received")
      all.push(...events)
    }
    state.linkEpoch = epoch
    yield* processEvents(runtime, all, [{ _tag: "LinkReset", refusal }])
  })

/** Finalizes everything that runs while the member is active. */
const endTerm = (
  runtime: Runtime,
  { end, isSilent, transition }: Extract<Member.Output, { _tag: "EndTerm" }>
): Effect.Effect<void, Failure> => {
  const release = releaseTerm(runtime, transition)
  return isSilent
    ? Effect.zipRight(release, step(runtime, [{ _tag: "TermEnded", end }]))
    : Effect.sync(() => runtime.fork(Effect.zipRight(release, runtime.queue.put({ _tag: "TermEnded", end }))))
}

export const releaseTerm = (
  { responder, terms }: Pick<Runtime, "responder" | "terms">,
  transition: Member.Transition
): Effect.Effect<void> =>
  Effect.suspend(() => {
    terms.end(transition)
    return Effect.zipRight(responder.endTerm, terms.ended)
  })

const wakeAt = ({ fork, now, queue }: Runtime, at: number) =>
  Effect.sync(() =>
    fork(Effect.interruptible(
      Effect.delay(Effect.sync(() => queue.offer({ _tag: "Woken" })), Math.max(0, at - now()))
    ))
  )

const log = (
  { logOnce, now }: Runtime,
  { once, level, message, transition }: Extract<Member.Output, { _tag: "Log" }>
): Effect.Effect<void> => {
  if (once !== undefined && !logOnce[once](now())) {
    return Effect.void
  }
  const line = { Info: Effect.logInfo, Warning: Effect.logWarning, Error: Effect.logError }[level](message)
  return transition === undefined ? line : Effect.annotateLogs(line, annotationsOf(transition))
}

/** Replies to clients whose requests were interrupted before the member ends. */
const abort = (runtime: Runtime, reason: MemberError["reason"]) =>
  Effect.suspend(() => {
    const completions = runtime.queue.poll().flatMap((event) => event._tag === "Completed" ? [event.completion] : [])
    runtime.requests.complete(completions)
    return Effect.zipRight(flush(runtime), new MemberError({ reason }))
  })

type Received = Extract<Event, { _tag: "Received" }>

/** Inputs that are processed after completed handlers: ticks of the clock, and results of outputs. */
const isLast = ({ _tag }: Member.Input): boolean =>
  _tag === "HeartbeatDue" || _tag === "LinkRead" || _tag === "LinkReset" || _tag === "TermEnded" || _tag === "Woken"

/**
 * Processes events: messages of the peer, commands and crash evidence, then completed handlers, then the rest. Replies
 * that are already in the outbox are sent first; the results of this batch follow the first step, which detects a stall.
 */
export const processEvents = (
  runtime: Runtime,
  events: ReadonlyArray<Event>,
  more: ReadonlyArray<Member.Input> = []
): Effect.Effect<void, Failure> => {
  const inputs: Array<Member.Input> = []
  const completions: Array<Completion> = []
  for (const event of events) {
    switch (event._tag) {
      case "Received":
        inputs.push(...event.messages.flatMap((message) => decodeOne(runtime, event, message)))
        break
      case "Completed":
        completions.push(event.completion)
        break
      case "Pending":
        break
      case "LinkConnecting":
      case "LinkLost":
        // The next connection may be one to a peer without heartbeats.
        runtime.state.heartbeatsUntil = Number.NEGATIVE_INFINITY
        inputs.push(event)
        break
      default:
        inputs.push(event)
    }
  }
  inputs.push(...more)
  const send = flush(runtime)
  return completions.length === 0
    ? Effect.zipRight(send, stepAndCount(runtime, inputs))
    : send.pipe(
      Effect.zipRight(stepAndCount(runtime, inputs.filter((input) => !isLast(input)))),
      Effect.zipRight(Effect.suspend(() => {
        runtime.requests.complete(completions)
        return flush(runtime)
      })),
      Effect.zipRight(step(runtime, inputs.filter(isLast)))
    )
}

/** Steps the core, and counts heartbeats, except those received before a stall. */
const stepAndCount = (runtime: Runtime, inputs: ReadonlyArray<Member.Input>): Effect.Effect<void, Failure> =>
  Effect.tap(step(runtime, inputs), () => {
    for (const input of inputs) {
      if (input._tag === "PeerHeartbeat" && input.linkEpoch >= runtime.state.member.linkEpoch) {
        runtime.counters.heartbeats++
      }
    }
    return runtime.notices.checkEvidence(inputs, runtime.state.member)
  })

/**
 * The input of a message. A state is redundant where a heartbeat reports it, too: after one over the same connection, until the
 * next is missing for a peer timeout, or is malformed.
 */
const decodeOne = (
  { counters, rules, state }: Runtime,
  { at, linkEpoch }: Received,
  message: Frames.Frames
): ReadonlyArray<Member.Input> => {
  const malformed = (problem: string): ReadonlyArray<Member.Input> => {
    counters.malformed++
    state.malformed = problem
    return [{ _tag: "PeerMalformed", problem }]
  }
  if (HeartbeatMessage.isHeartbeat(message)) {
    const decoded = HeartbeatMessage.decode(message)
    state.heartbeatsUntil = Either.isRight(decoded) ? at + rules.peerTimeoutMillis : Number.NEGATIVE_INFINITY
    return Either.match(decoded, {
      onLeft: malformed,
      onRight: (heartbeat) => {
        state.malformed = undefined
        return [{ _tag: "PeerHeartbeat", state: heartbeat.state, heartbeat, receivedAt: at, linkEpoch }]
      }
    })
  }
  return Either.match(decode(message), {
    onLeft: ({ message }) => malformed(message),
    onRight: (reported) => {
      state.malformed = undefined
      return at <= state.heartbeatsUntil
        ? []
        : [{ _tag: "PeerHeartbeat", state: reported, receivedAt: at, linkEpoch }]
    }
  })
}

/** Replies, or after a stall, when the peer may have taken over, the status that makes clients retry. */
export const unlessStalled = (
  { now, rules, state }: Runtime,
  replies: ReadonlyArray<Frames.Frames>
): ReadonlyArray<Frames.Frames> =>
  Member.mayReply(rules, state.member, now()) ? replies : replies.flatMap(Envelope.withdraw)

/** Sends the contents of the outbox. */
export const flush = (runtime: Runtime): Effect.Effect<void, Failure> => {
  const outbox = runtime.requests.takeOutbox()
  if (outbox === undefined) {
    return Effect.void
  }
  const { logs } = outbox
  const replies = unlessStalled(runtime, outbox.replies)
  const send = replies.length === 0 ? Effect.void : runtime.frontend.reply(replies)
  return logs.length === 0 ? send : Effect.zipRight(Effect.all(logs, { discard: true }), send)
}

/** Log annotations of a transition. */
const annotationsOf = ({ cause, explanation, from, reason, term, to }: Member.Transition) => ({
  event: "transition",
  from,
  to,
  cause,
  ...(term === undefined ? {} : { term: Term.format(term) }),
  ...(explanation === undefined ? {} : { explanation }),
  ...(reason === undefined ? {} : { reason })
})
