/**
 * The servers and clients of a pair that speak RPC, in memory or over sockets.
 */
import * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcClientError from "@effect/rpc/RpcClientError"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as ClientLink from "../../src/ports/ClientLink.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../../src/settings/InvalidConfig.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import { freshEndpoint, quiet } from "../support/sockets.ts"
import type { Seen } from "./rpcGroup.ts"
import { authentication, Group, handlers, makeSeen } from "./rpcGroup.ts"

/** Longest heartbeat of a test. */
const longest = "3 seconds"

/** Transport of a pair. */
export interface Place {
  readonly frontends: ReadonlyArray<string>
  readonly link: Layer.Layer<ClientLink.ClientLink>
  readonly ports: {
    readonly [R in Role]: Layer.Layer<Frontend.Frontend | PeerLink.PeerLink, InvalidConfig | SocketError>
  }
  /** Connects to a server's frontend without the client of this library. */
  readonly connect: (role: Role) => Effect.Effect<ClientLink.Connection, SocketError, Scope.Scope>
}

/** In memory, within this process. */
export const memory: Effect.Effect<
  Place & { readonly links: { readonly [R in Role]: Layer.Layer<PeerLink.PeerLink> } }
> = Effect.gen(function*() {
  const links = yield* PeerLink.makeMemory
  const frontends = { primary: yield* Frontend.makeMemory, backup: yield* Frontend.makeMemory }
  const connect = (server: string) => frontends[server.endsWith("primary") ? "primary" : "backup"].connect
  return {
    frontends: ["inproc://primary", "inproc://backup"],
    link: Layer.succeed(ClientLink.ClientLink, { connect }),
    links,
    ports: {
      primary: Layer.merge(frontends.primary.layer, links.primary),
      backup: Layer.merge(frontends.backup.layer, links.backup)
    },
    connect
  }
})

/** Over sockets, at unused ports. */
export const tcp: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function*() {
  const fresh = freshEndpoint("tcp")
  const frontends = { primary: yield* fresh, backup: yield* fresh }
  const states = { primary: yield* fresh, backup: yield* fresh }
  const ports = (role: Role, peer: Role) =>
    Zmq.layer({
      role,
      policy: "hardened",
      // No less than that of its member: a connection that is silent for two heartbeats is renewed.
      heartbeat: longest,
      frontend: frontends[role],
      stateEndpoint: states[role],
      peerEndpoint: states[peer]
    })
  return {
    frontends: [frontends.primary, frontends.backup],
    link: ZmqClientLink.layer,
    ports: { primary: ports("primary", "backup"), backup: ports("backup", "primary") },
    connect: (role) =>
      Effect.flatMap(ClientLink.ClientLink, ({ connect }) => connect(frontends[role])).pipe(
        Effect.provide(ZmqClientLink.layer)
      )
  }
})

/** A running server. */
export interface Server {
  readonly seen: Seen
  readonly member: BinaryStar.BinaryStar["Type"]
  readonly protocol: RpcServer.Protocol["Type"]
  /** Stops it as SIGTERM does. */
  readonly stop: Effect.Effect<void>
  /** Ends it without sending anything, as a crash does. */
  readonly kill: Effect.Effect<void>
}

/** A connected client. */
export interface Client {
  readonly call: RpcClient.FromGroup<typeof Group, RpcClientError.RpcClientError>
  readonly request: BinaryStarClient.BinaryStarClient["Type"]["request"]
  readonly close: Effect.Effect<void>
}

export interface ClientOptions extends Omit<BinaryStarClient.Options, "servers"> {
  /** Name that it sends to the middleware. */
  readonly name?: string
}

