/**
 * The Guide's client of a pair, the Lazy Pirate: one server at a time; after a timeout it connects to the other one. A failover
 * takes seconds, but milliseconds with {@link BinaryStarClient}. Use it for exactly the Guide's behaviour.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as EffectVersion from "../internal/EffectVersion.ts"
import type { Connection } from "../ports/ClientLink.ts"
import { ClientLink } from "../ports/ClientLink.ts"
import { SocketError } from "../ports/SocketError.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { DurationInput } from "../settings/Settings.ts"
import { client } from "../settings/Settings.ts"
import { fieldOf, validate } from "../settings/Validation.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Frames from "../wire/Frames.ts"
import { BinaryStarClient } from "./BinaryStarClient.ts"
import { RequestError } from "./RequestError.ts"

/**
 * Options of a client. The defaults are those of the Guide's Lazy Pirate client, except that the number of retries is limited.
 *
 * @category models
 */
export interface Options {
  /** Frontends of the servers, in the order in which they are tried. Defaults to the Guide's pair on this machine. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** Time to wait for a reply before the connection is closed. Defaults to `1 second`. */
  readonly timeout?: DurationInput | undefined
  /** Time between closing a connection and connecting to the next server. Defaults to `2 seconds`. */
  readonly reconnectDelay?: DurationInput | undefined
  /**
   * How often an unanswered request is sent again, with delays in addition to `reconnectDelay`. With `n` retries a request ends
   * after `(n + 1) * (timeout + reconnectDelay)` at most, plus the delays of the schedule and up to one `timeout` for each
   * name to be resolved. A failover that another request caused uses up one retry, too. Defaults to `Schedule.recurs(3)`,
   * so 12 seconds.
   */
  readonly retry?: Schedule.Schedule<unknown> | undefined
}

/**
 * The servers and timings of the Guide's client.
 *
 * @category constants
 */
export const defaults = {
  servers: client.servers.default,
  timeout: client.timeout.commandDefaults.legacy,
  reconnectDelay: client.reconnectDelay.default,
  retry: Schedule.recurs(3)
} as const satisfies Options

const Settings = Schema.Struct({
  servers: Schema.NonEmptyArray(Endpoint.Connectable),
  timeout: fieldOf(client.timeout),
  reconnectDelay: fieldOf(client.reconnectDelay)
})

/** Delay before a message is offered again to a server whose queue is full. */
const whenFull = Schedule.spaced("5 millis")

/** The connection to one server, and the requests that are pending there. */
interface Attachment {
  readonly connection: Connection
  readonly pending: Map<string, Deferred.Deferred<Frames.Frames, SocketError>>
  /** Number of received messages, including late replies. */
  receivedCount: number
  readonly close: Effect.Effect<void>
}

/** Fulfilled when the connection is open. */
type Attaching = Deferred.Deferred<Attachment, SocketError>

interface Client {
  readonly settings: typeof Settings.Type
  readonly link: ClientLink["Type"]
  readonly scope: Scope.Scope
  serverIndex: number
  current: Attaching
  isClosed: boolean
}

