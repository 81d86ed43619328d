/**
 * Answers libzmq's requests whether to accept a connection (ZAP, RFC 27). libzmq sends them to one endpoint of a process, for all its
 * sockets, so that there is one handler, as long as a socket needs it. The domain identifies the socket.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { SocketError } from "../ports/SocketError.ts"
import * as CurveKey from "../security/CurveKey.ts"
import type * as Frames from "../wire/Frames.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/** Accepts a connection, rejects it for good, or makes it retry. */
type Verdict = "accept" | "reject" | "retry"

/** Judges a connection by its public key, if it has one, and the address of the other host. */
type Check = (publicKey: string, address: string) => Effect.Effect<Verdict>

type Mechanism = "CURVE" | "NULL"

const handlerEndpoint = "inproc://zeromq.zap.01"

interface Domain {
  readonly mechanism: Mechanism
  readonly check: (publicKey: string, address: string) => Promise<Verdict>
}

const domains = new Map<string, Domain>()
let lastDomain = 0

/** A socket for both families reports an address of IPv4 as one of IPv6. */
const withoutPrefix = (address: string): string => address.replace(/^::ffff:(?=.*\.)/, "")

const text = (frame: Uint8Array | undefined): string => frame === undefined ? "" : Buffer.from(frame).toString()

/**
 * ZAP status 300 should mean "retry", but a client of libzmq gives up after it. An invalid status makes libzmq close the connection,
 * and the client connects again.
 */
const replies: { readonly [V in Verdict]: ReadonlyArray<string> } = {
  accept: ["200", "OK", "", ""],
  reject: ["400", "rejected", "", ""],
  retry: ["503", "retry", "", ""]
}

/** The verdict if there is no other one. Without keys no connection is rejected for good. */
const defaultVerdict = (domain: Domain | undefined): Verdict => domain?.mechanism === "NULL" ? "retry" : "reject"

const reply = async (request: Frames.Frames): Promise<Frames.Frames> => {
  const [client, delimiter, version, id, domainFrame, address, _identity, mechanism, key] = request
  const domain = domains.get(text(domainFrame))
  const isValid = domain !== undefined && text(mechanism) === domain.mechanism &&
    (domain.mechanism === "NULL" || key?.length === 32)
  const verdict = isValid
    ? await domain.check(key === undefined ? "" : CurveKey.encode(key), withoutPrefix(text(address))).catch(() =>
      defaultVerdict(domain)
    )
    : defaultVerdict(domain)
  return [client!, delimiter!, version!, id!, ...replies[verdict].map((field) => Buffer.from(field))]
}

/** Starts the handler. It judges connections concurrently: none waits for a key file that another one needs. */
const start = Effect.gen(function*() {
  const router = yield* ZmqSocket.makeRouter()
  yield* router.bind(handlerEndpoint)
  const run = Runtime.runPromise(yield* Effect.runtime<never>())
  yield* router.run(async (requests) => {
    for (const request of requests) {
      reply(request).then((reply) => run(Effect.ignore(router.sendAll([reply]))))
    }
  }).pipe(
    Effect.catchAllCause((cause) =>
      Effect.logError("no connection is accepted any more: the ZAP handler has failed; restart the process", cause)
    ),
    Effect.interruptible,
    Effect.forkScoped
  )
})

/**
 * The handler with the number of its users. By hand, since `RcRef` leaves the scope of a failed `acquire` open, so that the socket
 * would stay, and closes the last one outside its lock, so that the next one would bind at the same time.
 */
const handler: { scope: Scope.CloseableScope | undefined; userCount: number } = { scope: undefined, userCount: 0 }
const lock = Effect.unsafeMakeSemaphore(1).withPermits(1)

const acquire = lock(Effect.gen(function*() {
  if (handler.scope === undefined) {
    const scope = yield* Scope.make()
    yield* Effect.onError(Scope.extend(start, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
    handler.scope = scope
  }
  handler.userCount++
}))

const release = lock(Effect.suspend(() => {
  const { scope } = handler
  if (--handler.userCount > 0 || scope === undefined) {
    return Effect.void
  }
  handler.scope = undefined
  return Scope.close(scope, Exit.void)
}))

/** Judges the connections of a new domain by `check`, for the lifetime of the scope. Succeeds with the name of the domain. */
export const register = (mechanism: Mechanism, check: Check): Effect.Effect<string, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const run = Runtime.runPromise(yield* Effect.runtime<never>())
    yield* Effect.acquireRelease(acquire, () => release)
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        const domain = `bstar-${++lastDomain}`
        domains.set(domain, { mechanism, check: (publicKey, address) => run(check(publicKey, address)) })
        return domain
      }),
      (domain) => Effect.sync(() => domains.delete(domain))
    )
  })
