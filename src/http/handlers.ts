/** Who answers what is asked of a server of a pair, and carries out what is ordered. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as crypto from "node:crypto"
import * as dashboard from "../dashboard/Dashboard.ts"
import { monotonicReader } from "../internal/Clock.ts"
import * as Burst from "../internal/LogOnce.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Report } from "../member/Report.ts"
import type { RejectedConnections } from "../security/RejectedConnections.ts"
import * as History from "../status/History.ts"
import * as Metrics from "../status/Metrics.ts"
import * as prometheus from "../status/Prometheus.ts"
import * as Status from "../status/Status.ts"
import { Authorization, ForeignOrigin, StatusApi, Unauthorized, WatchApi } from "./api.ts"
import * as Orders from "./commands.ts"
import * as Events from "./events.ts"
import * as Hosts from "./hosts.ts"
import * as Pair from "./pair.ts"
import * as PeerStatus from "./peerStatus.ts"
import * as RequestBody from "./requestBody.ts"

/** What there is to tell. It comes with each request, so that all else is built before there is a member. */
export class Watch extends Context.Tag("effect-binary-star/http/Watch")<Watch, {
  readonly member: BinaryStar["Type"]
  readonly history: History.History["Type"]
  readonly metrics: Metrics.Metrics["Type"]
  readonly pair: Pair.Pair
  readonly events: Events.Events
}>() {}

/** Who carries out what is ordered. */
export class Steer extends Context.Tag("effect-binary-star/http/Steer")<Steer, Orders.Orders>() {}

/** Answers with the word yes or no, and a status that says the same. */
const ask = (isSo: (report: Report) => boolean) =>
  Effect.gen(function*() {
    const { member } = yield* Watch
    const isLive = Exit.isSuccess(yield* Effect.exit(member.state))
    return isLive && isSo(yield* member.report)
      ? HttpServerResponse.text("yes")
      : HttpServerResponse.text("no", { status: 503 })
  })

const tell = <A, E, R>(what: (watch: Watch["Type"]) => Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flatMap(Watch, what), (answer) => HttpServerResponse.unsafeJson(answer))

const page = HttpServerResponse.text(dashboard.html, { contentType: "text/html; charset=utf-8" }).pipe(
  HttpServerResponse.setHeader("content-security-policy", dashboard.csp)
)

/** `description` is the answer to `/openapi.json`, rendered once: it is large and never changes. */
const watch = (description: HttpServerResponse.HttpServerResponse) =>
  HttpApiBuilder.group(StatusApi, "watch", (handlers) =>
    handlers
      .handleRaw("live", () => ask(() => true))
      .handleRaw(
        "ready",
        () => ask(({ answers, transition: { to } }) => answers || to === "ACTIVE" || to === "PASSIVE")
      )
      .handleRaw("active", () => ask(({ answers }) => answers))
      .handleRaw("passive", () => ask(({ transition: { to } }) => to === "PASSIVE"))
      .handleRaw("status", () => tell(({ pair }) => pair.self))
      .handleRaw("pair", () => tell(({ pair }) => pair.asked))
      .handleRaw(
        "history",
        ({ urlParams: { limit } }) => tell(({ history }) => history.latest(limit ?? History.capacity))
      )
      .handleRaw("metrics", () =>
        Effect.gen(function*() {
          const { metrics } = yield* Watch
          yield* metrics.update
          return HttpServerResponse.text(prometheus.render(yield* Metric.snapshot), {
            contentType: prometheus.contentType
          })
        }))
      .handleRaw("events", ({ request }) =>
        Effect.gen(function*() {
          const { events } = yield* Watch
          const body = request.method === "HEAD" ? "" : yield* events.listen
          return HttpServerResponse.raw(body, { contentType: "text/event-stream" })
        }))
      .handleRaw("openapi", () => Effect.succeed(description))
      .handleRaw("dashboard", () => Effect.succeed(page)))

/** Tells who orders what. */
const log = ({ remoteAddress }: HttpServerRequest.HttpServerRequest, what: string, reason?: string) =>
  Effect.logInfo(
    `${what} was ordered by ${Option.getOrElse(remoteAddress, () => "somebody")}` +
      (reason === undefined ? "" : `: ${JSON.stringify(reason)}`)
  )

const order = RequestBody.decode(Status.Order)