export interface Pair {
  readonly place: Place
  readonly start: (
    role: Role,
    options?: Pick<Options, "concurrency" | "drain" | "timeout">
  ) => Effect.Effect<Server, never, Scope.Scope>
  /** Starts both, and waits until the primary is active and the backup passive. */
  readonly startBoth: (
    options?: Pick<Options, "concurrency" | "drain" | "timeout">
  ) => Effect.Effect<{ readonly primary: Server; readonly backup: Server }, never, Scope.Scope>
  readonly connect: (options?: ClientOptions) => Effect.Effect<Client, never, Scope.Scope>
}

/**
 * Makes the two servers of a pair, not started yet, and its clients. The heartbeat is long, since a busy machine stalls the
 * process, and a server that stalled for one and a half heartbeats ends its term.
 */
export const makePair = (
  place: Place,
  serialization: Layer.Layer<RpcSerialization.RpcSerialization>,
  heartbeat: Duration.DurationInput = "1 second"
): Pair => {
  const start: Pair["start"] = (role, options) =>
    Effect.gen(function*() {
      const seen = yield* makeSeen
      let isMute = false
      const unlessMute = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.suspend((): Effect.Effect<A | void, E> => isMute ? Effect.void : effect)
      const ports = place.ports[role].pipe(
        Layer.map((context) => {
          const frontend = Context.get(context, Frontend.Frontend)
          const link = Context.get(context, PeerLink.PeerLink)
          return Context.make(Frontend.Frontend, {
            ...frontend,
            reply: (replies) => unlessMute(frontend.reply(replies)),
            connections: frontend.connections
          }).pipe(Context.add(PeerLink.PeerLink, {
            ...link,
            publish: (publication) => Effect.suspend(() => isMute ? Effect.succeed(true) : link.publish(publication)),
            publishFinal: (message) => unlessMute(link.publishFinal(message)),
            close: Effect.asVoid(unlessMute(link.close))
          }))
        })
      )
      const scope = yield* Effect.acquireRelease(
        Scope.make(),
        // Calls that hold would delay the end of the test.
        (scope) => Effect.zipRight(Deferred.succeed(seen.open, undefined), Scope.close(scope, Exit.void))
      )
      const context = yield* RpcServer.layer(Group).pipe(
        Layer.provide(handlers(seen)),
        Layer.provideMerge(
          BinaryStarRpc.layerProtocolServer({
            role,
            policy: "hardened",
            heartbeat,
            ...options
          })
        ),
        Layer.provide([ports, serialization, quiet]),
        Layer.buildWithScope(scope)
      )
      const stop = Scope.close(scope, Exit.void)
      return {
        seen,
        member: Context.get(context, BinaryStar.BinaryStar),
        protocol: Context.get(context, RpcServer.Protocol),
        stop,
        kill: Effect.suspend(() => {
          isMute = true
          return stop
        })
      }
    }).pipe(Effect.orDie)
  return {
    place,
    start,
    startBoth: (options) =>
      Effect.gen(function*() {
        const backup = yield* start("backup", options)
        const primary = yield* start("primary", options)
        yield* Effect.orDie(Effect.provideService(BinaryStar.awaitActive, BinaryStar.BinaryStar, primary.member))
        // A backup that has never received a heartbeat of an active primary does not take over.
        yield* Effect.orDie(Effect.provideService(BinaryStar.awaitPassive, BinaryStar.BinaryStar, backup.member))
        return { backup, primary }
      }),
    connect: ({ name, ...options } = {}) =>
      Effect.gen(function*() {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const context = yield* BinaryStarRpc.layerProtocolClient(Group).pipe(
          Layer.provideMerge(BinaryStarClient.layer({ servers: place.frontends, timeout: "30 seconds", ...options })),
          Layer.provide([place.link, serialization, quiet]),
          Layer.merge(authentication(name)),
          Layer.buildWithScope(scope)
        )
        const call = yield* RpcClient.make(Group).pipe(Effect.provide(context), Scope.extend(scope))
        return {
          call,
          request: Context.get(context, BinaryStarClient.BinaryStarClient).request,
          close: Scope.close(scope, Exit.void)
        }
      }).pipe(Effect.orDie)
  }
}
