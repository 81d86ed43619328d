/** The handlers of the HTTP API. */
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
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { BinaryStar } from "../member/BinaryStar.ts"
import type { Report } from "../member/Report.ts"
import type { RejectedConnections } from "../security/RejectedConnections.ts"
import * as History from "../status/History.ts"
import * as Metrics from "../status/Metrics.ts"
import * as prometheus from "../status/Prometheus.ts"
import * as Status from "../status/Status.ts"
import { Authorization, ForeignOrigin, ReadApi, StatusApi, Unauthorized } from "./api.ts"
import * as Commands from "./commands.ts"
import * as Events from "./events.ts"
import * as Hosts from "./hosts.ts"
import * as Pair from "./pair.ts"
import * as Peer from "./peer.ts"
import * as RequestBody from "./requestBody.ts"

/** Provided to each request, so that the routes are built before there is a member. */
export class ReadServices extends Context.Tag("effect-binary-star/http/ReadServices")<ReadServices, {
  readonly member: BinaryStar["Type"]
  readonly history: History.History["Type"]
  readonly metrics: Metrics.Metrics["Type"]
  readonly pair: Pair.Pair
  readonly events: Events.Events
}>() {}

export class CommandServices extends Context.Tag("effect-binary-star/http/CommandServices")<
  CommandServices,
  Commands.Commands
>() {}

/** Answers `yes` with 200, or `no` with 503. */
const healthCheck = (isSo: (report: Report) => boolean) =>
  Effect.gen(function*() {
    const { member } = yield* ReadServices
    const isLive = Exit.isSuccess(yield* Effect.exit(member.state))
    return isLive && isSo(yield* member.report)
      ? HttpServerResponse.text("yes")
      : HttpServerResponse.text("no", { status: 503 })
  })

const json = <A, E, R>(of: (services: ReadServices["Type"]) => Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flatMap(ReadServices, of), (answer) => HttpServerResponse.unsafeJson(answer))

/**
 * The page. Its large module is loaded with the status server: Node keeps a failure to load for good, which a request would have at a
 * time without free descriptors, or after an upgrade of the files.
 */
const loadPage = Effect.map(
  Effect.promise(() => import("../dashboard/Dashboard.ts")),
  ({ csp, html }) =>
    HttpServerResponse.text(html, { contentType: "text/html; charset=utf-8" }).pipe(
      HttpServerResponse.setHeader("content-security-policy", csp)
    )
)

/** `page` and `description`, the answer to `/openapi.json`, are rendered once: they are large and never change. */
const readHandlers = (
  page: HttpServerResponse.HttpServerResponse,
  description: HttpServerResponse.HttpServerResponse
) =>
  HttpApiBuilder.group(StatusApi, "read", (handlers) =>
    handlers
      .handleRaw("live", () => healthCheck(() => true))
      .handleRaw(
        "ready",
        () => healthCheck(({ answers, transition: { to } }) => answers || to === "ACTIVE" || to === "PASSIVE")
      )
      .handleRaw("active", () => healthCheck(({ answers }) => answers))
      .handleRaw("passive", () => healthCheck(({ transition: { to } }) => to === "PASSIVE"))
      .handleRaw("status", () => json(({ pair }) => pair.self))
      .handleRaw("pair", () => json(({ pair }) => pair.requested))
      .handleRaw(
        "history",
        ({ urlParams: { limit } }) => json(({ history }) => history.latest(limit ?? History.capacity))
      )
      .handleRaw("metrics", () =>
        Effect.gen(function*() {
          const { metrics } = yield* ReadServices
          yield* metrics.update
          return HttpServerResponse.text(prometheus.render(yield* Metric.snapshot), {
            contentType: prometheus.contentType
          })
        }))
      .handleRaw("events", ({ request }) =>
        Effect.gen(function*() {
          const { events } = yield* ReadServices
          const body = request.method === "HEAD" ? "" : yield* events.listen
          return HttpServerResponse.raw(body, { contentType: "text/event-stream" })
        }))
      .handleRaw("openapi", () => Effect.succeed(description))
      .handleRaw("dashboard", () => Effect.succeed(page)))

const log = ({ remoteAddress }: HttpServerRequest.HttpServerRequest, command: string, reason?: string) =>
  Effect.logInfo(
    `command ${command} from ${Option.getOrElse(remoteAddress, () => "an unknown address")}` +
      (reason === undefined ? "" : `: ${JSON.stringify(reason)}`)
  )

const decodeBody = RequestBody.decode(Status.CommandBody)

const decodePromotion = RequestBody.decode(Status.PromoteBody)

/** The reason in the body of a command, which is logged. */
const reasonOf = (request: HttpServerRequest.HttpServerRequest, command: string) =>
  decodeBody(request).pipe(
    Effect.tap(({ reason }) => log(request, command, reason)),
    Effect.map(({ reason }) => reason)
  )

