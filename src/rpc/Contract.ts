/**
 * What a client may ask a service on a pair, what it replies, and how it may fail, as schemas. One value gives both ends: the
 * handler and the request.
 *
 * @since 0.1.0
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
 * How values are written into a frame. Both throw what they cannot write or read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec {
  readonly encode: (value: unknown) => Uint8Array
  readonly decode: (frame: Uint8Array) => unknown
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * JSON. For MessagePack see the module `MsgPack`.
 *
 * @since 0.1.0
 * @category constants
 */
export const json: Codec = {
  // There is no word for nothing in JSON: it is an empty frame.
  encode: (value) => value === undefined ? Frames.delimiter : encoder.encode(JSON.stringify(value)),
  decode: (frame) => frame.length === 0 ? undefined : JSON.parse(decoder.decode(frame))
}

/**
 * One end cannot read what the other has sent: they do not have the same contract.
 *
 * @since 0.1.0
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
 * @since 0.1.0
 * @category models
 */
export interface Contract<Request, Reply, E, R> {
  /**
   * Makes a handler of a function of decoded requests. A request that cannot be decoded is refused, which its client
   * sees as {@link Malformed}. An error of the contract reaches the client as it is.
   */
  readonly handler: <R2 = never>(
    f: (request: Request, context: Handler.Request) => Effect.Effect<Reply, E, R2>
  ) => Handler.Handler<R | R2>
  /** Asks the pair. */
  readonly request: (
    request: Request,
    options?: RequestOptions
  ) => Effect.Effect<Reply, E | Malformed | RequestError, BinaryStarClient | R>
}

/** What a refusal says that is no error of the contract. */
const malformed = encoder.encode("malformed")

/**
 * Makes a contract. On the wire a request and a reply are one frame each. The codec is JSON unless another is given.
 *
 * @since 0.1.0
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
  // A value of its own type that cannot be encoded is a mistake of whoever made it.
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

  const refuse = (malformedRequest: Malformed) =>
    new Handler.RequestFailure({ body: [malformed, ...Frames.make(malformedRequest.why)] })

  /** What a refusal was made of. */
  const readRefusal = (failure: RequestError): Effect.Effect<never, E | Malformed | RequestError, R> =>
    failure.detail === undefined || failure.reason !== "Failed"
      ? Effect.fail(failure)
      : failure.detail.length === 2
      ? Effect.fail(new Malformed({ what: "request", why: Frames.toString(failure.detail.slice(1)) }))
      : Effect.flatMap(readError(failure.detail), Effect.fail)

  return {
    handler: (f) => (context) =>
      Effect.matchEffect(readRequest(context.body), {
        onFailure: refuse,
        onSuccess: (request) =>
          Effect.matchEffect(f(request, context), {
            onFailure: (error) => Effect.flatMap(writeError(error), (body) => new Handler.RequestFailure({ body })),
            onSuccess: writeReply
          })
      }),
    request: (request, options) =>
      Effect.gen(function*() {
        const client = yield* BinaryStarClient
        const reply = yield* Effect.catchAll(
          client.request(yield* writeRequest(request), options),
          readRefusal
        )
        return yield* readReply(reply)
      })
  }
}
