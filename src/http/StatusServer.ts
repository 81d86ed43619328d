/**
 * A server of a pair that tells its operators over HTTP how it is, and lets those who have its token steer it.
 *
 * `GET /live`, `/ready`, `/active` and `/passive` answer 200 or 503, for load balancers; `/status`, `/pair` and `/history`
 * are JSON, `/events` the same live, `/metrics` is for Prometheus, `/` a page for people, and `/openapi.json` describes it
 * all. `POST /switchover`, `/pause`, `/resume` and `/promote` exist only where a token is configured, and want it.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Names from "../internal/Names.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type { RejectedConnections } from "../security/Refusals.ts"
import { HostName, ListenAddress } from "../settings/Address.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { validate } from "../settings/Validation.ts"
import * as handlers from "./handlers.ts"
import * as listener from "./listener.ts"
import { urlOf } from "./OperatorClient.ts"

/**
 * Where a server tells how it is, and who may steer it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Where it listens: `127.0.0.1:5011`, `[::1]:5011`, `*:5011` for every interface, `5011` for this machine alone. Port `0` is any
   * that is free. What is told there is not secret but nobody else's business either, so prefer an address that only
   * operators reach.
   */
  readonly http: string
  /**
   * Names besides IP addresses, `localhost`, this machine's own and that of `http` under which it may be asked. Other
   * names are refused, but for health checks, since a foreign page could have its own name lead here.
   */
  readonly httpHosts?: ReadonlyArray<string> | undefined
  /** Where the peer does the same: `10.0.0.2:5011` or a URL. Without it this server shows itself only. */
  readonly peerHttp?: string | undefined
  /** What operators have to know to steer it; the same on both servers. Without it nobody can. */
  readonly token?: Redacted.Redacted | undefined
  /** Whom the server's ports have refused, which is told too: the `refusals` of its `Curve.Server`. */
  readonly refusals?: RejectedConnections | undefined
}

/** One complaint for each that is wrong. */
const PeerAddress = Schema.UndefinedOr(Schema.String).pipe(Schema.filter(
  (address) => address === undefined || urlOf(address) !== undefined,
  {
    message: ({ actual }) => `expected the peer's status server such as "10.0.0.2:5011", got ${JSON.stringify(actual)}`
  }
))

const Token = Schema.UndefinedOr(Schema.RedactedFromSelf(Schema.String)).pipe(Schema.filter(
  (token) => token === undefined || /^[\x21-\x7e]+$/.test(Redacted.value(token)),
  { message: () => "expected a token of visible ASCII characters without spaces" }
))

const Settings = Schema.Struct({
  http: ListenAddress,
  httpHosts: Schema.Array(HostName),
  peerHttp: PeerAddress,
  token: Token
})

/** The system's own look-up of the peer's name would hold up the end of this process while a name server is silent. */
const peerClient = Layer.provide(
  NodeHttpClient.layerWithoutAgent,
  NodeHttpClient.makeAgentLayer({ lookup: Names.lookup })
)

const services = ({ http, peerHttp, refusals, token }: {
  readonly http: string
  readonly peerHttp: string | undefined
  readonly token: Redacted.Redacted | undefined
  readonly refusals?: RejectedConnections | undefined
}) =>
  Effect.flatMap(Layer.build(peerClient), (client) =>
    Effect.provide(
      handlers.services({ http, peerHttp: peerHttp === undefined ? undefined : urlOf(peerHttp), token, refusals }),
      client
    ))

/**
 * The same without a server of its own, for one that the application has already: to be mounted with
 * `HttpRouter.mountApp`. `http` is the URL at which it is mounted; the page is there with a slash at the end.
 *
 * @since 0.1.0
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
      yield* services({ ...settings, refusals: options.refusals })
    )
  })

/** A server that listens, all that does not need a member, and the scope that it lives as long as. */
class Listening extends Context.Tag("effect-binary-star/http/StatusServer/Listening")<Listening, {
  readonly settings: typeof Settings.Type & Pick<Options, "refusals">
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
      const settings = { ...checked, refusals: options.refusals }
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
 * Serves the status of the member as long as the layer lives, which ends before the member does.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<never, InvalidConfig | SocketError, BinaryStar> =>
  Layer.provide(serving, listening(options))

/**
 * Builds a member and serves its status until it has ended, so that an operator can watch how it drains and says goodbye.
 * When the address is in use the member is not even started.
 *
 * @since 0.1.0
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
