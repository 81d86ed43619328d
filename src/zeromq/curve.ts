/** Puts keys on sockets: on those that are bound, who may come, and on those that connect, to whom. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as zmq from "zeromq"
import { InvalidConfig, SocketError } from "../BinaryStarError.ts"
import * as Burst from "../internal/burst.ts"
import { monotonicReader } from "../internal/clock.ts"
import type * as Curve from "../security/Curve.ts"
import type { Accepted, KeyPair, Keys } from "../security/CurveKey.ts"
import type { Port, Reason } from "../security/Refusals.ts"
import * as zap from "./zap.ts"
import type { Secure } from "./ZmqSocket.ts"

const refuse = (message: string) => new InvalidConfig({ issues: [{ field: "keys", message }] })

const capable: Effect.Effect<void, InvalidConfig> = Effect.suspend(() =>
  zmq.capability.curve === true
    ? Effect.void
    : refuse("this build of libzmq has no CURVE; use the prebuilt one of the package zeromq, or one with libsodium")
)

/** libzmq does not ask for keys within a process. */
const isInproc = (endpoint: string): boolean => endpoint.startsWith("inproc:")

const noKeysThere = (endpoint: string): string => `${endpoint}: endpoints of inproc know no keys; use tcp or ipc`

/** What has to be right before anything starts. */
const whole = (accepted: Accepted): Effect.Effect<Keys, InvalidConfig> =>
  Effect.flatMap(
    accepted,
    (keys) => keys.issues.length === 0 ? Effect.succeed(keys) : new InvalidConfig({ issues: keys.issues })
  )

const sentences: { readonly [R in Reason]: string } = {
  unknown: "its key is none of those that are accepted",
  wrong: "it does not have the public key of this server, or not its own secret",
  absent: "it came without a key",
  malformed: "it did not speak as the protocol wants"
}

/** One refused connection follows another of the same burst within so many milliseconds. */
const quietMillis = 10_000

/** How many bursts are told apart at the most. */
const capacity = 100

/** Tells the first of each burst. */
const makeTold = (now: () => number) => {
  const bursts = new Map<string, ReturnType<typeof Burst.make>>()
  return (what: string): boolean => {
    const isFirst = bursts.get(what) ?? Burst.make(quietMillis)
    // The one that is the longest without a sign comes first.
    bursts.delete(what)
    bursts.set(what, isFirst)
    if (bursts.size > capacity) {
      bursts.delete(bursts.keys().next().value!)
    }
    return isFirst(now())
  }
}

const reasonOf = (code: string | undefined): Reason =>
  code === "ERR_ZMTP_MECHANISM_MISMATCH" ? "absent" : code === "ERR_ZMTP_CRYPTOGRAPHIC" ? "wrong" : "malformed"

/** Logged refusals that wait to be written. */
const linesKept = 64

const acceptedAt = (security: Curve.Server, port: Port): Accepted | "anyone" =>
  port === "frontend" ? security.clients : port === "state" ? security.peer : security.workers

/** Where and with what a server is bound. */
export const bound = (
  security: Curve.Server,
  port: Port,
  endpoint: string
): Effect.Effect<Secure, InvalidConfig | SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* capable
    if (isInproc(endpoint)) {
      return yield* refuse(noKeysThere(endpoint))
    }
    const own = yield* security.own
    const accepted = acceptedAt(security, port)
    const isFirst = makeTold(yield* monotonicReader)
    const lines = yield* Mailbox.make<string>({ capacity: linesKept, strategy: "dropping" })
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(lines.take, (line) => Effect.logWarning(line))))

    /** Its address is known where libzmq has asked for the key. */
    const refused = (reason: Reason, address?: string) => {
      security.refusals.count(port, reason)
      if (isFirst(`${reason} ${address}`)) {
        const who = address === undefined ? "a connection" : `a connection from ${address}`
        lines.unsafeOffer(`${port} ${endpoint}: refused ${who}: ${sentences[reason]}`)
      }
    }

    if (accepted !== "anyone") {
      const { names } = yield* whole(accepted)
      yield* names.size === 0
        ? Effect.logWarning(`${port} ${endpoint}: nobody is let in yet, since there is no key that is accepted`)
        : Effect.void
    }
    const domain = yield* zap.register((publicKey, address) =>
      accepted === "anyone" ? Effect.succeed(true) : Effect.map(accepted, ({ issues, names }) => {
        for (const { message } of issues) {
          if (isFirst(message)) {
            lines.unsafeOffer(`${port} ${endpoint}: ${message}`)
          }
        }
        const isIn = names.has(publicKey)
        if (!isIn) {
          refused("unknown", address)
        }
        return isIn
      })
    )
    return {
      options: {
        curveServer: true,
        curveSecretKey: Redacted.value(own.secretKey),
        zapDomain: domain,
        // Without it everybody comes in while nobody answers.
        zapEnforceDomain: true
      },
      attend: (socket) =>
        Effect.sync(() => {
          socket.events.on("handshake:error:protocol", ({ error }) => refused(reasonOf(error.code)))
          return (_, connect) => connect
        })
    }
  })

/** What has become of an attempt to come in. */
type Outcome = "accepted" | "refused" | "wrong" | "absent"

/** How soon, in milliseconds, the next key is tried, and how soon after all of them were, at first and at the most. */
const nextKeyMillis = 10
const againMillis = { first: 50, most: 1000 }

