import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as LogOnce from "../internal/LogOnce.ts"
import { onNextTurn } from "../internal/Scheduler.ts"
import type { State } from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"
import { toToken } from "../protocol/Term.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Frames from "../wire/Frames.ts"
import { ClientTable } from "./clientTable.ts"
import type { Handler, Request } from "./Handler.ts"
import { DeferredReply, RequestFailure } from "./Handler.ts"
import * as Tasks from "./tasks.ts"

/** A request that is being handled. */
export interface Accepted {
  readonly message: Frames.Frames
  readonly envelopeLength: number
  /** The period of being active in which it was accepted, counted from the start of the process. */
  readonly period: number
  /** What its reply has to carry, if its client does not know the term. */
  readonly stamp: Envelope.Stamp | undefined
  /** When it was received. */
  readonly at: number
}

/** A client with requests that are being handled. */
interface Client {
  readonly routingId: Uint8Array
  count: number
}

/**
 * A request whose handler completes later. Of its message it keeps the envelope alone, with a routing id that all requests of its client
 * share: each frame that the binding has received takes three objects, which have to survive garbage collections.
 */
export interface Pending extends Accepted {
  readonly client: Client
}

/** The result of a handler that completed later. */
export interface Completion {
  readonly task: Tasks.Task<Accepted, Frames.Input>
  readonly exit: Exit.Exit<Frames.Input, unknown>
}

/** Replies to be sent, and log lines to be written. */
export interface Outbox {
  readonly replies: Array<Frames.Frames>
  readonly logs: Array<Effect.Effect<void>>
}

/** Why an active member rejects a request. */
export interface Excess {
  readonly status: "Busy" | "Failed"
  readonly message: string
}

/** Runs the handler, and turns its results into replies. */
export interface Responder {
  /** Handles a request. An immediate reply goes to the outbox at once; other results complete later. */
  readonly handle: (request: Frames.Frames, state: State, at: number, outbox: Outbox) => void
  /** Replies to a request whose handler has completed, unless it was accepted in an earlier term. */
  readonly complete: (completion: Completion, outbox: Outbox) => void
  /** Rejects a request because this member is not active. */
  readonly reject: (request: Frames.Frames, outbox: Outbox) => void
  /** Rejects a request that exceeds a limit. */
  readonly limit: (request: Frames.Frames, excess: Excess, outbox: Outbox) => void
  /** Number of requests that are being handled. */
  readonly running: () => number
  /** Number of requests of the same client that are being handled. */
  readonly runningOf: (request: Frames.Frames) => number
  /** Interrupts all handlers, and waits until they have ended. A new term begins. */
  readonly endTerm: Effect.Effect<void>
}

export interface Options {
  readonly timeout: Duration.Duration
  /** A repeated message is logged again only after this time without it. */
  readonly quietMillis: number
  readonly now: () => number
  /** The term of the member. */
  readonly term: () => Term | undefined
  readonly onCompletion: (completion: Completion) => void
}

/** Counters that the responder updates. */
export interface Counting {
  failed: number
  readonly latency: { readonly add: (millis: number) => void }
}

/** A request as passed to its handler. */
class Incoming implements Request {
  readonly body: Frames.Frames
  readonly state: State
  readonly term: Option.Option<Term>
  readonly #from: Uint8Array
  constructor(message: Frames.Frames, envelopeLength: number, state: State, term: Option.Option<Term>) {
    this.body = message.slice(envelopeLength)
    this.state = state
    this.term = term
    this.#from = message[0]!
  }
  get client() {
    return Encoding.encodeHex(this.#from)
  }
}

/** A reply in the envelope of its request. */
const envelop = ({ envelopeLength, message, stamp }: Accepted, reply: Frames.Input): Frames.Frames =>
  stamp === undefined
    ? message.slice(0, envelopeLength).concat(Frames.make(reply))
    : message.slice(0, envelopeLength - 1).concat([stamp.frame, Frames.delimiter], Frames.make(reply))

/** Replies with a status, to a client that understands it. */
const replyStatus = (
  { replies }: Outbox,
  request: Frames.Frames,
  status: Envelope.ReplyStatus,
  detail?: Frames.Frames,
  stamp?: Envelope.Stamp
) => {
  if (Envelope.isOurs(request)) {
    replies.push(Envelope.status(request, status, detail, stamp))
  }
}

/** The failure that a handler reports to its client, if any. */
const requestFailureOf = (exit: Exit.Exit<unknown, unknown>): RequestFailure | undefined => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  return error instanceof RequestFailure ? error : undefined
}