/**
 * Opens a client in the current scope. It connects to the first server at once.
 *
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<BinaryStarClient["Type"], InvalidConfig, ClientLink | Scope.Scope> =>
  Effect.gen(function*() {
    yield* EffectVersion.check
    const settings = yield* validate(Settings, {
      servers: options.servers ?? defaults.servers,
      timeout: options.timeout ?? defaults.timeout,
      reconnectDelay: options.reconnectDelay ?? defaults.reconnectDelay
    })
    const client: Client = {
      settings,
      link: yield* ClientLink,
      scope: yield* Effect.scope,
      serverIndex: 0,
      current: yield* Deferred.make<Attachment, SocketError>(),
      isClosed: false
    }
    const retry = options.retry ?? defaults.retry
    let lastId = 0
    yield* Effect.addFinalizer(() => {
      client.isClosed = true
      return Deferred.fail(
        client.current,
        new SocketError({ reason: "Closed", operation: "connect", endpoint: undefined })
      )
    })
    yield* Effect.intoDeferred(attach(client), client.current).pipe(Effect.interruptible, Effect.forkScoped)
    return BinaryStarClient.of({
      request: (body, { resend = true } = {}) =>
        Effect.suspend(() => request(client, String(++lastId), Frames.make(body), resend, retry))
    })
  })

const request = (
  client: Client,
  id: string,
  body: Frames.Frames,
  resend: boolean,
  retry: Schedule.Schedule<unknown>
): Effect.Effect<Frames.Frames, RequestError> => {
  const { servers } = client.settings
  const message = [...Frames.make(id), Frames.delimiter, ...body]
  let attempts = 0
  let isSent = false
  return Effect.suspend(() => {
    attempts++
    return attempt(client, id, message, () => isSent = true)
  }).pipe(
    Effect.retry({ schedule: retry, while: () => resend && !client.isClosed }),
    Effect.mapError((cause) =>
      new RequestError({ reason: isSent && !resend ? "Unanswered" : "NoReply", servers, attempts, cause })
    )
  )
}

const attempt = (client: Client, id: string, message: Frames.Frames, onSent: () => void) =>
  Effect.gen(function*() {
    const attaching = client.current
    const attachment = yield* Effect.tapError(Deferred.await(attaching), () => failOver(client, attaching))
    const reply = yield* Deferred.make<Frames.Frames, SocketError>()
    const { receivedCount } = attachment
    attachment.pending.set(id, reply)
    return yield* attachment.connection.send(message).pipe(
      Effect.retry({ while: (error) => error.reason === "Full", schedule: whenFull }),
      Effect.tap(onSent),
      Effect.zipRight(Deferred.await(reply)),
      Effect.timeout(client.settings.timeout),
      // A server that replies to other requests is alive: it has dropped this one, or is slow to handle it.
      Effect.tapError(() => attachment.receivedCount === receivedCount ? failOver(client, attaching) : Effect.void),
      Effect.ensuring(Effect.sync(() => attachment.pending.delete(id)))
    )
  })

/** The first request that times out causes the failover. All others that are pending there fail at once, and are sent again. */
const failOver = (client: Client, from: Attaching) =>
  Effect.uninterruptible(Effect.gen(function*() {
    const next = yield* Deferred.make<Attachment, SocketError>()
    if (from !== client.current || client.isClosed) {
      return
    }
    client.current = next
    client.serverIndex = (client.serverIndex + 1) % client.settings.servers.length
    yield* Effect.logWarning("no response from server, failing over")
    yield* Effect.ignore(Effect.flatMap(Deferred.await(from), ({ close }) => close))
    yield* Effect.sleep(client.settings.reconnectDelay).pipe(
      Effect.zipRight(Effect.intoDeferred(attach(client), next)),
      Effect.interruptible,
      Effect.forkIn(client.scope)
    )
  }))

/** Connects to the current server. */
const attach = ({ link, scope, serverIndex, settings }: Client): Effect.Effect<Attachment, SocketError> =>
  Effect.gen(function*() {
    const endpoint = settings.servers[serverIndex]!
    yield* Effect.logInfo(`connecting to server at ${endpoint}...`)
    const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
    const connection = yield* link.connect(endpoint).pipe(
      Scope.extend(own),
      Effect.timeoutFail({
        duration: settings.timeout,
        onTimeout: () => new SocketError({ reason: "UnknownHost", operation: "connect", endpoint })
      }),
      Effect.onError(() => Scope.close(own, Exit.void))
    )
    const attachment: Attachment = {
      connection,
      pending: new Map(),
      receivedCount: 0,
      close: Scope.close(own, Exit.void)
    }
    const failAll = (error: SocketError) =>
      Effect.forEach(attachment.pending.values(), (reply) => Deferred.fail(reply, error), { discard: true })
    yield* Scope.addFinalizer(
      own,
      Effect.suspend(() => failAll(new SocketError({ reason: "Closed", operation: "receive", endpoint })))
    )
    yield* connection.run(async (batch) => receive(attachment, batch)).pipe(
      Effect.catchAll(failAll),
      Effect.forkIn(own)
    )
    return attachment
  })

/** Completes pending requests; late and malformed replies are ignored. */
const receive = (attachment: Attachment, batch: ReadonlyArray<Frames.Frames>) => {
  attachment.receivedCount += batch.length
  for (const [id, delimiter, ...body] of batch) {
    if (id !== undefined && delimiter?.length === 0) {
      const reply = attachment.pending.get(Frames.toString([id]))
      if (reply !== undefined) {
        Deferred.unsafeDone(reply, Effect.succeed(body))
      }
    }
  }
}

/**
 * A client with the lifetime of the layer. The `ClientLink` is `ZmqClientLink.layer`, or one in memory.
 *
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<BinaryStarClient, InvalidConfig, ClientLink> =>
  Layer.scoped(BinaryStarClient, make(options))
