/** A running client: connections to all servers, the timer for votes, and the callers that wait for replies. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { monotonicReader } from "../internal/Clock.ts"
import * as Deadlines from "../internal/Deadlines.ts"
import { nextPoll } from "../internal/Scheduler.ts"
import type { Connection } from "../ports/ClientLink.ts"
import { ClientLink } from "../ports/ClientLink.ts"
import * as Envelope from "../wire/Envelope.ts"
import type { Frames } from "../wire/Frames.ts"
import { RequestError } from "./RequestError.ts"
import * as RequestTable from "./requestTable.ts"

/** Settings of a client, validated. */
export interface Settings {
  readonly servers: ReadonlyArray<string>
  readonly timeout: Duration.Duration
  readonly retryAfter: Duration.Duration
  readonly votes: Schedule.Schedule<unknown>
}

/**
 * What a pending request carries, and its caller. Not a `Deferred`: to make one costs 5 us.
 *
 * The effect of the caller refers to it, so once the request has ended, it must not refer to the callback of that effect any more: V8
 * would promote both, with all that they refer to.
 */
interface Call {
  readonly body: Frames
  readonly span: Tracer.AnySpan | undefined
  pending: {
    readonly request: Request
    readonly deadline: Deadlines.Deadline<Request>
    readonly complete: Complete
  } | undefined
}

type Complete = (outcome: Effect.Effect<Frames, RequestError>) => void

type Request = RequestTable.Request<Call>

interface Session {
  readonly settings: Settings
  readonly link: ClientLink["Type"]
  readonly table: RequestTable.RequestTable<Call>
  readonly connections: Map<RequestTable.Server, Connection>
  readonly now: () => number
  readonly timeouts: Deadlines.Deadlines<Request>
  /** Replaces the fiber that votes. */
  readonly runVoting: (voting: Effect.Effect<void>) => void
  isVoting: boolean
  isClosed: boolean
}

/** Delay before the name of an unknown host is resolved again. */
const resolveAgain = Schedule.spaced("1 second")

/** Votes after the active server has rejected a request. Its peer is active some milliseconds later. */
const handOverVotes = Schedule.intersect(Schedule.spaced("2 millis"), Schedule.recurs(10))

/** Delay before a connection that was lost within this time is opened again: its server may drop every connection. */
const reconnectMillis = 200

/** Starts a client in the current scope, with a connection to each server. Returns the function that sends a request. */
export const make = (settings: Settings) =>
  Effect.gen(function*() {
    const runVoting = yield* FiberHandle.runtime(yield* FiberHandle.make<void>())<never>()
    const session: Session = {
      settings,
      link: yield* ClientLink,
      table: RequestTable.make(settings.servers, Duration.toMillis(settings.retryAfter)),
      connections: new Map(),
      now: yield* monotonicReader,
      timeouts: yield* Deadlines.make<Request>(
        settings.timeout,
        (request) => complete(session, RequestTable.timeOut(session.table, request))
      ),
      runVoting,
      isVoting: false,
      isClosed: false
    }
    yield* Effect.forEach([...session.table.servers], (server) => keepConnected(session, server), { discard: true })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        session.isClosed = true
        RequestTable.close(session.table).forEach((ended) => complete(session, ended))
      })
    )
    return (body: Frames, resend: boolean, trace: boolean) => request(session, body, resend, trace)
  })

const request = (
  session: Session,
  body: Frames,
  resend: boolean,
  trace: boolean
): Effect.Effect<Frames, RequestError> =>
  Effect.withFiberRuntime((fiber) => {
    const call: Call = { body, span: trace ? fiber.currentSpan : undefined, pending: undefined }
    const reply = Effect.async<Frames, RequestError>((complete) => {
      if (session.isClosed) {
        complete(new RequestError({ reason: "NoReply", servers: session.settings.servers, attempts: 0 }))
      } else {
        start(session, call, complete, resend)
      }
    })
    // As `Effect.onInterrupt`, which costs 2 us more. The canceler of an `Effect.async` costs 4.
    return Effect.uninterruptibleMask((restore) =>
      Effect.catchAllCause(restore(reply), (cause) => {
        cancel(session, call)
        return Effect.failCause(cause)
      })
    )
  })

/** Adds a request and sends it, all at once: its outcome cannot come before. */
const start = (session: Session, call: Call, complete: Complete, resend: boolean): void => {
  const { table } = session
  const request = RequestTable.add(table, call, resend, session.now())
  call.pending = { request, deadline: session.timeouts.add(request), complete }
  if (!session.isVoting) {
    startVoting(session)
  }
  const server = RequestTable.preferredServer(table)
  if (server !== undefined) {
    send(session, { request, server })
  }
}

/** Has no effect on a request that has ended. */
const cancel = (session: Session, call: Call): void => {
  if (call.pending !== undefined) {
    RequestTable.cancel(session.table, call.pending.request)
    release(session, call)
  }
}

/** Returns the callback of a pending request, which is released from it. */
const release = (session: Session, call: Call): Complete | undefined => {
  const { pending } = call
  call.pending = undefined
  if (pending !== undefined) {
    session.timeouts.delete(pending.deadline)
  }
  return pending?.complete
}

const send = (session: Session, { request, server }: RequestTable.Send<Call>): void => {
  const connection = session.connections.get(server)
  const attempt = RequestTable.beginAttempt(session.table, { request, server }, session.now())
  if (connection !== undefined && attempt !== undefined) {
    const { context: { body, span }, id } = request
    connection.sendNow(
      [...Envelope.make(id, attempt, span, session.table.latestToken), ...body],
      () => RequestTable.undoAttempt(request, attempt)
    )
  }
}

const sendAll = (session: Session, sends: ReadonlyArray<RequestTable.Send<Call>>): void => {
  for (const message of sends) {
    send(session, message)
  }
}