/** How soon key files are looked for again, where there are none any more. */
const lookAgain = Schedule.spaced("1 second")

/**
 * With what a client or a peer connects. libzmq gives a connection up for ever whose key was refused, and goes on for ever with
 * the wrong key of a server; here it is tried again, with each key that the server may have in its turn.
 */
export const connecting = (
  own: KeyPair,
  servers: Accepted
): Effect.Effect<Secure, InvalidConfig> =>
  Effect.gen(function*() {
    yield* capable
    yield* whole(servers)
    const isFirst = makeTold(yield* monotonicReader)
    /** The key by which the server at an endpoint was known last. */
    const known = new Map<string, string>()
    /** Endpoints in the order in which they were asked for. */
    const endpoints: Array<string> = []

    const sentenceOf = (endpoint: string, outcome: Exclude<Outcome, "accepted">): string =>
      outcome === "refused"
        ? `the server at ${endpoint} does not accept our key; trying again`
        : outcome === "wrong"
        ? `the server at ${endpoint} has none of the keys that we know it by, or has hung up; trying again`
        : `the server at ${endpoint} has no keys; trying again`

    return {
      options: {
        curvePublicKey: own.publicKey,
        curveSecretKey: Redacted.value(own.secretKey),
        // The server's is set before each connection. Until then it is somebody's that nobody has.
        curveServerKey: own.publicKey
      },
      attend: (socket) =>
        Effect.gen(function*() {
          const scope = yield* Effect.scope
          const outcomes = yield* Mailbox.make<Outcome>({ capacity: 16, strategy: "sliding" })
          socket.events.on("handshake", () => outcomes.unsafeOffer("accepted"))
          socket.events.on("handshake:error:auth", () => outcomes.unsafeOffer("refused"))
          socket.events.on("handshake:error:other", () => outcomes.unsafeOffer("wrong"))
          socket.events.on("handshake:error:protocol", () => outcomes.unsafeOffer("absent"))
          let current: string | undefined
          let failures = 0
          let isTold = false

          /** Which key to try. */
          const choose = (endpoint: string, outcome: Outcome): Effect.Effect<string, SocketError> =>
            Effect.flatMap(servers, ({ issues, names }) => {
              const keys = [...names.keys()]
              const at = keys.indexOf(current ?? known.get(endpoint) ?? "")
              // Servers and keys are mostly named in the same order.
              const next = at === -1 ? endpoints.indexOf(endpoint) : outcome === "wrong" ? at + 1 : at
              current = keys[next % Math.max(1, keys.length)]
              return current === undefined
                ? notConnected(endpoint, refuse(issues[0]?.message ?? "there is no public key of a server"))
                : Effect.succeed(current)
            })

          const connectWith = (
            endpoint: string,
            connect: Effect.Effect<void, SocketError>,
            outcome: Outcome = "accepted"
          ) =>
            Effect.flatMap(choose(endpoint, outcome), (key) => {
              // Of the sockets that connect, all know this option.
              Object.assign(socket, { curveServerKey: key })
              return connect
            })

          /** Connects anew after a failure, and again until that can be done. */
          const again = (
            endpoint: string,
            connect: Effect.Effect<void, SocketError>,
            outcome: Exclude<Outcome, "accepted">
          ) =>
            Effect.gen(function*() {
              // Or libzmq would try the same key meanwhile.
              yield* Effect.ignore(Effect.try(() => socket.disconnect(endpoint)))
              const { names } = yield* servers
              failures++
              const isRoundOver = outcome !== "wrong" || failures >= names.size
              if (isRoundOver && isFirst(`${endpoint} ${outcome}`)) {
                yield* Effect.logWarning(sentenceOf(endpoint, outcome))
                isTold = true
              }
              yield* Effect.sleep(
                isRoundOver
                  ? Math.min(againMillis.most, againMillis.first * 2 ** Math.min(10, failures - 1))
                  : nextKeyMillis
              )
              yield* outcomes.clear
              yield* connectWith(endpoint, connect, outcome).pipe(
                Effect.tapError(({ message }) => isFirst(message) ? Effect.logWarning(message) : Effect.void),
                Effect.retry({ schedule: lookAgain })
              )
            })

          const accepted = (endpoint: string) =>
            Effect.suspend(() => {
              const wasTold = isTold
              failures = 0
              isTold = false
              known.set(endpoint, current!)
              return wasTold ? Effect.logInfo(`the server at ${endpoint} accepts us now`) : Effect.void
            })

          return (endpoint, connect) =>
            Effect.gen(function*() {
              if (isInproc(endpoint)) {
                return yield* notConnected(endpoint, refuse(noKeysThere(endpoint)))
              }
              if (!endpoints.includes(endpoint)) {
                endpoints.push(endpoint)
              }
              yield* connectWith(endpoint, connect)
              yield* outcomes.take.pipe(
                Effect.flatMap((outcome) =>
                  outcome === "accepted" ? accepted(endpoint) : again(endpoint, connect, outcome)
                ),
                Effect.forever,
                Effect.interruptible,
                Effect.forkIn(scope)
              )
            })
        })
    }
  })

const notConnected = (endpoint: string, cause: InvalidConfig) =>
  new SocketError({ reason: "Unknown", operation: "connect", endpoint, cause })
