/**
 * A client of a pair: asks whichever server is active, and fails over in milliseconds.
 *
 * It is connected to both servers all the time and learns from the connections themselves when one is lost. A server drops
 * without a word what it may not answer, so a request that is not answered soon goes round the servers as a vote until
 * one of them answers; then all that still wait go there.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { monotonicReader } from "../internal/Clock.ts"
import * as Deadlines from "../internal/Deadlines.ts"
import { nextPoll } from "../internal/Scheduler.ts"
import type { Connection } from "../ports/ClientLink.ts"
import { ClientLink } from "../ports/ClientLink.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { DurationInput, validate } from "../settings/Validation.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Frames from "../wire/Frames.ts"
import type { RequestReason } from "./RequestError.ts"
import { RequestError } from "./RequestError.ts"

/**
 * How a client behaves.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The servers' frontends; the first is asked first. Defaults to the Guide's pair on this machine. */
  readonly servers?: ReadonlyArray<string> | undefined
  /** How long a request may take in all before it fails. Defaults to `10 seconds`. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * How long a server that has been answering may take for a request before it is asked the same again. Give it more than
   * the slowest handler takes. Defaults to `1 second`.
   */
  readonly patience?: Duration.DurationInput | undefined
  /**
   * How often an unanswered request is offered to a server that has not been answering, as a vote. Begins anew for each
   * silence, and again where it ends too soon. Defaults to every 5 to 50 milliseconds, growing.
   */
  readonly votes?: Schedule.Schedule<unknown> | undefined
}

/**
 * The Guide's servers, and timings for a network of one site.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = {
  servers: ["tcp://localhost:5001", "tcp://localhost:5002"],
  timeout: "10 seconds",
  patience: "1 second",
  votes: Schedule.union(Schedule.exponential("5 millis", 1.5), Schedule.spaced("50 millis"))
} as const satisfies Options

/**
 * What can be said about one request.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestOptions {
  /**
   * Whether the request may be sent more than once, so that a handler may see it more than once: at-least-once. When not,
   * it goes on to the other server only where a server says that it has dropped it, and fails with `Unanswered` as soon as
   * the server that has it is lost, or the other one answers and this one does not within 0.2 seconds, or the time is over.
   * Servers of other implementations do not say so: one that is passive drops the request without a word. Defaults to `true`.
   */
  readonly resend?: boolean | undefined
}

/**
 * A client of a pair. Which of the two servers answers is its own affair.
 *
 * @since 0.1.0
 * @category tags
 */
export class BinaryStarClient extends Context.Tag("effect-binary-star/BinaryStarClient")<BinaryStarClient, {
  /**
   * Sends a request and waits for its reply. Requests may run beside each other. Fails with `NoReply` when no server has
   * answered in time, with `Unanswered` when a request that must not be sent twice was sent and its reply is lost, and
   * with `Failed`, `TimedOut` or `Busy` when a server of this library says so. The span in which it runs is the parent of
   * the server's.
   */
  readonly request: (
    request: Frames.Input,
    options?: RequestOptions
  ) => Effect.Effect<Frames.Frames, RequestError>
}>() {}

/** A server, and the connection to it while there is one. */
interface Server {
  readonly endpoint: string
  connection: Connection | undefined
  /** How many messages had been sent when it last said that it is not active. What it says to earlier ones is no news. */
  refusedAt: number
}

/** A request that waits for its reply. */
interface Asked {
  readonly id: string
  readonly body: Frames.Frames
  readonly resend: boolean
  readonly span: Tracer.AnySpan | undefined
  readonly reply: Deferred.Deferred<Frames.Frames, RequestError>
  /** To whom which copy of it was sent when, as far as it may still be answered there. */
  readonly sent: Map<Server, { readonly copy: number; at: number }>
  attempts: number
  /** When it was asked, and when it was last sent. */
  readonly since: number
  at: number
  /** Until when the server that has it may still answer: another one is active by now. */
  until: number
}

