/**
 * The status server: the status of a server of a pair over HTTP, and commands for operators with its token.
 *
 * `GET /live`, `/ready`, `/active` and `/passive` answer 200 or 503, for load balancers; `/status`, `/pair` and `/history`
 * are JSON, `/events` the same live, `/metrics` is for Prometheus, `/` is the dashboard, and `/openapi.json` describes the
 * API. `POST /switchover`, `/pause`, `/resume` and `/promote` exist if a token is configured, and require it; with `/peer` before them
 * the same is asked of the other server.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { RejectedConnections } from "../security/RejectedConnections.ts"
import { HostName, isSameServer, ListenAddress } from "../settings/Address.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import { validate } from "../settings/Validation.ts"
import * as handlers from "./handlers.ts"
import * as listener from "./listener.ts"
import { urlOf } from "./OperatorClient.ts"
import * as Peer from "./peer.ts"
import { isToken, tokenMessage } from "./Token.ts"

/**
 * Options of the status server.
 *
 * @category models
 */
export interface Options {
  /**
   * The address to listen on: `127.0.0.1:5011`, `[::1]:5011`, `*:5011` for every interface, `5011` for this machine alone.
   * Port `0` is any free port. The status needs no token, so prefer an address that only operators reach.
   */
  readonly http: string
  /**
   * Accepted host names besides IP addresses, `localhost`, this machine's own and that of `http`. Requests under other names
   * are rejected, except health checks, since a foreign page could have its own name lead here.
   */
  readonly httpHosts?: ReadonlyArray<string> | undefined
  /** The status server of the peer: `10.0.0.2:5011` or a URL. Default: none; then this server reports only itself. */
  readonly peerHttp?: string | undefined
  /** The token that commands require; the same on both servers. Default: none; then there are no commands. */
  readonly token?: Redacted.Redacted | undefined
  /** Counters of rejected connections for the status: the `rejectedConnections` of the server's `Curve.Server`. */
  readonly rejectedConnections?: RejectedConnections | undefined
}

const PeerAddress = Schema.UndefinedOr(Schema.String).pipe(Schema.filter(
  (address) => address === undefined || urlOf(address) !== undefined,
  {
    message: ({ actual }) => `expected the peer's status server such as "10.0.0.2:5011", got ${JSON.stringify(actual)}`
  }
))

const Token = Schema.UndefinedOr(Schema.RedactedFromSelf(Schema.String)).pipe(Schema.filter(
  (token) => token === undefined || isToken(Redacted.value(token)),
  { message: () => tokenMessage }
))

const Settings = Schema.Struct({
  http: ListenAddress,
  httpHosts: Schema.Array(HostName),
  peerHttp: PeerAddress,
  token: Token
})

const services = ({ http, peerHttp, rejectedConnections, token }: {
  readonly http: string
  readonly peerHttp: string | undefined
  readonly token: Redacted.Redacted | undefined
  readonly rejectedConnections?: RejectedConnections | undefined
}) =>
  Effect.flatMap(Layer.build(Peer.client), (client) =>
    Effect.provide(
      handlers.services({
        http,
        peerHttp: peerHttp === undefined ? undefined : urlOf(peerHttp),
        token,
        rejectedConnections
      }),
      client
    ))

/**
 * The API without a server, to be mounted in the application's own with `HttpRouter.mountApp`. `http` is the URL at which it
 * is mounted; the dashboard is there with a slash at the end. Fails with `InvalidConfig`.
 *
 * @category constructors
 */
export const app = (
  options: Options
): Effect.Effect<HttpApp.Default, InvalidConfig, BinaryStar | Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* validate(Schema.Struct({ ...Settings.fields, http: Schema.String }), {
      peerHttp: undefined,
      token: undefined,
      ...options,
      httpHosts: options.httpHosts ?? []
    })
    return Effect.provide(
      yield* handlers.make(settings.token),
      yield* services({ ...settings, rejectedConnections: options.rejectedConnections })
    )
  })

/** Everything that does not need a member: the listening server, its settings, and its scope. */
class Listening extends Context.Tag("effect-binary-star/http/StatusServer/Listening")<Listening, {
  readonly settings: typeof Settings.Type & Pick<Options, "rejectedConnections">
  readonly server: listener.Listener
  readonly app: Effect.Effect.Success<ReturnType<typeof handlers.make>>
  readonly scope: Scope.Scope
}>() {}

const listening = (options: Options): Layer.Layer<Listening, InvalidConfig | SocketError> =>
  Layer.scoped(
    Listening,
    Effect.gen(function*() {
      const checked = yield* validate(Settings, {
        peerHttp: undefined,
        token: undefined,
        ...options,
        httpHosts: options.httpHosts ?? []
      })
      if (checked.peerHttp !== undefined && isSameServer(checked.peerHttp, options.http)) {
        return yield* new InvalidConfig({
          issues: [{
            field: "peerHttp",
            message: `${checked.peerHttp} is this server's own address: give that of its peer`
          }]
        })
      }
      const settings = { ...checked, rejectedConnections: options.rejectedConnections }
      const server = yield* listener.listen(settings.http, settings.httpHosts)
      return { settings, server, app: yield* handlers.make(settings.token), scope: yield* Effect.scope }
    })
  )

const serving: Layer.Layer<never, never, BinaryStar | Listening> = Layer.effectDiscard(Effect.gen(function*() {
  const { app, scope, server, settings } = yield* Listening
  const { role } = yield* BinaryStar
  yield* Effect.gen(function*() {
    const context = yield* Scope.extend(services({ ...settings, http: server.url }), scope)
    server.serve(yield* NodeHttpServer.makeHandler(Effect.provide(app, context)))
    yield* Effect.logInfo(`status server at ${server.url}`)
  }).pipe(Effect.annotateLogs({ package: "effect-binary-star", role }))
}))

/**
 * The status server of a member that exists already: it is closed before the member stops. Fails with `InvalidConfig`, or
 * with a `SocketError` if it cannot listen.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { BinaryStar, Handler, Zmq } from "effect-binary-star"
 * import * as StatusServer from "effect-binary-star/StatusServer"
 *
 * const options = { role: "primary", policy: "hardened" } as const
 *
 * const Pair = BinaryStar.layer(options, Handler.echo).pipe(Layer.provide(Zmq.layer(options)))
 *
 * export const WithStatus = StatusServer.layer({ http: "127.0.0.1:5011", peerHttp: "10.0.0.2:5011" }).pipe(
 *   Layer.provideMerge(Pair)
 * )
 * ```
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<never, InvalidConfig | SocketError, BinaryStar> =>
  Layer.provide(serving, listening(options))

/**
 * A member with its status server, which is closed after the member has stopped, so that operators see the drain. The
 * member is not started if the address is in use. Fails as the member, and as {@link layer}.
 *
 * @category layers
 */
export const around = <A, E, R>(
  member: Layer.Layer<A | BinaryStar, E, R>,
  options: Options
): Layer.Layer<A | BinaryStar, E | InvalidConfig | SocketError, R> =>
  serving.pipe(Layer.provideMerge(member), Layer.provide(listening(options))) as Layer.Layer<
    A | BinaryStar,
    E | InvalidConfig | SocketError,
    R
  >
