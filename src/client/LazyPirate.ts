/**
 * The Guide's client of a pair, the Lazy Pirate: asks one server, waits, and goes to the other when nobody answers. It takes
 * seconds where {@link BinaryStarClient} takes milliseconds; it is for those who want just the Guide's behaviour.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Connection } from "../ports/ClientLink.ts"
import { ClientLink } from "../ports/ClientLink.ts"
import { SocketError } from "../ports/SocketError.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { DurationInput, validate } from "../settings/Validation.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Frames from "../wire/Frames.ts"
import { BinaryStarClient } from "./BinaryStarClient.ts"
import { RequestError } from "./RequestError.ts"

/**
 * How a client behaves. The defaults are those of the Guide's Lazy Pirate client, but that a request gives up some time.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The servers' frontends, in the order in which they are tried. Defaults to the Guide's pair on this machine. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** How long to wait for a reply before the server is given up. Defaults to `1 second`. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How long to wait, once a server is given up, before the next one is connected. Defaults to `2 seconds`. */
  readonly settle?: Duration.DurationInput | undefined
  /**
   * How often an unanswered request is sent again, and what more than the settle delay to wait each time. With `n`
   * repetitions a request ends after `(n + 1) * (timeout + settle)` at the latest, the schedule's own delays, and
   * looking up names, which may take another `timeout` each. A request that is freed because another one found their
   * server silent has used up a repetition too. Defaults to `Schedule.recurs(3)`, so 12 seconds.
   */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/**
 * The servers and timings of the Guide's client.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  servers: ["tcp://localhost:5001", "tcp://localhost:5002"],
  timeout: "1 second",
  settle: "2 seconds",
  retry: Schedule.recurs(3)
} as const satisfies Options

/** A connection to one server and the requests that wait for it. */
interface Session {
  readonly connection: Connection
  readonly waiting: Map<string, Deferred.Deferred<Frames.Frames, SocketError>>
  /** How many replies have come in, be it to nobody. */
  heard: number
  readonly close: Effect.Effect<void>
}

const Settings = Schema.Struct({
  servers: Schema.NonEmptyArray(Endpoint.Connectable),
  timeout: DurationInput({ minimum: "1 millis", maximum: "1 day" }),
  settle: DurationInput({ minimum: 0, maximum: "1 day" })
})

/** How soon a message is offered again to a server whose queue is full. */
const whenFull = Schedule.spaced("5 millis")

/**
 * Opens a client in the current scope. It connects to the first server at once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<BinaryStarClient["Type"], InvalidConfig, ClientLink | Scope.Scope> =>
  Effect.gen(function*() {
    const { servers, settle, timeout } = yield* validate(Settings, {
      servers: options.servers ?? defaults.servers,
      timeout: options.timeout ?? defaults.timeout,
      settle: options.settle ?? defaults.settle
    })
    const retry = options.retry ?? defaults.retry
    const link = yield* ClientLink
    const scope = yield* Effect.scope
    let server = 0
    let lastId = 0
    let closed = false
    let current = yield* Deferred.make<Session, SocketError>()

    const open = (endpoint: string): Effect.Effect<Session, SocketError> =>
      Effect.gen(function*() {
        yield* Effect.logInfo(`connecting to server at ${endpoint}...`)
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const connection = yield* link.connect(endpoint).pipe(
          Scope.extend(own),
          Effect.timeoutFail({
            duration: timeout,
            onTimeout: () => new SocketError({ reason: "UnknownHost", operation: "connect", endpoint })
          }),
          Effect.onError(() => Scope.close(own, Exit.void))
        )
        const session: Session = { connection, waiting: new Map(), heard: 0, close: Scope.close(own, Exit.void) }
        const forsake = (reason: SocketError) =>
          Effect.forEach(session.waiting.values(), (reply) => Deferred.fail(reply, reason), { discard: true })
        yield* Scope.addFinalizer(
          own,
          Effect.suspend(() => forsake(new SocketError({ reason: "Closed", operation: "receive", endpoint })))
        )
        yield* connection.run(async (batch) => deliver(session, batch)).pipe(
          Effect.catchAll(forsake),
          Effect.forkIn(own)
        )
        return session
      })

    // Whoever is the first to find a server silent makes the client leave it. Others may have waited there too: their
    // requests are freed at once and wait for the next server together.
    const leave = (session: Deferred.Deferred<Session, SocketError>) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const next = yield* Deferred.make<Session, SocketError>()
        if (session !== current || closed) {
          return
        }
        current = next
        server = (server + 1) % servers.length
        yield* Effect.logWarning("no response from server, failing over")
        yield* Effect.ignore(Effect.flatMap(Deferred.await(session), ({ close }) => close))
        yield* Effect.sleep(settle).pipe(
          Effect.zipRight(Effect.intoDeferred(open(servers[server]!), next)),
          Effect.interruptible,
          Effect.forkIn(scope)
        )
      }))

    const attempt = (id: string, message: Frames.Frames, onSent: () => void) =>
      Effect.gen(function*() {
        const entrance = current
        const session = yield* Effect.tapError(Deferred.await(entrance), () => leave(entrance))
        const reply = yield* Deferred.make<Frames.Frames, SocketError>()
        const heard = session.heard
        session.waiting.set(id, reply)
        return yield* session.connection.send(message).pipe(
          Effect.retry({ while: (error) => error.reason === "Full", schedule: whenFull }),
          Effect.tap(onSent),
          Effect.zipRight(Deferred.await(reply)),
          Effect.timeout(timeout),
          // A server that answers others meanwhile is alive; it has dropped this request, or is slow with it.
          Effect.tapError(() => session.heard === heard ? leave(entrance) : Effect.void),
          Effect.ensuring(Effect.sync(() => session.waiting.delete(id)))
        )
      })

    yield* Effect.addFinalizer(() => {
      closed = true
      return Deferred.fail(current, new SocketError({ reason: "Closed", operation: "connect", endpoint: undefined }))
    })
    yield* Effect.intoDeferred(open(servers[server]!), current).pipe(Effect.interruptible, Effect.forkScoped)

    return BinaryStarClient.of({
      request: (request, { resend = true } = {}) =>
        Effect.suspend(() => {
          const id = String(++lastId)
          let attempts = 0
          let isSent = false
          return Effect.suspend(() => {
            attempts++
            return attempt(id, [...Frames.make(id), Frames.delimiter, ...Frames.make(request)], () => isSent = true)
          }).pipe(
            Effect.retry({ schedule: retry, while: () => resend && !closed }),
            Effect.mapError((cause) =>
              new RequestError({ reason: isSent && !resend ? "Unanswered" : "NoReply", servers, attempts, cause })
            )
          )
        })
    })
  })

/** Hands replies to those who wait for them. A reply that nobody waits for any more is late, and dropped. */
const deliver = (session: Session, batch: ReadonlyArray<Frames.Frames>) => {
  session.heard += batch.length
  for (const [id, delimiter, ...body] of batch) {
    if (id !== undefined && delimiter?.length === 0) {
      const reply = session.waiting.get(Frames.toString([id]))
      if (reply !== undefined) {
        Deferred.unsafeDone(reply, Effect.succeed(body))
      }
    }
  }
}

/**
 * A client that lives as long as the layer. What it connects with decides what it is: `ZmqClientLink.layer`, or memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<BinaryStarClient, InvalidConfig, ClientLink> =>
  Layer.scoped(BinaryStarClient, make(options))
