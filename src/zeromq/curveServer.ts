/** Puts keys on bound sockets. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import type { Accepted } from "../security/CurveKey.ts"
import type { Port, Reason } from "../security/RejectedConnections.ts"
import { isInproc, noKeysFor } from "../settings/Inproc.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as ConnectionLimit from "./connectionLimit.ts"
import { connectDirectly } from "./connector.ts"
import { invalidKeys, quietMillis, requireCurve, validKeys } from "./curve.ts"
import { mismatchCode, retryCode } from "./handshakes.ts"
import type { SocketSecurity } from "./models.ts"
import * as zap from "./zap.ts"

/** Rejections that are logged. */
type Rejection = Exclude<Reason, "unfinished">

const sentences: { readonly [R in Rejection]: string } = {
  unknown: "its key is none of those that are accepted",
  wrong: "it does not have the public key of this server, or not its own secret",
  absent: "it has no key: start both with --keys, or neither",
  malformed: "it violates the protocol",
  full: "the limit of connections is reached"
}

/** The reason behind a failed handshake, by the code of the binding. Any other code is `malformed`. */
const rejections: { readonly [code: string]: Rejection } = {
  [mismatchCode]: "absent",
  ERR_ZMTP_CRYPTOGRAPHIC: "wrong"
}

/** Log lines that are queued until they are written; of more the latest are dropped. */
const lineCapacity = 64

const acceptedAt = (security: Curve.Server, port: Port): Accepted | "anyone" => {
  const accepted = { frontend: security.clients, state: security.peer, backend: security.workers }
  return accepted[port]
}

/** Logs lines of the same kind once, from callbacks. */
const makeLog = Effect.gen(function*() {
  const isFirst = LogOnce.makeByKey(quietMillis, yield* monotonicReader)
  const lines = yield* Mailbox.make<string>({ capacity: lineCapacity, strategy: "dropping" })
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(lines.take, (line) => Effect.logWarning(line))))
  return (kind: string, line: string) => {
    if (isFirst(kind)) {
      lines.unsafeOffer(line)
    }
  }
})

/** Keys at a port of a server, and the limit of its connections. */
export const bound = (
  security: Curve.Server,
  port: Port,
  endpoint: string,
  limits: ConnectionLimit.Options = {}
): Effect.Effect<SocketSecurity, InvalidConfig | SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* requireCurve
    if (isInproc(endpoint)) {
      return yield* invalidKeys(noKeysFor(endpoint))
    }
    const own = yield* security.own
    const accepted = acceptedAt(security, port)
    const log = yield* makeLog

    /** The address is known only of a connection that reaches the ZAP handler. */
    const reject = (reason: Rejection, address?: string) => {
      security.rejectedConnections.count(port, reason)
      const from = address === undefined ? "" : ` from ${address}`
      log(`${reason} ${address}`, `${port} ${endpoint}: rejected a connection${from}: ${sentences[reason]}`)
    }

    if (accepted !== "anyone" && (yield* validKeys(accepted)).names.size === 0) {
      yield* Effect.logWarning(`${port} ${endpoint}: rejects all connections until there is a key to accept`)
    }
    const limit = ConnectionLimit.make(limits)
    const admit = (address: string) =>
      Effect.tap(limit.verdict, (verdict) =>
        verdict === "retry" ? Effect.sync(() => reject("full", address)) : Effect.void)
    const domain = yield* zap.register("CURVE", (publicKey, address) =>
      accepted === "anyone" ? admit(address) : Effect.flatMap(accepted, ({ issues, names }) => {
        for (const { message } of issues) {
          log(message, `${port} ${endpoint}: ${message}`)
        }
        if (names.has(publicKey)) {
          return admit(address)
        }
        reject("unknown", address)
        return Effect.succeed("reject" as const)
      }))
    return {
      options: {
        curveServer: true,
        curveSecretKey: Redacted.value(own.secretKey),
        zapDomain: domain,
        // Without it every connection is accepted while there is no handler.
        zapEnforceDomain: true
      },
      install: (socket) =>
        Effect.sync(() => {
          limit.observe(socket)
          socket.events.on("handshake:error:protocol", ({ error }) => {
            if (error.code !== retryCode) {
              reject(rejections[error.code ?? ""] ?? "malformed")
            }
          })
          // Counted, not logged: the peer's probe does the same when it looks for this process.
          socket.events.on(
            "handshake:error:other",
            () =>
              security.rejectedConnections.count(port, "unfinished")
          )
          return connectDirectly
        })
    }
  })
