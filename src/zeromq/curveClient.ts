/** Puts keys on connecting sockets. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as zmq from "zeromq"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { SocketError } from "../ports/SocketError.ts"
import type { Accepted, KeyPair } from "../security/CurveKey.ts"
import { isInproc, noKeysFor } from "../settings/Inproc.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { invalidKeys, quietMillis, requireCurve, validKeys } from "./curve.ts"
import type { Failure } from "./curveRetry.ts"
import * as CurveRetry from "./curveRetry.ts"
import type { Connecting, Connection, SocketSecurity } from "./models.ts"

type Outcome = "accepted" | Failure

/** Handshakes of which the latest are kept until they are handled. */
const outcomeCapacity = 16

const sentences: { readonly [F in Failure]: string } = {
  rejected: "does not accept our key: give it the public one",
  wrong: "ends the handshake: it has no key, or none that we know it by (compare the public keys)",
  absent: "has no key, and this side has: start both with --keys, or neither"
}

/** What all sockets with the same keys share. */
interface Shared {
  readonly servers: Accepted
  readonly isFirst: (kind: string) => boolean
  /** The last key that was right for an endpoint. */
  readonly lastRight: Map<string, string>
  /** Endpoints as they were connected first. Servers and keys are mostly configured in the same order. */
  readonly endpoints: Array<string>
}

/** One socket. */
interface Session extends Shared {
  readonly socket: zmq.Socket
  readonly outcomes: Mailbox.Mailbox<Outcome>
  key: string
  failures: number
  /** Whether a failure was logged since the last success. */
  isReported: boolean
}

const notConnected = (endpoint: string, cause: InvalidConfig) =>
  new SocketError({ reason: "Unknown", operation: "connect", endpoint, cause })

/** The keys that the server at an endpoint may have, in the order in which they are tried. */
const candidates = ({ endpoints, lastRight, servers }: Shared, endpoint: string) =>
  Effect.flatMap(servers, ({ issues, names }) => {
    const [first, ...others] = names.keys()
    return first === undefined
      ? notConnected(endpoint, invalidKeys(issues[0]?.message ?? "there is no public key of a server"))
      : Effect.succeed(CurveRetry.inOrder([first, ...others], lastRight.get(endpoint), endpoints.indexOf(endpoint)))
  })

const connectWith = (session: Session, key: string, connection: Connection) =>
  Effect.suspend(() => {
    session.key = key
    // Every connecting socket has this option.
    Object.assign(session.socket, { curveServerKey: key })
    return connection.connect
  })

const warn = (session: Session, endpoint: string, failure: Failure) =>
  Effect.suspend(() => {
    // A server without a key may end the handshake first.
    if (!session.isFirst(failure === "rejected" ? `${endpoint} rejected` : endpoint)) {
      return Effect.void
    }
    session.isReported = true
    return Effect.logWarning(`the server at ${endpoint} ${sentences[failure]}; trying again`)
  })

/** Connects again if libzmq would not, or would use the wrong key. */
const onFailure = (session: Session, endpoint: string, connection: Connection, failure: Failure) =>
  Effect.gen(function*() {
    const failures = ++session.failures
    const { names } = yield* session.servers
    const isRoundOver = CurveRetry.isRoundOver(failures, failure, names.size)
    yield* isRoundOver ? warn(session, endpoint, failure) : Effect.void
    const hasOtherAddress = isRoundOver && (yield* connection.skip)
    const { key } = session
    const wasRight = session.lastRight.get(endpoint) === key
    const next = CurveRetry.nextKey(yield* candidates(session, endpoint), { key, failures, wasRight }, failure) ??
      (hasOtherAddress ? key : undefined)
    if (next === undefined) {
      return
    }
    yield* connection.disconnect
    yield* Effect.sleep(CurveRetry.pauseMillis(failures, isRoundOver))
    yield* session.outcomes.clear
    yield* connectWith(session, next, connection)
  }).pipe(
    // There are no keys of servers any more.
    Effect.tapError(({ message }) => session.isFirst(message) ? Effect.logWarning(message) : Effect.void),
    Effect.retry({ schedule: Schedule.spaced(CurveRetry.againMillis.max) })
  )

const onAccepted = (session: Session, endpoint: string) =>
  Effect.suspend(() => {
    const { isReported } = session
    Object.assign(session, { failures: 0, isReported: false })
    session.lastRight.set(endpoint, session.key)
    return isReported ? Effect.logInfo(`the server at ${endpoint} accepts our key now`) : Effect.void
  })

const install = (shared: Shared, socket: zmq.Socket): Effect.Effect<Connecting, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const outcomes = yield* Mailbox.make<Outcome>({ capacity: outcomeCapacity, strategy: "sliding" })
    socket.events.on("handshake", () => outcomes.unsafeOffer("accepted"))
    socket.events.on("handshake:error:auth", () => outcomes.unsafeOffer("rejected"))
    socket.events.on("handshake:error:other", () => outcomes.unsafeOffer("wrong"))
    socket.events.on("handshake:error:protocol", () => outcomes.unsafeOffer("absent"))
    const session: Session = { ...shared, socket, outcomes, key: "", failures: 0, isReported: false }
    return (endpoint, connection) =>
      Effect.gen(function*() {
        if (isInproc(endpoint)) {
          return yield* notConnected(endpoint, invalidKeys(noKeysFor(endpoint)))
        }
        if (!session.endpoints.includes(endpoint)) {
          session.endpoints.push(endpoint)
        }
        const [key] = yield* candidates(session, endpoint)
        yield* connectWith(session, key, connection)
        yield* outcomes.take.pipe(
          Effect.flatMap((outcome) =>
            outcome === "accepted"
              ? onAccepted(session, endpoint)
              : onFailure(session, endpoint, connection, outcome)
          ),
          Effect.forever,
          Effect.interruptible,
          Effect.forkIn(scope)
        )
      })
  })

/**
 * The keys of a client or a peer that connects. libzmq gives up a connection for good whose key was rejected, and tries a wrong key of
 * a server for ever; here each key that the server may have is tried in turns.
 */
export const connecting = (own: KeyPair, servers: Accepted): Effect.Effect<SocketSecurity, InvalidConfig> =>
  Effect.gen(function*() {
    yield* requireCurve
    yield* validKeys(servers)
    const isFirst = LogOnce.makeByKey(quietMillis, yield* monotonicReader)
    const shared: Shared = { servers, isFirst, lastRight: new Map(), endpoints: [] }
    return {
      options: {
        curvePublicKey: own.publicKey,
        curveSecretKey: Redacted.value(own.secretKey),
        // The server's key is set before each connection. Until then it is one that no server has the secret of.
        curveServerKey: own.publicKey
      },
      install: (socket) => install(shared, socket)
    }
  })
