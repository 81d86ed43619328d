/**
 * `bstar -p` and `bstar -b`: the Guide's server.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as BinaryStar from "../../member/BinaryStar.ts"
import * as Handler from "../../member/Handler.ts"
import type { MemberError } from "../../member/MemberError.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import type * as Curve from "../../security/Curve.ts"
import type * as BinaryStarConfig from "../../settings/BinaryStarConfig.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Zmq from "../../zeromq/Zmq.ts"
import * as logging from "../logging.ts"
import type { hooks, http, limits, Parsed, server } from "../options.ts"
import type { Output } from "../output.ts"
import * as systemd from "./systemd.ts"

/** What was said about a member of a pair. */
export const memberOptions = (
  role: Role,
  parsed:
    & Omit<Parsed<typeof server>, "clients" | "drain" | "frontend" | keyof typeof limits>
    & Partial<Parsed<typeof server>>
): BinaryStarConfig.Options => ({
  role,
  policy: parsed.policy,
  frontend: parsed.frontend && Option.getOrUndefined(parsed.frontend),
  stateEndpoint: Option.getOrUndefined(parsed.state),
  peerEndpoint: Option.getOrUndefined(parsed.peer),
  heartbeat: durationOf(parsed.heartbeat),
  crashDetection: parsed.crashDetection === "policy" ? undefined : parsed.crashDetection === "on",
  lone: parsed.lone,
  drain: parsed.drain && durationOf(parsed.drain),
  maxFailovers: Option.getOrUndefined(parsed.maxFailovers),
  failoverWindow: durationOf(parsed.failoverWindow),
  maxMessageSize: parsed.maxMessageSize && Option.getOrUndefined(parsed.maxMessageSize),
  maxFrames: parsed.maxFrames && Option.getOrUndefined(parsed.maxFrames),
  maxConnections: parsed.maxConnections && Option.getOrUndefined(parsed.maxConnections),
  queue: parsed.queue && Option.getOrUndefined(parsed.queue),
  maxMemory: parsed.maxMemory && Option.getOrUndefined(parsed.maxMemory),
  handshakeTimeout: parsed.handshakeTimeout && durationOf(parsed.handshakeTimeout),
  ping: parsed.ping && durationOf(parsed.ping),
  keepAlive: parsed.keepAlive && durationOf(parsed.keepAlive)
})

/** It is checked with the rest. */
const durationOf = (given: Option.Option<string>) => Option.getOrUndefined(given) as Duration.DurationInput | undefined

/** The hooks that were given. Their code is loaded only if there are any. */
const hooksOf = (
  parsed: Parsed<typeof hooks>
): Effect.Effect<Layer.Layer<never, InvalidConfig, BinaryStar.BinaryStar>> =>
  [parsed.onActive, parsed.onPassive, parsed.onStop].some(Option.isSome)
    ? Effect.map(Effect.promise(() => import("../hooks.ts")), ({ layer }) => layer(parsed))
    : Effect.succeed(Layer.empty)

/** The keys that were given, whose code is loaded only then. */
export const securityOf = (
  role: Role,
  { clients, keys }: Pick<Parsed<typeof server>, "keys"> & Partial<Pick<Parsed<typeof server>, "clients">>
): Effect.Effect<Curve.Server | undefined> =>
  Option.match(keys, {
    onNone: () => Effect.succeed(undefined),
    onSome: (directory) =>
      Effect.map(
        Effect.promise(() => import("../../security/Curve.ts")),
        (curve) => curve.server(directory, role, { clients })
      )
  })

/** A member with its status server, if that was asked for; its code is loaded only then. */
const withHttp = <A, E, R>(
  parsed: Parsed<typeof http>,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar.BinaryStar, E, R>
): Layer.Layer<A | BinaryStar.BinaryStar, E | InvalidConfig | SocketError, R> =>
  Option.match(parsed.http, {
    onNone: () =>
      Option.isNone(parsed.peerHttp) ? member : Layer.fail(
        new InvalidConfig({ issues: [{ field: "peer-http", message: "is of no use without --http" }] })
      ),
    onSome: (address) =>
      Layer.unwrapEffect(
        Effect.map(
          Effect.promise(() => import("../http.ts")),
          ({ around }) => around(address, parsed, security, member)
        )
      )
  })

/**
 * A member with its hooks, its messages to systemd and its status server. Code that is loaded on demand is loaded before
 * the member starts: a server that stops at once calls `--on-stop` too. Hooks are built before the status server answers.
 */
export const withOperations = <A, E, R>(
  parsed: Parsed<typeof hooks> & Parsed<typeof http>,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar.BinaryStar, E, R>
): Layer.Layer<A | BinaryStar.BinaryStar, E | InvalidConfig | SocketError, R> =>
  Layer.unwrapEffect(
    Effect.map(Effect.all([hooksOf(parsed), systemd.load]), ([hooks, notifications]) =>
      withHttp(parsed, security, Layer.provideMerge(Layer.merge(hooks, notifications), member)))
  )

export const run = (
  role: Role,
  parsed: Parsed<typeof server>
): Effect.Effect<never, MemberError | InvalidConfig | SocketError, Output> =>
  Effect.gen(function*() {
    const options = memberOptions(role, parsed)
    const security = yield* securityOf(role, parsed)
    const member = Layer.provide(BinaryStar.layer(options, Handler.echo), Zmq.layer({ ...options, security }))
    return yield* Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => join).pipe(
      Effect.provide(withOperations(parsed, security, member))
    )
  }).pipe(
    // The Guide's server says so whatever it was that ended its loop.
    Effect.tapErrorTag("MemberError", () => Effect.logWarning("interrupted")),
    Effect.provide(logging.layerOfServer(parsed.logFormat, parsed.policy))
  )