const complete = (session: Session, { outcome, request }: RequestTable.Ended<Call>): void => {
  release(session, request.context)?.(
    outcome._tag === "Replied" ? Effect.succeed(outcome.body) : new RequestError({
      reason: outcome.reason,
      servers: session.settings.servers,
      attempts: request.sentCount,
      ...(outcome.detail.length === 0 ? {} : { detail: outcome.detail })
    })
  )
}

const vote = (session: Session): void => {
  const { ended, sends } = RequestTable.vote(session.table, session.now())
  ended.forEach((one) => complete(session, one))
  sendAll(session, sends)
}

/** Votes by the schedule while requests are overdue. */
const voteWhileOverdue = (session: Session): Effect.Effect<void> =>
  Effect.suspend(() => {
    const isOverdue = () => RequestTable.isOverdue(session.table, session.now())
    return isOverdue()
      ? Effect.repeat(Effect.sync(() => vote(session)), { schedule: session.settings.votes, while: isOverdue })
      : Effect.void
  })

/** Votes until no request is pending. */
const voteUntilDone = (session: Session): Effect.Effect<void> =>
  Effect.sleep(RequestTable.voteAfterMillis).pipe(
    Effect.zipRight(voteWhileOverdue(session)),
    Effect.repeat({ while: () => session.isVoting = session.table.pending.size > 0 }),
    Effect.asVoid
  )

/** Starts the schedule of votes anew. */
const startVoting = (session: Session): void => {
  session.isVoting = true
  session.runVoting(voteUntilDone(session))
}

/** Votes without waiting for the schedule at first: the peer of a server that hands over is about to be active. */
const startVotingAtOnce = (session: Session): void => {
  const isSought = () => session.table.pending.size > 0 && session.table.activeServer === undefined
  session.isVoting = true
  session.runVoting(
    Effect.sync(() => vote(session)).pipe(
      Effect.repeat({ schedule: handOverVotes, while: isSought }),
      Effect.zipRight(voteUntilDone(session))
    )
  )
}

const restartVoting = (session: Session): void => {
  if (session.table.pending.size > 0) {
    startVoting(session)
  }
}

const voteNow = (session: Session): void => {
  vote(session)
  restartVoting(session)
}

/** Keeps a server connected, one connection after the other. */
const keepConnected = (session: Session, server: RequestTable.Server) =>
  Effect.gen(function*() {
    const startedAt = session.now()
    yield* Effect.logInfo(`connecting to server at ${server.endpoint}...`)
    yield* untilDisconnected(session, server)
    yield* session.now() - startedAt < reconnectMillis ? Effect.sleep(reconnectMillis) : Effect.void
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry(resolveAgain),
    Effect.forever,
    Effect.interruptible,
    Effect.forkScoped
  )

/** Opens a connection and serves it until it is lost. */
const untilDisconnected = (session: Session, server: RequestTable.Server) =>
  Effect.gen(function*() {
    const connection = yield* session.link.connect(server.endpoint)
    const runPromise = yield* FiberSet.makeRuntimePromise()
    let batchCount = 0
    const received = connection.run((batch) => {
      // libzmq may connect the socket again before it is closed.
      if (session.connections.get(server) !== connection) {
        return
      }
      batchCount++
      const activated = receive(session, server, batch)
      return activated && runPromise(Effect.logInfo(`server at ${activated.endpoint} is active`))
    })
    // The loss may overtake replies that arrived before it.
    const isDrained = Effect.suspend(() => {
      const before = batchCount
      return Effect.map(nextPoll, () => batchCount === before)
    })
    const drained = Effect.repeat(isDrained, { until: (isDrained) => isDrained })
    // Not after the race: to end it takes milliseconds the first time.
    const onEvent = (event: "connected" | "lost") =>
      event === "connected"
        ? onConnected(session, server, connection)
        : Effect.zipRight(drained, onLost(session, server))
    const lost = connection.events.pipe(
      Stream.tap(onEvent),
      Stream.takeUntil((event) => event === "lost"),
      Stream.runDrain
    )
    yield* Effect.raceFirst(received, lost)
  }).pipe(
    Effect.ensuring(onLost(session, server)),
    Effect.scoped
  )

const onConnected = (session: Session, server: RequestTable.Server, connection: Connection): Effect.Effect<void> =>
  Effect.sync(() => {
    session.connections.set(server, connection)
    RequestTable.onConnected(server)
    voteNow(session)
  })

/** Has no effect on a connection that was not made, or whose loss was handled already. */
const onLost = (session: Session, server: RequestTable.Server): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!session.connections.delete(server)) {
      return Effect.void
    }
    RequestTable.onLost(session.table, server).forEach((ended) => complete(session, ended))
    voteNow(session)
    return session.isClosed ? Effect.void : Effect.logWarning(`lost the server at ${server.endpoint}`)
  })

/** Completes the requests of a batch of replies. Returns the server if the batch shows that it is active, and sends it the others. */
const receive = (
  session: Session,
  server: RequestTable.Server,
  batch: ReadonlyArray<Frames>
): RequestTable.Server | undefined => {
  const replies: Array<Envelope.Reply> = []
  for (const message of batch) {
    const reply = Envelope.parseReply(message)
    if (reply !== undefined) {
      replies.push(reply)
    }
  }
  const wasActive = server === session.table.activeServer
  const { activated, ended, sends } = RequestTable.onReplies(session.table, server, replies, session.now())
  for (const one of ended) {
    complete(session, one)
  }
  if (activated !== undefined) {
    sendAll(session, sends)
    restartVoting(session)
  } else if (wasActive && session.table.activeServer === undefined) {
    startVotingAtOnce(session)
  }
  return activated
}
