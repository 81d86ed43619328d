/**
 * Decisions of a client: which server receives a request, when it is sent again, what a reply means, how a request ends.
 *
 * Plain data and synchronous functions, with time as a parameter in monotonic milliseconds. The session performs what they
 * return. The table is updated in place, because a copy for each request would cost more than the request.
 */
import type { Linked } from "../internal/LinkedList.ts"
import * as Term from "../protocol/Term.ts"
import type { Reply } from "../wire/Envelope.ts"
import { isFromActive } from "../wire/Envelope.ts"
import type { Frames } from "../wire/Frames.ts"
import { Pending } from "./pending.ts"
import type { RequestReason } from "./RequestError.ts"

/** Age at which an unanswered request votes. */
export const voteAfterMillis = 5

/** Timers may fire up to a millisecond early. */
const timerToleranceMillis = 1

/**
 * Wait before a request is sent again to a server that has just been found active. While passive it dropped the request, but
 * its replies may also arrive in another order.
 */
export const reorderMillis = 20

/**
 * Wait for the status of a request that must not be resent, once another server is active. The status arrives over another
 * connection than the reply that showed the other server active, which may overtake it by long on a busy machine: with 200 ms
 * a switchover at a load of 8 left requests unanswered.
 */
export const statusGraceMillis = 1000

/** A server of the pair, as seen by the client. */
export interface Server {
  readonly endpoint: string
  isConnected: boolean
  /** Sequence number at its last `NotActive`: replies to earlier attempts do not show that it is active. */
  inactiveSince: number
}

/** A message with a request that its server may still answer. */
interface Attempt {
  readonly server: Server
  readonly sequence: number
  /**
   * Until then the server counts as busy with the request, and does not receive it again if it is active. Infinite once it has rejected
   * an earlier attempt.
   */
  retryAt: number
}

/** A request without a reply. `C` is the context of the session. */
export interface Request<C> extends Linked<Request<C>> {
  readonly id: string
  readonly context: C
  readonly resend: boolean
  readonly startedAt: number
  lastSentAt: number
  /** How often it was sent. */
  sentCount: number
  /** At most one for each server. */
  attempts: Array<Attempt>
  /** When it fails because another server is active and the one that received it has not replied. */
  answerUntil: number
}

/** State of a client. */
export interface RequestTable<C> {
  readonly retryAfterMillis: number
  /** In order of preference; a deprioritized server is last, until another one is deprioritized. */
  readonly servers: Array<Server>
  /** Unanswered requests, in the order in which they vote. */
  readonly pending: Pending<Request<C>>
  /** The server that has replied last as an active server does, unless it has failed since. */
  activeServer: Server | undefined
  /** Sequence number when it was found: only replies to later attempts show that another server is active. */
  activeSince: number
  /** Number of attempts of all requests. */
  sequence: number
  /** The largest fencing token of a server; where none counts from a witness, the last one. */
  latestToken: number | undefined
}

/** How a request ends. */
export type Outcome =
  | { readonly _tag: "Replied"; readonly body: Frames }
  | { readonly _tag: "Failed"; readonly reason: RequestReason; readonly detail: Frames }

export interface Ended<C> {
  readonly request: Request<C>
  readonly outcome: Outcome
}

/** A message to be sent, unless {@link beginAttempt} rejects it. */
export interface Send<C> {
  readonly request: Request<C>
  readonly server: Server
}

/** Result of a decision, to be performed in this order. The requests in `ended` have left the table. */
interface Actions<C> {
  readonly ended: ReadonlyArray<Ended<C>>
  /** The server that has just been found active. */
  readonly activated: Server | undefined
  readonly sends: ReadonlyArray<Send<C>>
}

export const make = <C>(servers: ReadonlyArray<string>, retryAfterMillis: number): RequestTable<C> => ({
  retryAfterMillis,
  servers: servers.map((endpoint) => ({ endpoint, isConnected: false, inactiveSince: 0 })),
  pending: new Pending(),
  activeServer: undefined,
  activeSince: 0,
  sequence: 0,
  latestToken: undefined
})

/** Adds a request, to be sent to {@link preferredServer}. */
export const add = <C>(table: RequestTable<C>, context: C, resend: boolean, now: number): Request<C> => {
  const request: Request<C> = {
    id: table.pending.nextId(),
    context,
    resend,
    startedAt: now,
    lastSentAt: now,
    sentCount: 0,
    attempts: [],
    answerUntil: Number.POSITIVE_INFINITY,
    previous: undefined,
    next: undefined
  }
  table.pending.add(request)
  return request
}

/** The server that is the most likely to answer: the active one, or else the first that is connected. */
export const preferredServer = (table: RequestTable<unknown>): Server | undefined =>
  table.activeServer ?? table.servers.find(({ isConnected }) => isConnected)