const steer = HttpApiBuilder.group(StatusApi, "steer", (handlers) =>
  handlers
    .handleRaw("switchover", ({ request }) =>
      Effect.gen(function*() {
        const { reason } = yield* order(request)
        yield* log(request, "switchover", reason)
        // Not a byte goes over the connection while it drains.
        NodeHttpServerRequest.toIncomingMessage(request).setTimeout(0)
        return yield* (yield* Steer).switchover(reason)
      }))
    .handleRaw("pause", ({ request }) =>
      Effect.gen(function*() {
        const { reason } = yield* order(request)
        yield* log(request, "pause", reason)
        return yield* (yield* Steer).pause(reason)
      }))
    .handleRaw("resume", ({ request }) =>
      Effect.gen(function*() {
        yield* log(request, "resume")
        return yield* (yield* Steer).resume
      }))
    .handleRaw("promote", ({ request }) =>
      Effect.gen(function*() {
        const { reason } = yield* order(request)
        yield* log(request, "promote", reason)
        return yield* (yield* Steer).promote(reason)
      })))

const hashOf = (token: Redacted.Redacted): Buffer => crypto.createHash("sha256").update(Redacted.value(token)).digest()

/** The library takes whatever has six letters for the scheme. */
const isBearer = (header: string | undefined): boolean => /^bearer [\x21-\x7e]+$/i.test(header ?? "")

const refuseOrigin = (origin: string, host: string | undefined) =>
  new ForeignOrigin({
    error: `orders of a page at ${JSON.stringify(origin.slice(0, 255))} are refused: this server's own pages are at ` +
      `${JSON.stringify(host ?? "")} (a proxy in between has to keep the Host header)`
  })

/** Constant-time comparison. */
const authorization = (token: Redacted.Redacted) =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const isFirst = Burst.make(10_000)
    const expected = hashOf(token)
    return Authorization.of({
      bearer: (given) =>
        Effect.gen(function*() {
          const { headers } = yield* HttpServerRequest.HttpServerRequest
          if (headers.origin !== undefined && !Hosts.isOwnOrigin(headers.origin, headers.host)) {
            return yield* refuseOrigin(headers.origin, headers.host)
          }
          if (!isBearer(headers.authorization) || !crypto.timingSafeEqual(hashOf(given), expected)) {
            yield* isFirst(now()) ? Effect.logWarning("an order without the right token was refused") : Effect.void
            return yield* new Unauthorized({ error: "the token is missing or wrong" })
          }
        })
    })
  })

/** What every answer says: that it is of now, and for nobody but who has asked. */
const withHeaders = HttpServerResponse.setHeaders({
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
})

/** What can be asked, and ordered where there is a token. */
export const make = (token: Redacted.Redacted | undefined) =>
  Effect.gen(function*() {
    const routes = token === undefined
      ? Layer.provide(HttpApiBuilder.api(WatchApi), watch(HttpServerResponse.unsafeJson(OpenApi.fromApi(WatchApi))))
      : Layer.provide(HttpApiBuilder.api(StatusApi), [
        watch(HttpServerResponse.unsafeJson(OpenApi.fromApi(StatusApi))),
        Layer.provide(steer, Layer.effect(Authorization, authorization(token)))
      ])
    // Built by itself, so that two servers in one process have a router each.
    const context = yield* Layer.build(
      Layer.mergeAll(routes, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, HttpServer.layerContext)
    )
    return (yield* Effect.provide(HttpApiBuilder.httpApp, context)).pipe(
      Effect.tapDefect((cause) => Effect.logError("the status server has failed to answer", cause)),
      Effect.map(withHeaders),
      Effect.provide(context)
    )
    // A handler's services are asked for where it is added, and looked up where it runs.
  }) as Effect.Effect<HttpApp.Default<never, Watch | Steer>, never, Scope.Scope>

/** What requests are answered with, as long as the scope. */
export const services = ({ http, peerHttp, rejectedConnections, token }: {
  readonly http: string
  readonly peerHttp: string | undefined
  readonly token: Redacted.Redacted | undefined
  readonly rejectedConnections: RejectedConnections | undefined
}) =>
  Effect.gen(function*() {
    const member = yield* BinaryStar
    const history = yield* History.make
    const metrics = yield* Metrics.make
    const peer = peerHttp === undefined ? undefined : yield* PeerStatus.make(peerHttp)
    const pair = yield* Pair.make(http, peer, rejectedConnections)
    const events = yield* Events.make(member.role, history, pair)
    return Context.make(Watch, { member, history, metrics, pair, events }).pipe(
      Context.add(Steer, yield* Orders.make(peer, token))
    )
  })
