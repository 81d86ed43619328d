import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Envelope from "../Envelope.ts"
import * as Frames from "../Frames.ts"
import type { State } from "../Fsm.ts"
import type { Handler, Request } from "../Handler.ts"
import { Later, Refusal } from "../Handler.ts"
import * as Burst from "./burst.ts"
import { monotonicReader } from "./clock.ts"
import { clientOf } from "./line.ts"
import * as Tasks from "./tasks.ts"

/**
 * A request that is being answered.
 *
 * @internal
 */
export interface Accepted {
  readonly message: Frames.Frames
  readonly envelopeLength: number
  readonly term: number
  /** When it came. */
  readonly at: number
}

/**
 * What an accepted request has come to, later.
 *
 * @internal
 */
export interface Ended {
  readonly task: Tasks.Task<Accepted, Frames.Input>
  readonly exit: Exit.Exit<Frames.Input, unknown>
}

/**
 * Answers requests that were accepted, and sends away others. What goes to clients is left in `replies`.
 *
 * @internal
 */
export interface Answers {
  /** Starts to answer a request. What its handler ends at once is answered at once; `onEnd` hears of the others. */
  readonly begin: (
    request: Frames.Frames,
    state: State,
    at: number,
    replies: Array<Frames.Frames>
  ) => Effect.Effect<void> | undefined
  /** Brings the answer to its client, unless it was begun in an earlier term. */
  readonly conclude: (ended: Ended, replies: Array<Frames.Frames>) => Effect.Effect<void>
  /** Sends a request away that this server may not answer. */
  readonly refuse: (request: Frames.Frames, replies: Array<Frames.Frames>) => void
  /** Sends a request away that asks for more than its client may have. */
  readonly limit: (
    request: Frames.Frames,
    status: "Busy" | "Failed",
    why: string,
    replies: Array<Frames.Frames>
  ) => Effect.Effect<void> | undefined
  /** How many are being answered. */
  readonly running: () => number
  /** How many of the client of a request are being answered. */
  readonly runningOf: (request: Frames.Frames) => number
  /** Interrupts all that are being answered and waits for it. From now on it is another term. */
  readonly endTerm: Effect.Effect<void>
}

/** A request as its handler sees it. */
class Incoming implements Request {
  readonly body: Frames.Frames
  readonly state: State
  readonly #from: Uint8Array
  constructor(message: Frames.Frames, envelopeLength: number, state: State) {
    this.body = message.slice(envelopeLength)
    this.state = state
    this.#from = message[0]!
  }
  get client() {
    return Encoding.encodeHex(this.#from)
  }
}

/** A reply in the envelope of its request. */
const envelop = (request: Frames.Frames, envelopeLength: number, reply: Frames.Input): Frames.Frames =>
  request.slice(0, envelopeLength).concat(Frames.make(reply))

/** Tells a client why it has no reply, if it is one that understands. */
const tell = (
  replies: Array<Frames.Frames>,
  request: Frames.Frames,
  status: Envelope.Status,
  detail?: Frames.Frames
) => {
  if (Envelope.isOurs(request)) {
    replies.push(Envelope.status(request, status, detail))
  }
}

/** What a handler has failed with, where it wants its client to know. */
const refusalOf = (cause: Cause.Cause<unknown>): Refusal | undefined => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  return failure instanceof Refusal ? failure : undefined
}

const defaultTracer = Effect.sync(() => Effect.runSync(Effect.tracer))