const commandHandlers = HttpApiBuilder.group(StatusApi, "commands", (handlers) =>
  handlers
    .handleRaw("switchover", ({ request }) =>
      Effect.gen(function*() {
        const reason = yield* reasonOf(request, "switchover")
        // No byte goes over the connection during the drain.
        NodeHttpServerRequest.toIncomingMessage(request).setTimeout(0)
        return yield* (yield* CommandServices).switchover(reason)
      }))
    .handleRaw("pause", ({ request }) =>
      Effect.gen(function*() {
        return yield* (yield* CommandServices).pause(yield* reasonOf(request, "pause"))
      }))
    .handleRaw("resume", ({ request }) =>
      Effect.gen(function*() {
        yield* log(request, "resume")
        return yield* (yield* CommandServices).resume
      }))
    .handleRaw("promote", ({ request }) =>
      Effect.gen(function*() {
        const body = yield* decodePromotion(request)
        const part = body.switchover === true ? " (of a switchover)" : ""
        const command = body.withoutWitness === true ? "promote without the witness" : `promote${part}`
        yield* log(request, command, body.reason)
        return yield* (yield* CommandServices).promote(body)
      }))
    .handleRaw("forward", ({ path: { command }, request }) =>
      Effect.gen(function*() {
        const body = yield* RequestBody.text(request)
        yield* log(request, `${command} for the peer`)
        NodeHttpServerRequest.toIncomingMessage(request).setTimeout(0)
        const outcome = yield* (yield* CommandServices).forward(command, body)
        return HttpServerResponse.unsafeJson(outcome.body, { status: outcome.code })
      })))

const hashOf = (token: Redacted.Redacted): Buffer => crypto.createHash("sha256").update(Redacted.value(token)).digest()

/** The library accepts any scheme of six letters. */
const isBearer = (header: string | undefined): boolean => /^bearer [\x21-\x7e]+$/i.test(header ?? "")

const foreignOrigin = (origin: string, host: string | undefined) =>
  new ForeignOrigin({
    error:
      `commands of a page at ${JSON.stringify(origin.slice(0, 255))} are rejected: this server's own pages are at ` +
      `${JSON.stringify(host ?? "")} (a proxy in between has to keep the Host header)`
  })

/** Constant-time comparison. */
const authorization = (token: Redacted.Redacted) =>
  Effect.gen(function*() {
    const now = yield* monotonicReader
    const isFirst = LogOnce.make(10_000)
    const expected = hashOf(token)
    return Authorization.of({
      bearer: (given) =>
        Effect.gen(function*() {
          const { headers } = yield* HttpServerRequest.HttpServerRequest
          if (headers.origin !== undefined && !Hosts.isOwnOrigin(headers.origin, headers.host)) {
            return yield* foreignOrigin(headers.origin, headers.host)
          }
          if (!isBearer(headers.authorization) || !crypto.timingSafeEqual(hashOf(given), expected)) {
            yield* isFirst(now()) ? Effect.logWarning("a command without the right token was rejected") : Effect.void
            return yield* new Unauthorized({ error: "the token is missing or wrong" })
          }
        })
    })
  })

/** Security headers: no caching, no referrer, no framing. */
const withHeaders = HttpServerResponse.setHeaders({
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
})

/** The API as an application. It has commands if there is a token. */
export const make = (token: Redacted.Redacted | undefined) =>
  Effect.gen(function*() {
    const page = yield* loadPage
    const routes = token === undefined
      ? Layer.provide(
        HttpApiBuilder.api(ReadApi),
        readHandlers(page, HttpServerResponse.unsafeJson(OpenApi.fromApi(ReadApi)))
      )
      : Layer.provide(HttpApiBuilder.api(StatusApi), [
        readHandlers(page, HttpServerResponse.unsafeJson(OpenApi.fromApi(StatusApi))),
        Layer.provide(commandHandlers, Layer.effect(Authorization, authorization(token)))
      ])
    // Two servers in one process have a router each.
    const context = yield* Layer.build(
      Layer.mergeAll(routes, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, HttpServer.layerContext)
    )
    return (yield* Effect.provide(HttpApiBuilder.httpApp, context)).pipe(
      Effect.tapDefect((cause) => Effect.logError("the status server has failed to answer a request", cause)),
      Effect.map(withHeaders),
      Effect.provide(context)
    )
    // The types require a handler's services where it is added; they are provided where it runs.
  }) as Effect.Effect<HttpApp.Default<never, ReadServices | CommandServices>, never, Scope.Scope>

/** The services of the handlers, which live as long as the scope. */
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
    const peer = peerHttp === undefined ? undefined : yield* Peer.make(peerHttp, token)
    const pair = yield* Pair.make(http, peer, rejectedConnections)
    const events = yield* Events.make(member.role, history, pair)
    return Context.make(ReadServices, { member, history, metrics, pair, events }).pipe(
      Context.add(CommandServices, yield* Commands.make(peer))
    )
  })