const Settings = Schema.Struct({
  servers: Schema.NonEmptyArray(Endpoint.Connectable),
  timeout: DurationInput({ minimum: "1 millis", maximum: "1 day" }),
  patience: DurationInput({ minimum: "1 millis", maximum: "1 day" })
})

/** How soon a server is looked up again whose name is not known. */
const lookUpAgain = Schedule.spaced("1 second")

/** A connection that was lost sooner than this, in milliseconds, is not made again at once. */
const shortMillis = 200

/** How long, in milliseconds, a request is left alone before it votes. */
const quietMillis = 5

/**
 * How long, in milliseconds, a server that has just been found active is left alone with what it got before: as a passive
 * server it has dropped it, but replies may also come in another order.
 */
const foundMillis = 20

/**
 * How long, in milliseconds, a server that has what must not be sent twice may take to say what has become of it, when
 * another one is active by now. What it says comes on another connection, and the first of the other's may overtake it.
 */
const lastWordMillis = 200

/**
 * Opens a client in the current scope. It connects to all servers at once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<BinaryStarClient["Type"], InvalidConfig, ClientLink | Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* validate(Settings, {
      servers: options.servers ?? defaults.servers,
      timeout: options.timeout ?? defaults.timeout,
      patience: options.patience ?? defaults.patience
    })
    const patienceMillis = Duration.toMillis(settings.patience)
    const votes = options.votes ?? defaults.votes
    const link = yield* ClientLink
    const now = yield* monotonicReader
    const voting = yield* FiberHandle.make<void>()
    const runVoting = yield* FiberHandle.runtime(voting)<never>()
    const servers = settings.servers.map((endpoint): Server => ({ endpoint, connection: undefined, refusedAt: 0 }))
    const waiting = new Map<string, Asked>()
    // The server that answers now, as far as is known, and how many messages had been sent when it was found out.
    let serving: Server | undefined
    let servingSince = 0
    let turn = 0
    let lastId = 0
    let isVoting = false
    let closed = false

    const send = (asked: Asked, server: Server) =>
      Effect.suspend(() => {
        const isSpent = !waiting.has(asked.id) || (!asked.resend && asked.sent.size > 0)
        if (server.connection === undefined || isSpent) {
          return Effect.void
        }
        asked.at = now()
        asked.until = Number.POSITIVE_INFINITY
        asked.attempts++
        // The reply comes back in this envelope, so it tells to which copy of the request it is.
        const envelope = Envelope.make(asked.id, ++turn, asked.span)
        asked.sent.set(server, { copy: turn, at: asked.at })
        return Effect.catchAll(server.connection.send([...envelope, ...asked.body]), () =>
          Effect.sync(() => {
            asked.sent.delete(server)
            asked.attempts--
          }))
      })

    /** Sends a request to the server that is the most likely to answer. */
    const ask = (asked: Asked) =>
      Effect.suspend(() => {
        const server = serving ?? servers.find(({ connection }) => connection !== undefined)
        return server === undefined ? Effect.void : send(asked, server)
      })

    /** A server that has let a request down is the last to be asked the next one. */
    const distrust = (server: Server) => {
      serving = serving === server ? undefined : serving
      servers.push(...servers.splice(servers.indexOf(server), 1))
    }

    /** Whether a server that has been answering has got the request and may still be busy with it. */
    const isInHand = (asked: Asked, at: number) => {
      const sent = serving && asked.sent.get(serving)
      return sent !== undefined && at - sent.at < patienceMillis
    }

    /** Offers one request to those who have not been answering, and to the one who has what it has had for too long. */
    const vote = Effect.gen(function*() {
      const at = now()
      for (const asked of waiting.values()) {
        if (at > asked.until) {
          settle(asked, failed(asked, "Unanswered"))
        }
      }
      const due = [...waiting].filter(([, asked]) =>
        asked.sent.size === 0 || (asked.resend && at - asked.at > quietMillis - 1)
      )
      if (serving !== undefined) {
        for (const [, asked] of due) {
          if (!isInHand(asked, at)) {
            yield* send(asked, serving)
          }
        }
      }
      for (const [id, asked] of due) {
        if (!waiting.has(id)) {
          continue
        }
        if (!asked.resend) {
          yield* ask(asked)
          continue
        }
        // Behind all others, so that each of them votes in its turn: this one may be one that nobody answers.
        waiting.delete(id)
        waiting.set(id, asked)
        for (const server of servers) {
          if (server !== serving) {
            yield* send(asked, server)
          }
        }
        break
      }
    })

    /** Whether something has waited for so long that it has to vote. */
    const isOverdue = () => {
      const at = now()
      for (const asked of waiting.values()) {
        if (at - asked.since > quietMillis - 1) {
          return true
        }
      }
      return false
    }

    const voteWhileOverdue = Effect.suspend(() =>
      isOverdue() ? Effect.repeat(vote, { schedule: votes, while: isOverdue }) : Effect.void
    )

    /** Looks after what waits from now on, until nothing does. */
    const startVoting = () => {
      isVoting = true
      runVoting(
        Effect.sleep(quietMillis).pipe(
          Effect.zipRight(voteWhileOverdue),
          Effect.repeat({ while: () => isVoting = waiting.size > 0 })
        )
      )
    }

    const voteNow = Effect.suspend(() =>
      waiting.size > 0 ? Effect.zipRight(vote, Effect.sync(startVoting)) : Effect.void
    )

    const failed = (asked: Asked, reason: RequestReason, detail?: Frames.Frames) =>
      new RequestError({
        reason,
        servers: settings.servers,
        attempts: asked.attempts,
        ...(detail === undefined || detail.length === 0 ? {} : { detail })
      })

    const forget = (asked: Asked) => {
      waiting.delete(asked.id)
      timeouts.delete(asked)
    }

    const settle = (asked: Asked, reply: Effect.Effect<Frames.Frames, RequestError>) => {
      forget(asked)
      Deferred.unsafeDone(asked.reply, reply)
    }

    /** Nobody is left to wait for. */
    const expire = (asked: Asked) =>
      settle(asked, failed(asked, !asked.resend && asked.sent.size > 0 ? "Unanswered" : "NoReply"))

    /** A server will not answer a request any more that it was sent. */
    const giveUp = (server: Server, asked: Asked) => {
      if (asked.sent.delete(server) && !asked.resend) {
        settle(asked, failed(asked, "Unanswered"))
      }
    }

    /** What a server has said instead of a reply. */
    const refused = (server: Server, asked: Asked, status: Envelope.ReplyStatus, { body, copy }: Envelope.Reply) => {
      const isLatest = copy === asked.sent.get(server)?.copy
      switch (status) {
        case "NotActive":
          server.refusedAt = turn
          if (isLatest) {
            asked.sent.delete(server)
            distrust(server)
          }
          break
        case "Interrupted":
          if (isLatest) {
            giveUp(server, asked)
          }
          break
        case "Busy":
          if (isLatest) {
            settle(asked, failed(asked, status, body))
          }
          break
        default:
          settle(asked, failed(asked, status, body))
      }
    }

    /** Hands replies to those who wait, and tells whether only a server that is active can have sent them. */
    const deliver = (server: Server, batch: ReadonlyArray<Frames.Frames>): boolean => {
      let found = false
      for (const message of batch) {
        const answer = Envelope.parseReply(message)
        const asked = answer && waiting.get(answer.id)
        if (asked === undefined) {
          continue
        }
        const { body, copy, status } = answer!
        found ||= copy > Math.max(servingSince, server.refusedAt) && Envelope.isFromActive(status)
        if (status === undefined) {
          settle(asked, Effect.succeed(body))
        } else {
          refused(server, asked, status, answer!)
        }
      }
      return found
    }

    /** Another server than before answers: all that wait go there. */
    const follow = (server: Server) =>
      Effect.gen(function*() {
        serving = server
        servingSince = turn
        yield* Effect.logInfo(`server at ${server.endpoint} answers`)
        for (const asked of [...waiting.values()]) {
          const sent = asked.sent.get(server)
          if (sent !== undefined) {
            sent.at = now() - patienceMillis + foundMillis
          } else if (asked.resend || asked.sent.size === 0) {
            yield* send(asked, server)
          } else {
            asked.until = now() + lastWordMillis
          }
        }
        if (waiting.size > 0) {
          startVoting()
        }
      })

    const lost = (server: Server) =>
      Effect.gen(function*() {
        const wasThere = server.connection !== undefined
        server.connection = undefined
        serving = serving === server ? undefined : serving
        for (const asked of waiting.values()) {
          giveUp(server, asked)
        }
        if (wasThere && !closed) {
          yield* Effect.logWarning(`lost the server at ${server.endpoint}`)
        }
        yield* voteNow
      })

    const connected = (server: Server, connection: Connection) =>
      Effect.suspend(() => {
        server.connection = connection
        return voteNow
      })

    /** One connection to a server, from its beginning until it is lost. */
    const session = (server: Server) =>
      Effect.gen(function*() {
        const connection = yield* link.connect(server.endpoint)
        const runPromise = yield* FiberSet.makeRuntimePromise()
        let batches = 0
        const listen = connection.run(async (batch) => {
          batches++
          if (deliver(server, batch) && serving !== server) {
            await runPromise(follow(server))
          }
        })
        const untilLost = connection.events.pipe(
          Stream.tap((event) => event === "connected" ? connected(server, connection) : Effect.void),
          Stream.takeUntil((event) => event === "lost"),
          Stream.runDrain
        )
        // The loss may overtake replies that came before it.
        const untilRead = Effect.suspend(() => {
          const before = batches
          return Effect.map(nextPoll, () => batches === before)
        })
        yield* Effect.raceFirst(
          listen,
          Effect.zipRight(untilLost, Effect.repeat(untilRead, { until: (isRead) => isRead }))
        )
      }).pipe(
        Effect.ensuring(lost(server)),
        Effect.scoped
      )

    const keepConnected = (server: Server) =>
      Effect.gen(function*() {
        const began = now()
        yield* Effect.logInfo(`connecting to server at ${server.endpoint}...`)
        yield* session(server)
        // Something that takes connections and drops them at once is no reason to be busy.
        yield* now() - began < shortMillis ? Effect.sleep(shortMillis) : Effect.void
      }).pipe(
        Effect.tapError((error) => Effect.logWarning(error.message)),
        Effect.retry(lookUpAgain),
        Effect.forever,
        Effect.interruptible,
        Effect.forkScoped
      )

    const timeouts = yield* Deadlines.make<Asked>(settings.timeout, (asked) => {
      if (!asked.resend) {
        asked.sent.forEach((_, server) => distrust(server))
      }
      expire(asked)
    })
    yield* Effect.forEach(servers, keepConnected, { discard: true })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
        waiting.forEach(expire)
      })
    )

    return BinaryStarClient.of({
      request: (request, { resend = true } = {}) =>
        Effect.withFiberRuntime((fiber) => {
          const asked: Asked = {
            id: String(++lastId),
            body: Frames.make(request),
            resend,
            span: fiber.currentSpan,
            reply: Deferred.unsafeMake(FiberId.none),
            sent: new Map(),
            attempts: 0,
            since: now(),
            at: 0,
            until: Number.POSITIVE_INFINITY
          }
          if (closed) {
            return failed(asked, "NoReply")
          }
          waiting.set(asked.id, asked)
          timeouts.add(asked)
          if (!isVoting) {
            startVoting()
          }
          return Effect.onInterrupt(
            Effect.zipRight(ask(asked), Deferred.await(asked.reply)),
            () => Effect.sync(() => forget(asked))
          )
        })
    })
  })

/**
 * A client that lives as long as the layer. What it connects with decides what it is: `ZmqClientLink.layer`, or memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<BinaryStarClient, InvalidConfig, ClientLink> =>
  Layer.scoped(BinaryStarClient, make(options))
