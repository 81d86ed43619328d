/** The body of a request, if it is not too large. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { BadRequest, TooLarge } from "./api.ts"

const maxBytes = 16 * 1024

const tooLarge = () => new TooLarge({ error: `a body may have ${maxBytes} bytes` })

/** What is too large is not kept. The server reads on and forgets it, so that the client gets to see the answer. */
const text = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<string, BadRequest | TooLarge> =>
  Effect.async((resume) => {
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const chunks: Array<Buffer> = []
    let length = Number(source.headers["content-length"] ?? 0)
    if (length > maxBytes) {
      return resume(tooLarge())
    }
    length = 0
    const onData = (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length > maxBytes) {
        forget()
        source.resume()
        resume(tooLarge())
      }
    }
    const onEnd = () => {
      forget()
      resume(Effect.succeed(Buffer.concat(chunks).toString()))
    }
    const onError = () => {
      forget()
      resume(new BadRequest({ error: "the body was cut off" }))
    }
    const forget = () => {
      source.off("data", onData).off("end", onEnd).off("error", onError)
    }
    source.on("data", onData).on("end", onEnd).on("error", onError)
    return Effect.sync(forget)
  })

/** What a body says as JSON. */
export const decode = <A, I>(schema: Schema.Schema<A, I>) => {
  const parse = Schema.decodeEither(Schema.parseJson(schema))
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<A, BadRequest | TooLarge> =>
    Effect.flatMap(text(request), (text) =>
      Either.mapLeft(parse(text), (error) => {
        const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
        return new BadRequest({ error: `${["body", ...issue?.path ?? []].join(".")}: ${issue?.message}` })
      }))
}
