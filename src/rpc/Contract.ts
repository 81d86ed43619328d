/**
 * Request, reply and error of a service on a pair, as schemas. One contract provides both ends: the handler and the request.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { RequestOptions } from "../client/BinaryStarClient.ts"
import { BinaryStarClient } from "../client/BinaryStarClient.ts"
import type { RequestError } from "../client/RequestError.ts"
import * as Handler from "../member/Handler.ts"
import * as Frames from "../wire/Frames.ts"

/**
 * Encoding of values as a frame. Either function throws on a value that it cannot encode or decode.
 *
 * @category models
 */
export interface Codec {
  /** A value as a frame. */
  readonly encode: (value: unknown) => Uint8Array
  /** The value of a frame. */
  readonly decode: (frame: Uint8Array) => unknown
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * JSON. For MessagePack see the module `MsgPack`.
 *
 * @category constants
 */
export const json: Codec = {
  // JSON has no `undefined`: it is an empty frame.
  encode: (value) => value === undefined ? Frames.delimiter : encoder.encode(JSON.stringify(value)),
  decode: (frame) => frame.length === 0 ? undefined : JSON.parse(decoder.decode(frame))
}

/**
 * A message that the other end cannot read, since their contracts differ. `what` is the message, `why` the first mismatch.
 *
 * @category errors
 */
export class Malformed extends Data.TaggedError("Malformed")<{
  readonly what: "request" | "reply"
  readonly why: string
}> {
  override get message(): string {
    return `malformed ${this.what}: ${this.why}`
  }
}

/**
 * Both ends of a typed service.
 *
 * @category models
 */
export interface Contract<Request, Reply, E, R> {
  /**
   * Makes a handler from a function of decoded requests. A request that cannot be decoded is rejected, and its client fails
   * with {@link Malformed}. An error of the contract reaches the client as a value of the same schema, a `RequestFailure` as what it
   * is.
   */
  readonly handler: <R2 = never>(
    f: (request: Request, context: Handler.Request) => Effect.Effect<Reply, E | Handler.RequestFailure, R2>
  ) => Handler.Handler<R | R2>
  /** Sends a request to the pair, and decodes the reply. */
  readonly request: (
    request: Request,
    options?: RequestOptions
  ) => Effect.Effect<Reply, E | Malformed | RequestError, BinaryStarClient | R>
}

/** First frame of a failure that is no error of the contract. */
const malformed = encoder.encode("malformed")

/**
 * Makes a contract. On the wire a request and a reply are one frame each. The codec defaults to `json`.
 *
 * @category constructors
 */
export const make = <Request, RequestI, Reply, ReplyI, E = never, EI = never, R = never>({ codec = json, ...schemas }: {
  readonly request: Schema.Schema<Request, RequestI, R>
  readonly reply: Schema.Schema<Reply, ReplyI, R>
  readonly error?: Schema.Schema<E, EI, R> | undefined
  readonly codec?: Codec | undefined
}): Contract<Request, Reply, E, R> => {
  const error = schemas.error ?? (Schema.Never as unknown as Schema.Schema<E, EI, R>)

  const reading = <A, I>(schema: Schema.Schema<A, I, R>, what: Malformed["what"]) => {
    const decode = Schema.decodeUnknown(schema)
    return (frames: Frames.Frames): Effect.Effect<A, Malformed, R> =>
      frames.length === 1
        ? Effect.try({
          try: () => codec.decode(frames[0]!),
          catch: (cause) => new Malformed({ what, why: String(cause) })
        }).pipe(
          Effect.flatMap((value) =>
            Effect.mapError(decode(value), (error) =>
              new Malformed({ what, why: ParseResult.TreeFormatter.formatErrorSync(error) }))
          )
        )
        : Effect.fail(new Malformed({ what, why: `expected one frame, got ${frames.length}` }))
  }
  // A value of the schema's type that cannot be encoded is a defect of the caller.
  const writing = <A, I>(schema: Schema.Schema<A, I, R>) => {
    const encode = Schema.encode(schema)
    return (value: A) => Effect.map(Effect.orDie(encode(value)), codec.encode)
  }
  const readRequest = reading(schemas.request, "request")
  const readReply = reading(schemas.reply, "reply")
  const readError = reading(error, "reply")
  const writeRequest = writing(schemas.request)
  const writeReply = writing(schemas.reply)
  const writeError = writing(error)

  const reject = (malformedRequest: Malformed) =>
    new Handler.RequestFailure({ body: [malformed, ...Frames.make(malformedRequest.why)] })

  /** Fails with the error that the handler failed with. */
  const readFailure = (failure: RequestError): Effect.Effect<never, E | Malformed | RequestError, R> => {
    const { detail, reason } = failure
    if (detail === undefined || reason !== "Failed") {
      return Effect.fail(failure)
    }
    return detail.length === 2
      ? Effect.fail(new Malformed({ what: "request", why: Frames.toString(detail.slice(1)) }))
      : Effect.flatMap(readError(detail), Effect.fail)
  }

  return {
    handler: (f) => (context) =>
      Effect.matchEffect(readRequest(context.body), {
        onFailure: reject,
        onSuccess: (request) =>
          Effect.matchEffect(f(request, context), {
            onFailure: (error) =>
              error instanceof Handler.RequestFailure
                ? error
                : Effect.flatMap(writeError(error), (body) => new Handler.RequestFailure({ body })),
            onSuccess: writeReply
          })
      }),
    request: (request, options) =>
      Effect.gen(function*() {
        const client = yield* BinaryStarClient
        const reply = yield* Effect.catchAll(
          client.request(yield* writeRequest(request), options),
          readFailure
        )
        return yield* readReply(reply)
      })
  }
}
