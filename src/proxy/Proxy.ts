/**
 * A pair that hands requests on to workers: any program in any language that answers as a plain REP socket does.
 *
 * A request waits here for its reply, under a number that comes back with it. So all that holds for handlers holds for it: only
 * the active server hands on, what runs when it ceases to be active is given up, and its client asks the other server, whose
 * workers may be the same.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Iterable from "effect/Iterable"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import * as Deadlines from "../internal/Deadlines.ts"
import * as Burst from "../internal/LogOnce.ts"
import * as BinaryStar from "../member/BinaryStar.ts"
import type { Handler } from "../member/Handler.ts"
import { DeferredReply, RequestFailure } from "../member/Handler.ts"
import type { MemberError } from "../member/MemberError.ts"
import { Backend } from "../ports/Backend.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Frames from "../wire/Frames.ts"

/**
 * What a proxy has seen since it started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counters {
  /** Requests that were handed on to a worker. */
  readonly handedOn: number
  /** Replies that went to those who had waited for them. */
  readonly replied: number
  /** Requests for which no worker was free in time. */
  readonly busy: number
  /** Replies that nobody waits for any more, or that are meant for an earlier life of this proxy. */
  readonly late: number
  /** What workers have said that was no reply to anything. */
  readonly malformed: number
}

/**
 * A running proxy: a member of a pair whose requests are answered by workers.
 *
 * @since 0.1.0
 * @category tags
 */
export class Proxy extends Context.Tag("effect-binary-star/Proxy")<Proxy, {
  /** What the proxy has seen since it started. */
  readonly counters: Effect.Effect<Counters>
  /** How many requests wait for a worker to be free, and how many for their reply. */
  readonly load: Effect.Effect<{ readonly inLine: number; readonly inHand: number }>
  /** Waits for the proxy to end: fails with what ended the member, or the connection to the workers. */
  readonly join: Effect.Effect<never, MemberError | SocketError>
}>() {}

/**
 * What a user gives to configure a proxy: the options of a member, some of which have other defaults here.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends BinaryStarConfig.Options {
  /** How many requests wait for a worker or are in the hands of one; more of them stay with their clients. Defaults to `1000`. */
  readonly concurrency?: number | undefined
  /**
   * How long a request may take in all, until it is given up; most of this time it may wait for a worker to be free. Defaults
   * to `5 seconds`, half of what a client waits, so that it hears of it.
   */
  readonly timeout?: BinaryStarConfig.DurationInput | undefined
  /**
   * What becomes of a request for which no worker was free in time: its client, if it is one of this library, is told that this
   * server is `Busy`; or the request is dropped without a word, and the client goes on asking. Defaults to `answer`.
   */
  readonly whenBusy?: "answer" | "drop" | undefined
}

/**
 * What a proxy does unless it is told otherwise.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  concurrency: 1000,
  timeout: "5 seconds",
  whenBusy: "answer"
} as const satisfies Pick<Options, "concurrency" | "timeout" | "whenBusy">

/** A request that waits for a worker to be free, or for its reply. */
interface Asked {
  readonly id: number
  readonly message: Frames.Frames
  /** Until when it may wait in line. */
  readonly until: number
  readonly settle: (answer: Exit.Exit<Frames.Frames, RequestFailure>) => void
}

/** Messages that are handed on in one go at the most. */
const batchSize = 256

/** How soon it is looked again whether a worker is free where no reply tells so. */
const lookAgain = Duration.millis(10)

/**
 * The share of its time that a request may wait in line. Who gets to a worker later than that is not done in what is left, and
 * who does not get to one is told so, rather than that a worker has taken too long.
 */
const shareInLine = 0.9

/** Quarrels with workers are told once, until there have been none for so long. */
const quietMillis = 10_000

const refusals = {
  answer: Exit.fail(new RequestFailure({ reason: "Busy", body: "no worker was free" })),
  drop: Exit.fail(new RequestFailure({ reason: "Dropped" }))
}

/**
 * Makes a handler that hands requests on, and what is to be known about it. `timeout` is how long a request may take in all:
 * whoever runs the handler has to see to that.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  timeout: Duration.Duration,
  whenBusy: "answer" | "drop" = defaults.whenBusy
): Effect.Effect<
  { readonly handler: Handler } & Pick<Proxy["Type"], "counters" | "load"> & {
    /** Waits for the connection to the workers to end, and fails with what ended it. */
    readonly join: Effect.Effect<never, SocketError>
  },
  never,
  Backend | Scope.Scope