/** @internal */
export const make = <R>(handler: Handler<R>, { onAnswer, onEnd, onFailure, quietMillis, timeout }: {
  readonly timeout: Duration.Duration
  /** Failures are told once, until there have been none for so long. */
  readonly quietMillis: number
  readonly onEnd: (ended: Ended) => void
  /** A request is answered that came then. What is answered at once is not told. */
  readonly onAnswer: (at: number) => void
  readonly onFailure: () => void
}): Effect.Effect<Answers, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    // A span costs twice as much as all else that becomes of a request, and nobody sees those of the default tracer.
    const isTraced = (yield* Effect.tracer) !== (yield* defaultTracer)
    const tasks = yield* Tasks.make<Accepted, Frames.Input, R>(timeout, (task, exit) => {
      add(task.owner.message, -1)
      onEnd({ task, exit })
    })
    const isNewFailure = Burst.make(quietMillis)
    const isNewExcess = Burst.make(quietMillis)
    /** How many of each client are being answered. */
    const counts = new Map<string, number>()
    // A reply that was begun in an earlier term is nobody's any more.
    let term = 0

    const add = (request: Frames.Frames, more: 1 | -1) => {
      const client = clientOf(request)
      const count = (counts.get(client) ?? 0) + more
      if (count === 0) {
        counts.delete(client)
      } else {
        counts.set(client, count)
      }
    }

    const tellFailure = (say: Effect.Effect<void>) => {
      onFailure()
      return isNewFailure(now()) ? say : Effect.void
    }

    const failed = (replies: Array<Frames.Frames>, request: Frames.Frames, cause: Cause.Cause<unknown>) => {
      const refusal = refusalOf(cause)
      if (refusal !== undefined) {
        if (refusal.reason !== "Dropped") {
          tell(replies, request, refusal.reason ?? "Failed", Frames.make(refusal.body ?? []))
        }
        return Effect.void
      }
      tell(replies, request, "Failed")
      return tellFailure(Effect.logError("a handler failed; its request is dropped", cause))
    }

    const tooLate = (replies: Array<Frames.Frames>, request: Frames.Frames) => {
      tell(replies, request, "TimedOut")
      return tellFailure(Effect.logError(
        `a handler took longer than ${Duration.format(timeout)} and was interrupted; its request is dropped`
      ))
    }

    const inSpan = (request: Frames.Frames, reply: Effect.Effect<Frames.Input, unknown, R>) => {
      const parent = Envelope.spanOf(request)
      return parent === undefined && !isTraced ? reply : Effect.withSpan(reply, "BinaryStar.request", {
        kind: "server",
        captureStackTrace: false,
        ...(parent === undefined ? { root: true } : { parent })
      })
    }

    const begin = (message: Frames.Frames, state: State, at: number, replies: Array<Frames.Frames>) => {
      const envelopeLength = Frames.envelopeLength(message)
      const reply = handler(new Incoming(message, envelopeLength, state))
      if (reply instanceof Later) {
        add(message, 1)
        tasks.startLater({ message, envelopeLength, term, at }, reply.start)
        return undefined
      }
      if (!Effect.isEffect(reply)) {
        replies.push(envelop(message, envelopeLength, reply))
        return undefined
      }
      const exit = tasks.start({ message, envelopeLength, term, at }, inSpan(message, reply))
      if (exit === undefined) {
        add(message, 1)
        return undefined
      }
      if (Exit.isFailure(exit)) {
        return failed(replies, message, exit.cause)
      }
      replies.push(envelop(message, envelopeLength, exit.value))
      return undefined
    }

    return {
      begin: (message, state, at, replies) => {
        try {
          return begin(message, state, at, replies)
        } catch (defect) {
          return failed(replies, message, Cause.die(defect))
        }
      },
      conclude: ({ exit, task }, replies) => {
        const { envelopeLength, message, ...begun } = task.owner
        const refusal = Exit.isFailure(exit) ? refusalOf(exit.cause) : undefined
        if (begun.term !== term) {
          tell(replies, message, refusal?.reason === "Busy" ? "NotActive" : "Interrupted")
          return Effect.void
        }
        if (Exit.isFailure(exit)) {
          return task.isLate && refusal === undefined
            ? tooLate(replies, message)
            : failed(replies, message, exit.cause)
        }
        onAnswer(begun.at)
        replies.push(envelop(message, envelopeLength, exit.value))
        return Effect.void
      },
      refuse: (message, replies) => tell(replies, message, "NotActive"),
      limit: (message, status, why, replies) => {
        tell(replies, message, status, Frames.make(why))
        return isNewExcess(now())
          ? Effect.logWarning(`client ${Encoding.encodeHex(message[0]!)}: ${why}; its request is refused`)
          : undefined
      },
      running: tasks.size,
      runningOf: (request) => counts.get(clientOf(request)) ?? 0,
      endTerm: Effect.suspend(() => {
        term++
        return tasks.interruptAll
      })
    }
  })
