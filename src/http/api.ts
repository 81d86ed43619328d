/** The HTTP API of a server of a pair. */
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

const errorBody = Status.ErrorBody.fields

export class BadRequest extends Schema.TaggedError<BadRequest>()(
  "BadRequest",
  errorBody,
  HttpApiSchema.annotations({ status: 400, description: "The request is malformed" })
) {}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()(
  "Unauthorized",
  errorBody,
  HttpApiSchema.annotations({ status: 401, description: "The token is missing or wrong" })
) {}

export class ForeignOrigin extends Schema.TaggedError<ForeignOrigin>()(
  "ForeignOrigin",
  errorBody,
  HttpApiSchema.annotations({ status: 403, description: "A page of another origin has sent the request" })
) {}

export class Conflict extends Schema.TaggedError<Conflict>()(
  "Conflict",
  { ...errorBody, reason: Schema.optional(Schema.String.annotations({ description: "Why, as in `CommandRejected`" })) },
  HttpApiSchema.annotations({ status: 409, description: "The server has rejected the command" })
) {}

export class TooLarge extends Schema.TaggedError<TooLarge>()(
  "TooLarge",
  errorBody,
  HttpApiSchema.annotations({ status: 413, description: "The body is too large" })
) {}

export class Busy extends Schema.TaggedError<Busy>()(
  "Busy",
  errorBody,
  HttpApiSchema.annotations({ status: 503, description: "Too many clients listen to the events" })
) {}

export class PeerFailed extends Schema.TaggedError<PeerFailed>()(
  "PeerFailed",
  errorBody,
  HttpApiSchema.annotations({ status: 502, description: "The peer has not answered the command" })
) {}

export class Unfinished extends Schema.TaggedError<Unfinished>()(
  "Unfinished",
  errorBody,
  HttpApiSchema.annotations({ status: 504, description: "The command is not completed yet" })
) {}

const text = (contentType: string) => HttpApiSchema.Text({ contentType })

const yes = text("text/plain")

const no = yes.annotations(HttpApiSchema.annotations({ status: 503, description: "No" }))

/** A health check: the status code is the answer. */
const healthCheck = <Name extends string>(name: Name, what: string) =>
  HttpApiEndpoint.get(name, `/${name}`).addSuccess(yes).addError(no).annotate(OpenApi.Summary, `Whether ${what}`)

const read = HttpApiGroup.make("read", { topLevel: true })
  .add(healthCheck("live", "the server runs"))
  .add(healthCheck("ready", "it is active or stands by for its peer"))
  .add(healthCheck("active", "it answers clients"))
  .add(healthCheck("passive", "it stands by for its peer"))
  .add(
    HttpApiEndpoint.get("status", "/status").addSuccess(Status.NodeStatus)
      .annotate(OpenApi.Summary, "The status of the server")
  )
  .add(
    HttpApiEndpoint.get("pair", "/pair").addSuccess(Status.PairStatus)
      .annotate(OpenApi.Summary, "The status of both servers")
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

const commands = HttpApiGroup.make("commands", { topLevel: true })
  .add(
    HttpApiEndpoint.post("switchover", "/switchover").setPayload(Status.CommandBody).addSuccess(Status.SwitchedOver)
      .addError(BadRequest).addError(TooLarge).addError(Conflict).addError(Unfinished)
      .annotate(OpenApi.Summary, "Hand over to the peer and wait until it is active")
  )
  .add(
    HttpApiEndpoint.post("pause", "/pause").setPayload(Status.CommandBody).addSuccess(Status.Done)
      .addError(BadRequest).addError(TooLarge)
      .annotate(OpenApi.Summary, "Do not take over by votes")
  )
  .add(
    HttpApiEndpoint.post("resume", "/resume").addSuccess(Status.Done)
      .annotate(OpenApi.Summary, "Take over by votes again")
  )
  .add(
    HttpApiEndpoint.post("promote", "/promote").setPayload(Status.PromoteBody).addSuccess(Status.Done)
      .addError(BadRequest).addError(TooLarge).addError(Conflict)
      .annotate(OpenApi.Summary, "Become active, if the peer is lost or has handed over")
      .annotate(
        OpenApi.Description,
        "With a witness: if that or the peer gives the right to serve. With `withoutWitness` the operator answers for both: the " +
          "other server does not serve, and will not as long as the witness does not answer. If it does, both serve."
      )
  )
  .add(
    HttpApiEndpoint.post("forward", "/peer/:command")
      .setPath(Schema.Struct({ command: Schema.Literal("switchover", "pause", "resume", "promote") }))
      .setPayload(Schema.partial(Status.PromoteBody)).addSuccess(Status.Done)
      .addError(BadRequest).addError(TooLarge).addError(Conflict).addError(PeerFailed).addError(Unfinished)
      .annotate(OpenApi.Summary, "Send a command to the peer")
      .annotate(OpenApi.Description, "The body is that of the command, and so is the answer.")
  )
  .middleware(Authorization)

const about = OpenApi.annotations({
  title: "A server of a Binary Star pair",
  version,
  description: "Status for operators, and their commands."
})

/** The API of a server without a token. */
export const ReadApi = HttpApi.make("bstar").add(read).annotateContext(about)
  .annotate(HttpApi.AdditionalSchemas, [Status.TransitionEvent])

/** The API of a server with a token. */
export const StatusApi = HttpApi.make("bstar").add(read).add(commands).annotateContext(about)
  .annotate(HttpApi.AdditionalSchemas, [Status.TransitionEvent])