> =>
  Effect.gen(function*() {
    const backend = yield* Backend
    const now = yield* monotonicReader
    const fork = yield* FiberSet.makeRuntime<never>()
    const ended = yield* Deferred.make<never, SocketError>()
    const ids = makeIds()
    const counters = { handedOn: 0, replied: 0, busy: 0, late: 0, malformed: 0 }
    // All that wait for their replies, and those of them that no worker has got yet, in the order in which they came.
    const asked = new Map<number, Asked>()
    const line = new Set<Asked>()
    const isInLine = Effect.unsafeMakeLatch(false)
    const mayHaveRoom = Effect.unsafeMakeLatch(false)
    const isNewJunk = Burst.make(quietMillis)
    const isNewRefusal = Burst.make(quietMillis)

    const forget = (request: Asked) => {
      asked.delete(request.id)
      line.delete(request)
      deadlines.delete(request)
    }

    let inHand: ReadonlySet<Asked> = new Set()
    const overdue: Array<Asked> = []

    const refuse = (request: Asked) => {
      forget(request)
      counters.busy++
      if (isNewRefusal(now())) {
        fork(Effect.logWarning("no worker was free for a request, which is refused"))
      }
      request.settle(refusals[whenBusy])
    }

    const inLineMillis = shareInLine * Duration.toMillis(timeout)
    const deadlines = yield* Deadlines.make<Asked>(Duration.millis(inLineMillis), (request) => {
      if (inHand.has(request)) {
        overdue.push(request)
      } else {
        refuse(request)
      }
    })

    /** Hands on what is in line, in order, as long as workers have room. */
    const handOn = Effect.gen(function*() {
      const requests = Array.from(Iterable.take(line, batchSize))
      // A request whose time is over just now may be with a worker already, and must not be told that it is not.
      inHand = new Set(requests)
      const count = yield* backend.send(requests.map(({ message }) => message))
      counters.handedOn += count
      for (const request of requests.slice(0, count)) {
        line.delete(request)
        deadlines.delete(request)
      }
      inHand = new Set()
      overdue.splice(0).filter((request) => line.has(request)).forEach(refuse)
      if (count < requests.length) {
        mayHaveRoom.unsafeClose()
        yield* Effect.timeoutOption(mayHaveRoom.await, lookAgain)
      }
    })

    const dispatch = Effect.gen(function*() {
      while (true) {
        yield* isInLine.await
        isInLine.unsafeClose()
        while (line.size > 0) {
          yield* handOn
        }
      }
    })

    const take = async (messages: ReadonlyArray<Frames.Frames>) => {
      for (const message of messages) {
        if (message.length < 2 || message[1]!.length > 0 || message[0]!.length !== idLength) {
          counters.malformed++
          if (isNewJunk(now())) {
            fork(Effect.logWarning("a worker has said something that is no reply; it is ignored"))
          }
          continue
        }
        const request = asked.get(ids.read(message[0]!))
        if (request === undefined) {
          counters.late++
          continue
        }
        forget(request)
        counters.replied++
        request.settle(Exit.succeed(message.slice(2)))
      }
      mayHaveRoom.unsafeOpen()
    }

    yield* Effect.raceFirst(dispatch, backend.run(take)).pipe(
      Effect.onError((cause) => Deferred.failCause(ended, cause)),
      Effect.interruptible,
      Effect.forkScoped
    )

    return {
      handler: ({ body }) =>
        new DeferredReply((settle) => {
          const { frame, id } = ids.next()
          // A REP does not take what has nothing behind its envelope.
          const message = [frame, Frames.delimiter, ...(body.length === 0 ? [Frames.delimiter] : body)]
          const request: Asked = { id, message, until: now() + inLineMillis, settle }
          asked.set(id, request)
          line.add(request)
          deadlines.add(request)
          isInLine.unsafeOpen()
          return () => {
            if (!line.has(request) || inHand.has(request)) {
              forget(request)
            } else if (now() >= request.until) {
              refuse(request)
            } else {
              forget(request)
              settle(refusals.answer)
            }
          }
        }),
      counters: Effect.sync(() => ({ ...counters })),
      load: Effect.sync(() => ({ inLine: line.size, inHand: asked.size - line.size })),
      join: Deferred.await(ended)
    }
  })

/** Eight bytes that name this life of the proxy, and eight for the number of the request. */
const idLength = 16

const wordAt = (bytes: Uint8Array, at: number): number =>
  bytes[at]! * 2 ** 24 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)

/**
 * Names of requests. A worker may have a reply for an earlier life of this proxy, or for another proxy at the same endpoint;
 * that must not be taken for the reply to anything of this life.
 */
const makeIds = () => {
  const life = crypto.getRandomValues(new Uint8Array(8))
  let last = 0
  return {
    next: () => {
      const id = ++last
      const frame = new Uint8Array(idLength)
      frame.set(life)
      for (let at = idLength - 1, rest = id; rest > 0; at--, rest = Math.floor(rest / 256)) {
        frame[at] = rest % 256
      }
      return { id, frame }
    },
    /** The number of a request of this life; of any other what no request has. */
    read: (frame: Uint8Array): number =>
      life.every((byte, i) => frame[i] === byte) ? wordAt(frame, 8) * 2 ** 32 + wordAt(frame, 12) : 0
  }
}

/**
 * A proxy that runs as long as the layer lives. What goes over its ports decides what it is: sockets (`Zmq.layer` and
 * `ZmqBackend.layer`) or memory. When the layer is closed, requests that workers have in hand are waited for as long as `drain`
 * says.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<Proxy | BinaryStar.BinaryStar, InvalidConfig, Frontend | PeerLink | Backend> =>
  Layer.scopedContext(Effect.gen(function*() {
    const settings: BinaryStarConfig.Options = {
      ...options,
      concurrency: options.concurrency ?? defaults.concurrency,
      timeout: options.timeout ?? defaults.timeout
    }
    const { timeout } = yield* BinaryStarConfig.make(settings)
    const proxy = yield* make(timeout, options.whenBusy)
    // Made after the proxy, the member ends before it.
    const member = yield* BinaryStar.make(settings, proxy.handler)
    // Without its workers it is of no use; its peer may have them still.
    yield* Effect.forkScoped(Effect.interruptible(Effect.onError(proxy.join, () => member.stop)))
    return Context.make(BinaryStar.BinaryStar, member).pipe(
      Context.add(Proxy, { ...proxy, join: Effect.raceFirst(member.join, proxy.join) })
    )
  }))
