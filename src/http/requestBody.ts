/** Bodies of requests, limited in size. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { BadRequest, TooLarge } from "./api.ts"

const maxBytes = 16 * 1024

const tooLarge = () => new TooLarge({ error: `a body may have ${maxBytes} bytes at most` })

/** A body above the limit is read on and discarded, so that the client receives the answer. */
export const text = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<string, BadRequest | TooLarge> =>
  Effect.async((resume) => {
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const chunks: Array<Buffer> = []
    let length = 0
    if (Number(source.headers["content-length"] ?? 0) > maxBytes) {
      return resume(tooLarge())
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length > maxBytes) {
        release()
        source.resume()
        resume(tooLarge())
      }
    }
    const onEnd = () => {
      release()
      resume(Effect.succeed(Buffer.concat(chunks).toString()))
    }
    const onError = () => {
      release()
      resume(new BadRequest({ error: "the connection was closed before the end of the body" }))
    }
    const release = () => {
      source.off("data", onData).off("end", onEnd).off("error", onError)
    }
    source.on("data", onData).on("end", onEnd).on("error", onError)
    return Effect.sync(release)
  })

/** Decodes a body from JSON. */
export const decode = <A, I>(schema: Schema.Schema<A, I>) => {
  const parse = Schema.decodeEither(Schema.parseJson(schema))
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<A, BadRequest | TooLarge> =>
    Effect.flatMap(text(request), (text) =>
      Either.mapLeft(parse(text), (error) => {
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
        return new BadRequest({ error: `${["body", ...issue?.path ?? []].join(".")}: ${issue?.message}` })
      }))
}