const defaultTracer = Effect.sync(() => Effect.runSync(Effect.tracer))

const makeClients = () =>
  new ClientTable<Client>((request) => ({ routingId: request[0]!, count: 0 }), ({ count }) => count === 0)

/**
 * Delivers completions: at once, or, while other effects run, together with all of this turn of the event loop. To process one costs
 * as much as to process many.
 */
const makeCompletions = (onCompletion: Options["onCompletion"]) => {
  let completions: Array<Completion> = []
  const deliver = () => {
    const delivered = completions
    completions = []
    delivered.forEach(onCompletion)
  }
  return {
    deliver,
    add: (completion: Completion, areMoreExpected: boolean): void => {
      completions.push(completion)
      if (!areMoreExpected) {
        deliver()
      } else if (completions.length === 1) {
        onNextTurn(deliver)
      }
    }
  }
}

/** What is kept of a request whose handler completes later. */
const pend = ({ at, envelopeLength, message, period, stamp }: Accepted, client: Client): Pending => ({
  client,
  message: envelopeLength === 1
    ? message
    : [client.routingId, ...message.slice(1, envelopeLength - 1), Frames.delimiter],
  envelopeLength,
  period,
  stamp,
  at
})

/** The term of the member as requests and replies carry it. */
interface Stamped {
  readonly term: Term | undefined
  readonly option: Option.Option<Term>
  readonly stamp: Envelope.Stamp | undefined
}

/** Reads the term of the member. What it is made into is made once for each term. */
const makeStamped = (termOf: () => Term | undefined): () => Stamped => {
  let last: Stamped = { term: undefined, option: Option.none(), stamp: undefined }
  return () => {
    const term = termOf()
    if (term !== last.term) {
      last = { term, option: Option.fromNullable(term), stamp: term && Envelope.stamp(toToken(term)) }
    }
    return last
  }
}

/** The stamp of a reply, if its client is of this library and does not know the term. */
const stampFor = (
  request: Frames.Frames,
  envelopeLength: number,
  { stamp }: Stamped
): Envelope.Stamp | undefined =>
  stamp === undefined || envelopeLength < 3 || !Envelope.isOurs(request) || Envelope.knows(request, stamp)
    ? undefined
    : stamp

/** Turns failures of handlers into replies, counts and logs. */
const makeFailures = ({ now, quietMillis, timeout }: Options, counting: Counting) => {
  const isNewFailure = LogOnce.make(quietMillis)
  const count = ({ logs }: Outbox, log: Effect.Effect<void>) => {
    counting.failed++
    if (isNewFailure(now())) {
      logs.push(log)
    }
  }
  return {
    failed: (
      outbox: Outbox,
      { message, stamp }: Pick<Accepted, "message" | "stamp">,
      exit: Exit.Failure<unknown, unknown>
    ): void => {
      const failure = requestFailureOf(exit)
      if (failure === undefined) {
        replyStatus(outbox, message, "Failed", [], stamp)
        count(outbox, Effect.logError("a handler failed; its request is dropped", exit.cause))
      } else if (failure.reason !== "Dropped") {
        replyStatus(outbox, message, failure.reason ?? "Failed", Frames.make(failure.body ?? []), stamp)
      }
    },
    timedOut: (outbox: Outbox, { message, stamp }: Accepted): void => {
      replyStatus(outbox, message, "TimedOut", [], stamp)
      count(
        outbox,
        Effect.logError(
          `a handler took longer than ${Duration.format(timeout)} and was interrupted; its request is dropped`
        )
      )
    }
  }
}

/** Runs a handler in a span, if its client sent one or the member has its own tracer. */
const inSpan = <R>(isTraced: boolean, request: Frames.Frames, reply: Effect.Effect<Frames.Input, unknown, R>) => {
  const parent = Envelope.spanOf(request)
  return parent === undefined && !isTraced ? reply : Effect.withSpan(reply, "BinaryStar.request", {
    kind: "server",
    captureStackTrace: false,
    ...(parent === undefined ? { root: true } : { parent })
  })
}

