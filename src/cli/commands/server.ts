/**
 * `bstar -p` and `bstar -b`: the Guide's server.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BinaryStar from "../../member/BinaryStar.ts"
import * as Handler from "../../member/Handler.ts"
import type { MemberError } from "../../member/MemberError.ts"
import * as WarmUp from "../../member/WarmUp.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type * as Curve from "../../security/Curve.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import type { Values } from "../../settings/Settings.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as logging from "../logging.ts"
import type { Output } from "../output.ts"
import * as witness from "../witness.ts"
import * as systemd from "./systemd.ts"

/** What every server of a pair is configured with. */
type MemberValues = Values<"server"> | Values<"proxy"> | Values<"run">

/** The hooks that were given. Their code is loaded only if there are any. */
const hooksOf = (
  values: MemberValues
): Effect.Effect<Layer.Layer<never, InvalidConfig, BinaryStar.BinaryStar>> =>
  [values.onActive, values.onPassive, values.onStop].some((command) => command !== undefined)
    ? Effect.map(Effect.promise(() => import("../hooks.ts")), ({ layer }) => layer(values))
    : Effect.succeed(Layer.empty)

/** The keys that were given, whose code is loaded only then. */
export const securityOf = (
  { keys, role, ...values }: MemberValues & { readonly clients?: "listed" | "anyone" }
): Effect.Effect<Curve.Server | undefined> =>
  keys === undefined
    ? Effect.succeed(undefined)
    : Effect.map(
      Effect.promise(() => import("../../security/Curve.ts")),
      (curve) => curve.server(keys, role, { clients: values.clients })
    )

/** A member with its status server, if it has one; its code is loaded only then. */
const withHttp = <A, E, R>(
  values: MemberValues,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar.BinaryStar, E, R>
): Layer.Layer<A | BinaryStar.BinaryStar, E | InvalidConfig | SocketError, R> => {
  const { http } = values
  if (http === undefined) {
    return member
  }
  return Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("../http.ts")),
      ({ around }) => around(http, values, security, member)
    )
  )
}

/**
 * A member with its hooks, its messages to systemd and its status server. Code that is loaded on demand is loaded before
 * the member starts: a server that stops at once calls `--on-stop` too. Hooks are built before the status server answers.
 */
export const withOperations = <A, E, R>(
  values: MemberValues,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar.BinaryStar, E, R>
): Layer.Layer<A | BinaryStar.BinaryStar, E | InvalidConfig | SocketError, R> =>
  Layer.unwrapEffect(
    Effect.map(Effect.all([hooksOf(values), systemd.load]), ([hooks, notifications]) =>
      withHttp(values, security, Layer.provideMerge(Layer.merge(hooks, notifications), member)))
  )

/** A member that rehearses takeovers while it stands by. */
export const warm = <A, E, R>(member: Layer.Layer<A | BinaryStar.BinaryStar, E, R>) =>
  Layer.provideMerge(WarmUp.layer, member)

/**
 * Stops an active member as soon as it is interrupted, before its operations are closed: its peer and its clients wait for the final
 * heartbeat. A hook of an active member ends before that in any case; that of any other runs when the operations are closed.
 */
export const untilEnd = <A, E, R>(join: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | BinaryStar.BinaryStar> =>
  Effect.flatMap(
    BinaryStar.BinaryStar,
    ({ state, stop }) =>
      Effect.onInterrupt(join, () =>
        Effect.whenEffect(
          stop,
          Effect.orElseSucceed(Effect.map(state, (state) => state === "ACTIVE"), () => false)
        ))
  )

/** The first line of a server with the default policy, except in the format whose lines are the Guide's. */
const proofOfConcept =
  "the policy classic is the Guide's proof of concept: a restart or a pause may make both servers active; for production start " +
  "both servers with --policy hardened"

export const run = (
  values: Values<"server">
): Effect.Effect<never, MemberError | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    yield* values.policy === "classic" && values.logFormat !== "plain" ? Effect.logWarning(proofOfConcept) : Effect.void
    const security = yield* securityOf(values)
    const ports = Layer.merge(Zmq.layer({ ...values, security }), yield* witness.layerOf(values))
    const member = warm(Layer.provide(BinaryStar.layer(values, Handler.echo), ports))
    return yield* untilEnd(Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => join)).pipe(
      Effect.provide(withOperations(values, security, member))
    )
  }).pipe(
    // The Guide's server writes this line whatever ended its loop.
    Effect.tapErrorTag("MemberError", () => Effect.logInfo("interrupted")),
    Effect.provide(logging.layerOfServer(values.logFormat, values.policy))
  )
