/** Puts keys on sockets that connect: to whom. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import { SocketError } from "../ports/SocketError.ts"
import type { Accepted, KeyPair } from "../security/CurveKey.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Link } from "./connector.ts"
import { capable, isInproc, noKeysThere, quietMillis, refuse, whole } from "./curve.ts"
import type { Secure } from "./ZmqSocket.ts"

/**
 * How a handshake may fail: our key is refused; the server has not the secret of the key that we know it by, or has hung up for
 * another reason; it has no keys at all.
 */
type Failure = "refused" | "wrong" | "absent"

type Outcome = "accepted" | Failure

const sentences: { readonly [F in Failure]: string } = {
  refused: "does not accept our key",
  wrong: "has none of the keys that we know it by, or hangs up",
  absent: "has no keys"
}

/** How often a server may hang up that was known by the same key before: it may be about to end, or to start. */
const patience = 3

/** How soon, in milliseconds, the next key is tried, and how soon the same again, at first and at the most. */
const nextKeyMillis = 10
const againMillis = { first: 50, most: 1000 }

/**
 * With what a client or a peer connects. libzmq gives a connection up for ever whose key was refused, and goes on for ever with
 * the wrong key of a server; here it is tried again, with each key that the server may have in its turn.
 */
export const connecting = (own: KeyPair, servers: Accepted): Effect.Effect<Secure, InvalidConfig> =>
  Effect.gen(function*() {
    yield* capable
    yield* whole(servers)
    const isFirst = Burst.makeByKey(quietMillis, yield* monotonicReader)
    /** The key by which the server at an endpoint was known last. */
    const known = new Map<string, string>()
    /** Endpoints in the order in which they were asked for. Servers and keys are mostly named in the same order. */
    const endpoints: Array<string> = []

    /** The keys that the server at an endpoint may have, and the one to begin with. */
    const candidates = (endpoint: string): Effect.Effect<readonly [string, ...Array<string>], SocketError> =>
      Effect.flatMap(servers, ({ issues, names }) => {
        const [first, ...others] = names.keys()
        if (first === undefined) {
          return notConnected(endpoint, refuse(issues[0]?.message ?? "there is no public key of a server"))
        }
        const keys = [first, ...others]
        const before = keys.indexOf(known.get(endpoint) ?? "")
        const start = before === -1 ? endpoints.indexOf(endpoint) % keys.length : before
        return Effect.succeed([keys[start]!, ...keys.slice(start + 1), ...keys.slice(0, start)] as const)
      })

    return {
      options: {
        curvePublicKey: own.publicKey,
        curveSecretKey: Redacted.value(own.secretKey),
        // The server's is set before each connection. Until then it is one of which it has not the secret.
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
          let current = ""
          let failures = 0
          let isTold = false

          const connectWith = (key: string, link: Link) =>
            Effect.suspend(() => {
              current = key
              // All that connect know this option.
              Object.assign(socket, { curveServerKey: key })
              return link.connect
            })

          const tell = (endpoint: string, failure: Failure) =>
            Effect.suspend(() => {
              if (!isFirst(`${endpoint} ${failure}`)) {
                return Effect.void
              }
              isTold = true
              return Effect.logWarning(`the server at ${endpoint} ${sentences[failure]}; trying again`)
            })

          /** The key to go on with after a failure, if it is another one, or if libzmq has given up. */
          const keyAfter = (endpoint: string, failure: Failure) =>
            Effect.map(candidates(endpoint), (keys) => {
              const at = keys.indexOf(current)
              if (failure !== "wrong") {
                return at === -1 ? keys[0] : current
              }
              const isPatient = at !== -1 && known.get(endpoint) === current && failures <= patience
              const next = keys[(at + 1) % keys.length]!
              return isPatient || next === current ? undefined : next
            })

          /** Connects anew where libzmq would not, or with the wrong key. */
          const again = (endpoint: string, link: Link, failure: Failure) =>
            Effect.gen(function*() {
              failures++
              const { names } = yield* servers
              const isRoundOver = failure !== "wrong" || failures >= Math.max(names.size, patience)
              yield* isRoundOver ? tell(endpoint, failure) : Effect.void
              const isElsewhere = isRoundOver && (yield* link.skip)
              const key = (yield* keyAfter(endpoint, failure)) ?? (isElsewhere ? current : undefined)
              if (key === undefined) {
                return
              }
              yield* link.disconnect
              yield* Effect.sleep(
                isRoundOver
                  ? Math.min(againMillis.most, againMillis.first * 2 ** Math.min(10, failures - 1))
                  : nextKeyMillis
              )
              yield* outcomes.clear
              yield* connectWith(key, link)
            }).pipe(
              // There are no keys of servers any more.
              Effect.tapError(({ message }) => isFirst(message) ? Effect.logWarning(message) : Effect.void),
              Effect.retry({ schedule: Schedule.spaced(againMillis.most) })
            )

          const accepted = (endpoint: string) =>
            Effect.suspend(() => {
              const wasTold = isTold
              failures = 0
              isTold = false
              known.set(endpoint, current)
              return wasTold ? Effect.logInfo(`the server at ${endpoint} lets us in now`) : Effect.void
            })

          return (endpoint, link) =>
            Effect.gen(function*() {
              if (isInproc(endpoint)) {
                return yield* notConnected(endpoint, refuse(noKeysThere(endpoint)))
              }
              if (!endpoints.includes(endpoint)) {
                endpoints.push(endpoint)
              }
              const [key] = yield* candidates(endpoint)
              yield* connectWith(key, link)
              yield* outcomes.take.pipe(
                Effect.flatMap((outcome) =>
                  outcome === "accepted" ? accepted(endpoint) : again(endpoint, link, outcome)
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