/** Rejects requests that exceed a limit, and logs that once in a burst. */
const makeLimit = ({ now, quietMillis }: Options): Responder["limit"] => {
  const isNewExcess = LogOnce.make(quietMillis)
  return (message, excess, outbox) => {
    replyStatus(outbox, message, excess.status, Frames.make(excess.message))
    if (isNewExcess(now())) {
      outbox.logs.push(
        Effect.logWarning(`client ${Encoding.encodeHex(message[0]!)}: request rejected: ${excess.message}`)
      )
    }
  }
}

interface Parts<R> {
  readonly handler: Handler<R>
  readonly isTraced: boolean
  /** Counts a request whose handler completes later. */
  readonly enter: (accepted: Accepted) => Pending
  readonly failures: ReturnType<typeof makeFailures>
  readonly tasks: Tasks.Tasks<Pending, Frames.Input, R>
}

/** Calls the handler. An immediate reply goes to the outbox; any other becomes a task. */
const makeCall =
  <R>({ enter, failures, handler, isTraced, tasks }: Parts<R>) =>
  (accepted: Accepted, state: State, term: Option.Option<Term>, outbox: Outbox): void => {
    const { envelopeLength, message } = accepted
    const reply = handler(new Incoming(message, envelopeLength, state, term))
    if (reply instanceof DeferredReply) {
      return tasks.startDeferred(enter(accepted), reply.start)
    }
    if (!Effect.isEffect(reply)) {
      outbox.replies.push(envelop(accepted, reply))
      return
    }
    const fiber = tasks.fork(inSpan(isTraced, message, reply))
    const exit = fiber.unsafePoll()
    if (exit === null) {
      tasks.add(enter(accepted), fiber)
    } else if (Exit.isFailure(exit)) {
      failures.failed(outbox, accepted, exit)
    } else {
      outbox.replies.push(envelop(accepted, exit.value))
    }
  }

export const make = <R>(
  handler: Handler<R>,
  options: Options,
  counting: Counting
): Effect.Effect<Responder, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    // A span costs twice as much as the rest of a request, and the default tracer discards it.
    const isTraced = (yield* Effect.tracer) !== (yield* defaultTracer)
    const clients = makeClients()
    const failures = makeFailures(options, counting)
    const stamped = makeStamped(options.term)
    const completions = makeCompletions(options.onCompletion)
    const tasks = yield* Tasks.make<Pending, Frames.Input, R>(options.timeout, (task, exit) => {
      task.owner.client.count--
      completions.add({ task, exit }, tasks.size() > 0 && task.fiber !== undefined)
    })
    const enter = (accepted: Accepted): Pending => {
      const client = clients.get(accepted.message)
      client.count++
      return pend(accepted, client)
    }
    const call = makeCall({ handler, isTraced, enter, failures, tasks })
    let period = 0

    return {
      handle: (message, state, at, outbox) => {
        const envelopeLength = Frames.envelopeLength(message)
        const current = stamped()
        const stamp = stampFor(message, envelopeLength, current)
        if (stamp !== undefined && Envelope.isStaleFor(message, stamp)) {
          // Another server has been active since.
          return replyStatus(outbox, message, "NotActive")
        }
        const accepted = { message, envelopeLength, period, stamp, at }
        try {
          call(accepted, state, current.option, outbox)
        } catch (defect) {
          failures.failed(outbox, accepted, Exit.die(defect) as Exit.Failure<never, never>)
        }
      },
      complete: ({ exit, task }, outbox) => {
        const { at, message } = task.owner
        if (task.owner.period !== period) {
          replyStatus(outbox, message, requestFailureOf(exit)?.reason === "Busy" ? "NotActive" : "Interrupted")
        } else if (Exit.isSuccess(exit)) {
          counting.latency.add(options.now() - at)
          outbox.replies.push(envelop(task.owner, exit.value))
        } else if (task.isLate && requestFailureOf(exit) === undefined) {
          failures.timedOut(outbox, task.owner)
        } else {
          failures.failed(outbox, task.owner, exit)
        }
      },
      reject: (message, outbox) => replyStatus(outbox, message, "NotActive"),
      limit: makeLimit(options),
      running: tasks.size,
      runningOf: (message) => clients.find(message)?.count ?? 0,
      endTerm: Effect.suspend(() => {
        period++
        return Effect.andThen(tasks.interruptAll, completions.deliver)
      })
    }
  })