const attemptAt = (request: Request<unknown>, server: Server): Attempt | undefined =>
  request.attempts.find((attempt) => attempt.server === server)

const isBusyWith = (server: Server, request: Request<unknown>, now: number): boolean => {
  const attempt = attemptAt(request, server)
  return attempt !== undefined && now < attempt.retryAt
}

/**
 * Records that a request is sent now, and returns the number of the attempt. `undefined`: it must not be sent, because it has
 * ended, its server is not connected, the active server is busy with it, or a server may have it and it must not be resent.
 * No other function allows a message, so this one is called right before sending.
 */
export const beginAttempt = <C>(
  table: RequestTable<C>,
  { request, server }: Send<C>,
  now: number
): number | undefined => {
  const isSpent = request.resend
    ? server === table.activeServer && isBusyWith(server, request, now)
    : request.attempts.length > 0
  if (isSpent || !server.isConnected || !table.pending.has(request)) {
    return undefined
  }
  const attempt = { server, sequence: ++table.sequence, retryAt: now + table.retryAfterMillis }
  const index = request.attempts.findIndex((earlier) => earlier.server === server)
  request.attempts[index < 0 ? request.attempts.length : index] = attempt
  request.lastSentAt = now
  request.sentCount++
  request.answerUntil = Number.POSITIVE_INFINITY
  return attempt.sequence
}

/** The message of an attempt was not sent, because the queue of the connection is full. */
export const undoAttempt = (request: Request<unknown>, sequence: number): void => {
  request.attempts = request.attempts.filter((attempt) => attempt.sequence !== sequence)
  request.sentCount--
}

const end = <C>(table: RequestTable<C>, request: Request<C>, outcome: Outcome): Ended<C> => {
  table.pending.delete(request)
  return { request, outcome }
}

const failure = (reason: RequestReason, detail: Frames = []): Outcome => ({ _tag: "Failed", reason, detail })

/** Removes a request whose caller was interrupted. */
export const cancel = <C>(table: RequestTable<C>, request: Request<C>): void => {
  table.pending.delete(request)
}

/** A server that failed a request is the last to receive the next one. */
const deprioritize = (table: RequestTable<unknown>, server: Server): void => {
  table.activeServer = table.activeServer === server ? undefined : table.activeServer
  table.servers.push(...table.servers.splice(table.servers.indexOf(server), 1))
}

/** The server will not answer what it received. A request that must not be resent fails. */
const loseAttempt = (request: Request<unknown>, server: Server): Outcome | undefined => {
  const left = request.attempts.filter((attempt) => attempt.server !== server)
  const isLost = left.length < request.attempts.length
  request.attempts = left
  return isLost && !request.resend ? failure("Unanswered") : undefined
}

const isUnsent = ({ attempts }: Request<unknown>): boolean => attempts.length === 0

const noReply = (request: Request<unknown>): Outcome =>
  failure(request.resend || isUnsent(request) ? "NoReply" : "Unanswered")

/** Ends a request whose time is over. */
export const timeOut = <C>(table: RequestTable<C>, request: Request<C>): Ended<C> => {
  if (!request.resend) {
    request.attempts.forEach(({ server }) => deprioritize(table, server))
  }
  return end(table, request, noReply(request))
}

/** Ends all requests, because the client is closed. */
export const close = <C>(table: RequestTable<C>): ReadonlyArray<Ended<C>> =>
  table.pending.toArray().map((request) => end(table, request, noReply(request)))

export const onConnected = (server: Server): void => {
  server.isConnected = true
}

/** Ends the requests that only this server could answer. The others are sent again by the next {@link vote}. */
export const onLost = <C>(table: RequestTable<C>, server: Server): ReadonlyArray<Ended<C>> => {
  server.isConnected = false
  table.activeServer = table.activeServer === server ? undefined : table.activeServer
  const ended: Array<Ended<C>> = []
  for (const request of table.pending.toArray()) {
    const outcome = loseAttempt(request, server)
    if (outcome !== undefined) {
      ended.push(end(table, request, outcome))
    }
  }
  return ended
}

/** Learns the token of a reply. Returns whether it is stale: another server has been active since. */
const isStale = (table: RequestTable<unknown>, { status, token }: Reply): boolean => {
  const { latestToken } = table
  if (token === undefined || !isFromActive(status)) {
    return false
  }
  if (latestToken === undefined || token > latestToken || !Term.isDurable(latestToken)) {
    table.latestToken = token
  }
  return Term.isStale(token, latestToken)
}

/** A server that was no longer active has answered: as if it had reported `Interrupted`. */
const onStaleReply = (
  table: RequestTable<unknown>,
  server: Server,
  request: Request<unknown>,
  { attempt }: Reply
): Outcome | undefined => {
  server.inactiveSince = table.sequence
  if (attempt !== attemptAt(request, server)?.sequence) {
    return undefined
  }
  deprioritize(table, server)
  return loseAttempt(request, server)
}

