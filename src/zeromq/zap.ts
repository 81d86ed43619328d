/**
 * Who is asked by libzmq whether a connection may come in (ZAP, RFC 27). libzmq asks at one place in a process, whoever's
 * socket it is, so all share one that answers, which is there as long as somebody needs it. Which socket it is about is told by
 * its domain.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { SocketError } from "../ports/SocketError.ts"
import * as CurveKey from "../security/CurveKey.ts"
import type * as Frames from "../wire/Frames.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/** What becomes of a connection: it comes in, it is refused for good, or it is to come again. */
export type Verdict = "in" | "refused" | "later"

/** Decides about a connection, by the address that it comes from, and its public key where it has one. */
export type Check = (publicKey: string, address: string) => Effect.Effect<Verdict>

type Mechanism = "CURVE" | "NULL"

const place = "inproc://zeromq.zap.01"

interface Domain {
  readonly mechanism: Mechanism
  readonly check: (publicKey: string, address: string) => Promise<Verdict>
}

const domains = new Map<string, Domain>()
let lastDomain = 0

/** A socket for both families shows an address of IPv4 as one of IPv6. */
const withoutPrefix = (address: string): string => address.replace(/^::ffff:(?=.*\.)/, "")

const text = (frame: Uint8Array | undefined): string => frame === undefined ? "" : Buffer.from(frame).toString()

/**
 * ZAP has an answer for who is to come again later, 300, after which a client of libzmq never does. What makes it come again is an
 * answer that there is not: then libzmq hangs up.
 */
const answers: { readonly [V in Verdict]: ReadonlyArray<string> } = {
  in: ["200", "OK", "", ""],
  refused: ["400", "refused", "", ""],
  later: ["503", "later", "", ""]
}

/** Where there are no keys nobody is refused for good. */
const refusalOf = (domain: Domain | undefined): Verdict => domain?.mechanism === "NULL" ? "later" : "refused"

const answer = async (frames: Frames.Frames): Promise<Frames.Frames> => {
  const [client, delimiter, version, id, domain, address, _identity, mechanism, key] = frames
  const asked = domains.get(text(domain))
  const isRight = asked !== undefined && text(mechanism) === asked.mechanism &&
    (asked.mechanism === "NULL" || key?.length === 32)
  const verdict = isRight
    ? await asked.check(key === undefined ? "" : CurveKey.encode(key), withoutPrefix(text(address))).catch(() =>
      refusalOf(asked)
    )
    : refusalOf(asked)
  return [client!, delimiter!, version!, id!, ...answers[verdict].map((word) => Buffer.from(word))]
}

/** Begins to answer. Each question by itself, so that nobody waits for a key file that somebody else needs. */
const start = Effect.gen(function*() {
  const router = yield* ZmqSocket.makeRouter()
  yield* router.bind(place)
  const runtime = yield* Effect.runtime<never>()
  const reply = Runtime.runPromise(runtime)
  yield* router.run(async (questions) => {
    for (const question of questions) {
      answer(question).then((answer) => reply(Effect.ignore(router.sendAll([answer]))))
    }
  }).pipe(
    Effect.catchAllCause((cause) => Effect.logError("nobody is let in any more: who comes cannot be judged", cause)),
    Effect.interruptible,
    Effect.forkScoped
  )
})

const turns = Effect.unsafeMakeSemaphore(1)
let users = 0
let running: Scope.CloseableScope | undefined

const enter = turns.withPermits(1)(Effect.gen(function*() {
  if (running === undefined) {
    const scope = yield* Scope.make()
    yield* Effect.onError(Scope.extend(start, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
    running = scope
  }
  users++
}))

const leave = turns.withPermits(1)(Effect.suspend(() => {
  users--
  const scope = running
  if (users > 0 || scope === undefined) {
    return Effect.void
  }
  running = undefined
  return Scope.close(scope, Exit.void)
}))

/**
 * Has `check` decide who comes in through the sockets of a domain, as long as the scope. Gives the domain, of which there is no
 * other one.
 */
export const register = (mechanism: Mechanism, check: Check): Effect.Effect<string, SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const run = Runtime.runPromise(yield* Effect.runtime<never>())
    yield* Effect.acquireRelease(enter, () => leave)
    return yield* Effect.acquireRelease(
      Effect.sync(() => {
        const domain = `bstar-${++lastDomain}`
        domains.set(domain, { mechanism, check: (publicKey, address) => run(check(publicKey, address)) })
        return domain
      }),
      (domain) => Effect.sync(() => domains.delete(domain))
    )
  })
