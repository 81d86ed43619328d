/**
 * What a client of this library puts in front of a request, and what a server of this library may put in front of an
 * answer that is no reply.
 *
 * To everybody else both are an ordinary envelope: frames up to the first empty one, to be returned as they came. A server
 * of another implementation does so, and its reply finds its request. A server of this library recognizes the name in the
 * first frame and may tell such a client, and only such a client, why there is no reply.
 *
 * @since 0.1.0
 */
import * as Tracer from "effect/Tracer"
import * as Frames from "./Frames.ts"

/**
 * Why a request was not replied to.
 *
 * - `NotActive`: this server may not answer now. It has dropped the request and will not execute it.
 * - `Interrupted`: it has ceased to be active, or ended, before it was done. The request may have been executed, in part.
 * - `Failed`: the handler failed. What it has to say about it follows.
 * - `TimedOut`: the handler took longer than it may, and was interrupted.
 * - `Busy`: there is too much to do. The request was not executed.
 *
 * @since 0.1.0
 * @category models
 */
export type ReplyStatus = "NotActive" | "Interrupted" | "Failed" | "TimedOut" | "Busy"

/**
 * Whether only a server that is active says so. `undefined` stands for a reply.
 *
 * @since 0.1.0
 * @category combinators
 */
export const isFromActive = (status: ReplyStatus | undefined): boolean =>
  status !== "NotActive" && status !== "Interrupted"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const mark = "bstar/1 "
const markBytes = encoder.encode(mark)
const exclamation = "!".charCodeAt(0)

const statusFrames: { readonly [S in ReplyStatus]: Uint8Array } = {
  NotActive: encoder.encode("!NotActive"),
  Interrupted: encoder.encode("!Interrupted"),
  Failed: encoder.encode("!Failed"),
  TimedOut: encoder.encode("!TimedOut"),
  Busy: encoder.encode("!Busy")
}

const isStatus = (text: string): text is ReplyStatus => Object.hasOwn(statusFrames, text)

/**
 * Makes the envelope of a request. `id` names the request and has no dot or space, `copy` tells how often its client has
 * sent something; the span, where there is one, goes along in the form of W3C's `traceparent`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (id: string, copy: number, span: Tracer.AnySpan | undefined): Frames.Frames => {
  const name = encoder.encode(`${mark}${id}.${copy}`)
  return span === undefined
    ? [name, Frames.delimiter]
    : [
      name,
      encoder.encode(`00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`),
      Frames.delimiter
    ]
}

/**
 * Whether a request, as it came in through a ROUTER, is from a client of this library.
 *
 * @since 0.1.0
 * @category combinators
 */
export const isOurs = (request: Frames.Frames): boolean => {
  const name = request[1]
  return name !== undefined && name.length > markBytes.length && markBytes.every((byte, i) => name[i] === byte)
}

/**
 * The span of the client that a request, as it came in through a ROUTER, was sent in.
 *
 * @since 0.1.0
 * @category combinators
 */
export const spanOf = (request: Frames.Frames): Tracer.ExternalSpan | undefined => {
  const frame = request[2]
  if (frame?.length !== 55 || !isOurs(request)) {
    return undefined
  }
  const parent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])$/.exec(decoder.decode(frame))
  return parent === null
    ? undefined
    : Tracer.externalSpan({ traceId: parent[1]!, spanId: parent[2]!, sampled: parent[3] === "1" })
}

/**
 * Tells a client of this library why there is no reply to its request, as it came in through a ROUTER.
 *
 * @since 0.1.0
 * @category constructors
 */
export const status = (request: Frames.Frames, status: ReplyStatus, detail: Frames.Frames = []): Frames.Frames => [
  request[0]!,
  request[1]!,
  statusFrames[status],
  Frames.delimiter,
  ...detail
]

/**
 * What is to be sent in place of a reply, or a status, that was made before this server may have ceased to be active. Whoever
 * does not understand that gets nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withdraw = (reply: Frames.Frames): ReadonlyArray<Frames.Frames> =>
  !isOurs(reply) ? [] : reply[2]?.[0] === exclamation ? [reply] : [status(reply, "Interrupted")]

/**
 * What a server has said to a client: which request and which copy of it is meant, and the reply or why there is none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply {
  readonly id: string
  readonly copy: number
  /** `undefined` for a reply. */
  readonly status: ReplyStatus | undefined
  readonly body: Frames.Frames
}

/**
 * Reads what has come from a server. `undefined` where it is no answer to a request of this library's client.
 *
 * @since 0.1.0
 * @category combinators
 */
export const parseReply = (message: Frames.Frames): Reply | undefined => {
  const end = message.findIndex((frame) => frame.length === 0)
  const name = end > 0 ? decoder.decode(message[0]) : ""
  const dot = name.lastIndexOf(".")
  if (!name.startsWith(mark) || dot < 0) {
    return undefined
  }
  const tag = message[1]![0] === exclamation ? decoder.decode(message[1]).slice(1) : undefined
  if (tag !== undefined && !isStatus(tag)) {
    return undefined
  }
  return {
    id: name.slice(mark.length, dot),
    copy: Number(name.slice(dot + 1)),
    status: tag,
    body: message.slice(end + 1)
  }
}