/**
 * A server that has rejected an earlier copy of a request as `Busy` has the later ones still, and will report on them. Another copy would
 * only put off the last report, without which the request may have been executed.
 */
const awaitStatus = (request: Request<unknown>, server: Server): void => {
  const attempt = attemptAt(request, server)
  if (attempt !== undefined) {
    attempt.retryAt = Number.POSITIVE_INFINITY
  }
}

/** The outcome of a request, if a reply or status decides it. */
const onReply = (
  table: RequestTable<unknown>,
  server: Server,
  request: Request<unknown>,
  { attempt, body, status }: Reply
): Outcome | undefined => {
  if (status === undefined) {
    return { _tag: "Replied", body }
  }
  // A later attempt at the same server may still be answered.
  const isLatest = attempt === attemptAt(request, server)?.sequence
  switch (status) {
    case "NotActive":
      server.inactiveSince = table.sequence
      if (isLatest) {
        request.attempts = request.attempts.filter((attempt) => attempt.server !== server)
        request.answerUntil = Number.POSITIVE_INFINITY
        deprioritize(table, server)
      }
      return undefined
    case "Interrupted":
      return isLatest ? loseAttempt(request, server) : undefined
    case "Busy":
      if (!isLatest) {
        awaitStatus(request, server)
      }
      return isLatest ? failure(status, body) : undefined
    case "Failed":
    case "TimedOut":
      return failure(status, body)
  }
}

/** Sends what is pending to a server that was found active. */
const activate = <C>(table: RequestTable<C>, server: Server, now: number): ReadonlyArray<Send<C>> => {
  table.activeServer = server
  table.activeSince = table.sequence
  const sends: Array<Send<C>> = []
  for (const request of table.pending.toArray()) {
    const attempt = attemptAt(request, server)
    if (attempt !== undefined) {
      attempt.retryAt = Number.isFinite(attempt.retryAt) ? now + reorderMillis : attempt.retryAt
    } else if (request.resend || isUnsent(request)) {
      sends.push({ request, server })
    } else {
      request.answerUntil = now + statusGraceMillis
    }
  }
  return sends
}

const nothing: ReadonlyArray<never> = []

/** Handles a batch of replies from one server. Replies to requests that are not pending are ignored. */
export const onReplies = <C>(
  table: RequestTable<C>,
  server: Server,
  replies: ReadonlyArray<Reply>,
  now: number
): Actions<C> => {
  const ended: Array<Ended<C>> = []
  let isActive = false
  for (const reply of replies) {
    const isLate = isStale(table, reply)
    const request = table.pending.find(reply.id)
    if (request === undefined) {
      continue
    }
    isActive ||= !isLate && reply.attempt > Math.max(table.activeSince, server.inactiveSince) &&
      isFromActive(reply.status)
    const outcome = isLate
      ? onStaleReply(table, server, request, reply)
      : onReply(table, server, request, reply)
    if (outcome !== undefined) {
      ended.push(end(table, request, outcome))
    }
  }
  return isActive && server !== table.activeServer
    ? { ended, activated: server, sends: activate(table, server, now) }
    : { ended, activated: undefined, sends: nothing }
}

/** Whether a request has been pending for so long that it has to vote. */
export const isOverdue = (table: RequestTable<unknown>, now: number): boolean => {
  let request = table.pending.first
  while (request !== undefined && now - request.startedAt <= voteAfterMillis - timerToleranceMillis) {
    request = request.next
  }
  return request !== undefined
}

const isDue = (request: Request<unknown>, now: number): boolean =>
  isUnsent(request) || (request.resend && now - request.lastSentAt > voteAfterMillis - timerToleranceMillis)

/**
 * Sends due requests again: all to the active server, unless it is busy with them, and one to the others, as a vote. One
 * only, so that an outage does not flood a passive server; it then moves behind the others, because it may be one that
 * no server answers.
 */
export const vote = <C>(table: RequestTable<C>, now: number): Actions<C> => {
  const pending = table.pending.toArray()
  const ended = pending
    .filter(({ answerUntil }) => now > answerUntil)
    .map((request) => end(table, request, failure("Unanswered")))
  const due = pending.filter((request) => isDue(request, now))
  const sends: Array<Send<C>> = []
  for (const request of due) {
    const server = request.resend ? table.activeServer : preferredServer(table)
    if (server !== undefined && !isBusyWith(server, request, now)) {
      sends.push({ request, server })
    }
  }
  const voter = due.find(({ resend }) => resend)
  if (voter !== undefined) {
    table.pending.moveToEnd(voter)
    const others = table.servers.filter((server) => server !== table.activeServer)
    sends.push(...others.map((server) => ({ request: voter, server })))
  }
  return { ended, activated: undefined, sends }
}
