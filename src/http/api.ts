/** What can be asked of a server of a pair over HTTP, and ordered. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { version } from "../internal/Version.ts"
import * as History from "../status/History.ts"
import * as prometheus from "../status/Prometheus.ts"
import * as Status from "../status/Status.ts"

const refusal = { error: Schema.String }

export class BadRequest extends Schema.TaggedError<BadRequest>()(
  "BadRequest",
  refusal,
  HttpApiSchema.annotations({ status: 400, description: "The request makes no sense" })
) {}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  refusal,
  HttpApiSchema.annotations({ status: 401, description: "The token is missing or wrong" })
) {}

export class ForeignOrigin extends Schema.TaggedError<ForeignOrigin>()(
  "ForeignOrigin",
  refusal,
  HttpApiSchema.annotations({ status: 403, description: "A page of another origin has sent the request" })
) {}

export class Refused extends Schema.TaggedError<Refused>()(
  "Refused",
  refusal,
  HttpApiSchema.annotations({ status: 409, description: "The server does not do it" })
) {}

export class TooLarge extends Schema.TaggedError<TooLarge>()(
  "TooLarge",
  refusal,
  HttpApiSchema.annotations({ status: 413, description: "The body is too large" })
) {}

export class Busy extends Schema.TaggedError<Busy>()(
  "Busy",
  refusal,
  HttpApiSchema.annotations({ status: 503, description: "Too many listen already" })
) {}

export class Unfinished extends Schema.TaggedError<Unfinished>()(
  "Unfinished",
  refusal,
  HttpApiSchema.annotations({ status: 504, description: "It is not done yet" })
) {}

const text = (contentType: string) => HttpApiSchema.Text({ contentType })

const yes = text("text/plain")

const no = yes.annotations(HttpApiSchema.annotations({ status: 503, description: "It is not so" }))

/** A question that a load balancer may ask: the status says it all. */
const question = <Name extends string>(name: Name, what: string) =>
  HttpApiEndpoint.get(name, `/${name}`).addSuccess(yes).addError(no).annotate(OpenApi.Summary, `Whether ${what}`)

const watch = HttpApiGroup.make("watch", { topLevel: true })
  .add(question("live", "the server runs"))
  .add(question("ready", "it is active or stands by for its peer"))
  .add(question("active", "it answers clients"))
  .add(question("passive", "it stands by for its peer"))
  .add(
    HttpApiEndpoint.get("status", "/status").addSuccess(Status.NodeStatus)
      .annotate(OpenApi.Summary, "All that the server has to say about itself")
  )
  .add(
    HttpApiEndpoint.get("pair", "/pair").addSuccess(Status.PairStatus)
      .annotate(OpenApi.Summary, "The same of both servers")
  )
  .add(
    HttpApiEndpoint.get("history", "/history")
      .setUrlParams(Schema.Struct({
        limit: Schema.optional(Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, History.capacity)))
      }))
      .addSuccess(Schema.Array(Status.HistoryEntry))
      .annotate(OpenApi.Summary, "Its latest transitions, newest first")
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics").addSuccess(text(prometheus.contentType))
      .annotate(OpenApi.Summary, "Metrics for Prometheus")
  )
  .add(
    HttpApiEndpoint.get("events", "/events").addSuccess(text("text/event-stream")).addError(Busy)
      .annotate(OpenApi.Summary, "Server-sent events")
      .annotate(
        OpenApi.Description,
        "`pair`, a PairStatus, once a second and at each transition; `transition`, a TransitionEvent, at each transition"
      )
  )
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json").addSuccess(Schema.Unknown)
      .annotate(OpenApi.Summary, "This document")
  )
  .add(
    HttpApiEndpoint.get("dashboard", "/").addSuccess(text("text/html; charset=utf-8"))
      .annotate(OpenApi.Summary, "A page that shows the pair")
  )

/** Accepts requests with the token, unless a page of another origin has sent them. */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()(
  "effect-binary-star/http/Authorization",
  { failure: Schema.Union(Unauthorized, ForeignOrigin), security: { bearer: HttpApiSecurity.bearer } }
) {}

const steer = HttpApiGroup.make("steer", { topLevel: true })
  .add(
    HttpApiEndpoint.post("switchover", "/switchover").setPayload(Status.CommandBody).addSuccess(Status.SwitchedOver)
      .addError(BadRequest).addError(TooLarge).addError(Refused).addError(Unfinished)
      .annotate(OpenApi.Summary, "Hand over to the peer and wait until it is active")
  )
  .add(
    HttpApiEndpoint.post("pause", "/pause").setPayload(Status.CommandBody).addSuccess(Status.Done)
      .addError(BadRequest).addError(TooLarge)
      .annotate(OpenApi.Summary, "Do not take over because of votes")
  )
  .add(
    HttpApiEndpoint.post("resume", "/resume").addSuccess(Status.Done)
      .annotate(OpenApi.Summary, "Take over because of votes again")
  )
  .add(
    HttpApiEndpoint.post("promote", "/promote").setPayload(Status.CommandBody).addSuccess(Status.Done)
      .addError(BadRequest).addError(TooLarge).addError(Refused)
      .annotate(OpenApi.Summary, "Become active, if the peer is gone or has handed over")
  )
  .middleware(Authorization)

const about = OpenApi.annotations({
  title: "A server of a Binary Star pair",
  version,
  description: "What its operators can see and order."
})

/** What everybody may ask. */
export const WatchApi = HttpApi.make("bstar").add(watch).annotateContext(about)
  .annotate(HttpApi.AdditionalSchemas, [Status.TransitionEvent])

/** The same, and what only an operator may order. */
export const StatusApi = HttpApi.make("bstar").add(watch).add(steer).annotateContext(about)
  .annotate(HttpApi.AdditionalSchemas, [Status.TransitionEvent])
