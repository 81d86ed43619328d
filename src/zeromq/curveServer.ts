/** Puts keys on sockets that are bound: who may come. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import type { Accepted } from "../security/CurveKey.ts"
import type { Port, Reason } from "../security/Refusals.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Capacity from "./capacity.ts"
import { capable, isInproc, noKeysThere, quietMillis, refuse, whole } from "./curve.ts"
import * as zap from "./zap.ts"
import type { Secure } from "./ZmqSocket.ts"
import { atOnce, laterCode } from "./ZmqSocket.ts"

/** What is told as it comes. */
type Refusal = Exclude<Reason, "unfinished">

const sentences: { readonly [R in Refusal]: string } = {
  unknown: "its key is none of those that are accepted",
  wrong: "it does not have the public key of this server, or not its own secret",
  absent: "it came without a key",
  malformed: "it did not speak as the protocol wants",
  full: "there are as many connections as there may be"
}

const reasonOf = (code: string | undefined): Refusal =>
  code === "ERR_ZMTP_MECHANISM_MISMATCH" ? "absent" : code === "ERR_ZMTP_CRYPTOGRAPHIC" ? "wrong" : "malformed"

/** Logged refusals that wait to be written. */
const linesKept = 64

const acceptedAt = (security: Curve.Server, port: Port): Accepted | "anyone" =>
  port === "frontend" ? security.clients : port === "state" ? security.peer : security.workers

/** Where and with what a server is bound, and how many may come. */
export const bound = (
  security: Curve.Server,
  port: Port,
  endpoint: string,
  limits: Capacity.Options = {}
): Effect.Effect<Secure, InvalidConfig | SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* capable
    if (isInproc(endpoint)) {
      return yield* refuse(noKeysThere(endpoint))
    }
    const own = yield* security.own
    const accepted = acceptedAt(security, port)
    const isFirst = Burst.makeByKey(quietMillis, yield* monotonicReader)
    const lines = yield* Mailbox.make<string>({ capacity: linesKept, strategy: "dropping" })
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(lines.take, (line) => Effect.logWarning(line))))

    /** Its address is known where libzmq has asked for the key. */
    const refused = (reason: Refusal, address?: string) => {
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
    const capacity = Capacity.make(limits)
    const admit = (address: string) =>
      Effect.tap(capacity.verdict, (verdict) =>
        Effect.sync(() => {
          if (verdict === "later") {
            refused("full", address)
          }
        }))
    const domain = yield* zap.register("CURVE", (publicKey, address) =>
      accepted === "anyone" ? admit(address) : Effect.flatMap(accepted, ({ issues, names }) => {
        for (const { message } of issues) {
          if (isFirst(message)) {
            lines.unsafeOffer(`${port} ${endpoint}: ${message}`)
          }
        }
        if (names.has(publicKey)) {
          return admit(address)
        }
        refused("unknown", address)
        return Effect.succeed("refused" as const)
      }))
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
          capacity.attend(socket)
          socket.events.on("handshake:error:protocol", ({ error }) => {
            if (error.code !== laterCode) {
              refused(reasonOf(error.code))
            }
          })
          // Nothing to talk about: it is what the peer does, too, when it looks whether this process is there.
          socket.events.on("handshake:error:other", () =>
            security.refusals.count(port, "unfinished"))
          return atOnce
        })
    }
  })
