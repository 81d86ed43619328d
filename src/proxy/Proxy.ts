/**
 * A pair whose requests are answered by workers: programs in any language that reply as a plain REP socket does.
 *
 * A proxy is a handler, with all guarantees of handlers: only the active server forwards requests, those that have not been
 * answered when it ceases to be active are given up, and their clients repeat them at the other server. The workers of both
 * servers may be the same.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import * as BinaryStar from "../member/BinaryStar.ts"
import type { Handler } from "../member/Handler.ts"
import type { MemberError } from "../member/MemberError.ts"
import { Backend } from "../ports/Backend.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type { SocketError } from "../ports/SocketError.ts"
import * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Settings from "../settings/Settings.ts"
import { ProxySession } from "./session.ts"

/**
 * Counts since the proxy started.
 *
 * @category models
 */
export interface Counters {
  /** Requests that were sent to a worker. */
  readonly forwarded: number
  /** Replies that were passed on to their clients. */
  readonly replied: number
  /** Requests for which no worker was free in time. */
  readonly busy: number
  /** Replies whose request has ended, or is one of this proxy before a restart. They are dropped. */
  readonly late: number
  /** Messages of workers that are no replies. They are dropped. */
  readonly malformed: number
}

/**
 * A running proxy: a member of a pair whose requests are answered by workers.
 *
 * @category tags
 */
export class Proxy extends Context.Tag("effect-binary-star/Proxy")<Proxy, {
  readonly counters: Effect.Effect<Counters>
  /** Number of requests that wait for a worker, and of those that are with one. */
  readonly load: Effect.Effect<{ readonly queued: number; readonly atWorkers: number }>
  /** Waits for the proxy to end: fails with the error that ended the member, or the connection to the workers. */
  readonly join: Effect.Effect<never, MemberError | SocketError>
}>() {}

/**
 * Options of a proxy: those of a member, some with other defaults.
 *
 * @category models
 */
export interface Options extends BinaryStarConfig.Options {
  /** Largest number of requests that are queued or with a worker; further ones stay with their clients. Defaults to `1000`. */
  readonly concurrency?: number | undefined
  /**
   * Limit for a request in all, of which it may be queued for nine tenths. Defaults to `5 seconds`, half of a client's default,
   * so that the client learns the reason.
   */
  readonly timeout?: BinaryStarConfig.DurationInput | undefined
  /**
   * Treatment of a request for which no worker was free in time. With `answer` a client of this library receives `Busy`, any other
   * no reply. With `drop` no client receives a reply, and clients of this library repeat the request. Defaults to `answer`.
   */
  readonly whenBusy?: "answer" | "drop" | undefined
  /**
   * Whether each request to a worker begins with a frame of its own: the fencing token in decimal digits, empty while there is none.
   * The reply has no such frame. Defaults to `false`.
   */
  readonly termFrame?: boolean | undefined
}

/**
 * Defaults of a proxy's options.
 *
 * @category constants
 */
export const defaults = {
  concurrency: Settings.member.concurrency.commandDefaults.proxy,
  timeout: Settings.member.timeout.commandDefaults.proxy,
  whenBusy: Settings.proxy.whenBusy.default,
  termFrame: Settings.proxy.termFrame.default
} as const satisfies Pick<Options, "concurrency" | "timeout" | "whenBusy" | "termFrame">

/**
 * Makes the handler of a proxy. `timeout` is the limit for a request in all, and is enforced by the member that runs the
 * handler; here it only bounds how long a request is queued.
 *
 * @category constructors
 */
export const make = (
  timeout: Duration.Duration,
  { termFrame = defaults.termFrame, whenBusy = defaults.whenBusy }: Pick<Options, "whenBusy" | "termFrame"> = {}
): Effect.Effect<
  { readonly handler: Handler } & Pick<Proxy["Type"], "counters" | "load"> & {
    /** Waits for the connection to the workers to end, and fails with the error that ended it. */
    readonly join: Effect.Effect<never, SocketError>
  },
  never,
  Backend | Scope.Scope
> =>
  Effect.gen(function*() {
    const backend = yield* Backend
    const fork = yield* FiberSet.makeRuntime<never>()
    const ended = yield* Deferred.make<never, SocketError>()
    const session = new ProxySession({
      backend,
      timeoutMillis: Duration.toMillis(timeout),
      whenBusy,
      termFrame,
      now: yield* monotonicReader,
      logWarning: (message) => fork(Effect.logWarning(message))
    })
    yield* Effect.raceFirst(session.dispatch, backend.run(session.receive)).pipe(
      Effect.onError((cause) => Deferred.failCause(ended, cause)),
      Effect.interruptible,
      Effect.forkScoped
    )
    const { table } = session
    return {
      handler: session.handler,
      counters: Effect.sync(() => ({ ...table.counters })),
      load: Effect.sync(() => ({ queued: table.queuedCount, atWorkers: table.atWorkersCount })),
      join: Deferred.await(ended)
    }
  })

/**
 * A proxy that runs as long as the layer. Its ports are sockets (`Zmq.layer` and `ZmqBackend.layer`) or memory. When the layer is
 * closed, requests that are with workers are completed, for as long as `drain` at most.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Proxy, Zmq, ZmqBackend } from "effect-binary-star"
 *
 * const options = { role: "primary", policy: "hardened" } as const
 *
 * const Pair = Proxy.layer(options).pipe(
 *   Layer.provide(Layer.merge(Zmq.layer(options), ZmqBackend.layer({ backend: "tcp://*:5005" })))
 * )
 *
 * export const program = Effect.flatMap(Proxy.Proxy, ({ join }) => join).pipe(Effect.provide(Pair))
 * ```
 *
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
    const proxy = yield* make(timeout, options)
    // Made after the proxy, so that the member ends before it.
    const member = yield* BinaryStar.make(settings, proxy.handler)
    // Without workers the peer takes over, which may have them still.
    yield* Effect.forkScoped(Effect.interruptible(Effect.onError(proxy.join, () => member.stop)))
    return Context.make(BinaryStar.BinaryStar, member).pipe(
      Context.add(Proxy, { ...proxy, join: Effect.raceFirst(member.join, proxy.join) })
    )
  }))
