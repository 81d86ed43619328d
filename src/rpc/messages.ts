/**
 * Messages of `@effect/rpc` in the frames of a request.
 */
import * as RpcMessage from "@effect/rpc/RpcMessage"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Predicate from "effect/Predicate"
import * as Frames from "../wire/Frames.ts"
import * as ControlFrame from "./controlFrame.ts"

/** Reads and writes the messages of one connection, of which the serialization may keep state. */
export class MessageCodec {
  readonly #serialization: RpcSerialization.RpcSerialization["Type"]
  #parser: RpcSerialization.Parser
  constructor(serialization: RpcSerialization.RpcSerialization["Type"]) {
    this.#serialization = serialization
    this.#parser = serialization.unsafeMake()
  }

  /** Frames of a message; none if the serialization writes it together with a later one. Throws what it cannot write. */
  encode(message: RpcMessage.FromClientEncoded | RpcMessage.FromServerEncoded): Frames.Frames {
    return Frames.make(this.#parser.encode(message) ?? [])
  }

  /** Frames of a response. One that cannot be written becomes a defect, which its client receives. */
  encodeResponse(response: RpcMessage.FromServerEncoded): Frames.Frames {
    try {
      return this.encode(response)
    } catch (cause) {
      return this.encode(RpcMessage.ResponseDefectEncoded(cause))
    }
  }

  /** Messages in a frame; `undefined` if it holds none, or anything that `isMessage` rejects. */
  decode<A>(frame: Uint8Array, isMessage: (message: unknown) => message is A): ReadonlyArray<A> | undefined {
    try {
      const messages = this.#parser.decode(frame).flat()
      if (messages.length > 0 && messages.every(isMessage)) {
        return messages
      }
    } catch {
      // The frame is malformed, as below.
    }
    // The parser may have kept the beginning of a message.
    this.#parser = this.#serialization.unsafeMake()
    return undefined
  }
}

/** Id of a call in the form that the RPC server writes; `undefined` for anything else. */
export const callIdOf = (id: unknown): string | undefined => {
  try {
    return typeof id === "string" || typeof id === "bigint" ? String(BigInt(id)) : undefined
  } catch {
    return undefined
  }
}

const isFromClient = (u: unknown): u is RpcMessage.FromClientEncoded => {
  if (!Predicate.hasProperty(u, "_tag")) {
    return false
  }
  switch (u._tag) {
    case "Request":
      return "id" in u && callIdOf(u.id) !== undefined && "tag" in u && typeof u.tag === "string" &&
        "headers" in u && Array.isArray(u.headers) && u.headers.every(Array.isArray)
    case "Ack":
    case "Interrupt":
      return "requestId" in u && callIdOf(u.requestId) !== undefined
    default:
      return u._tag === "Ping" || u._tag === "Eof"
  }
}

const isFromServer = (u: unknown): u is RpcMessage.FromServerEncoded => Predicate.hasProperty(u, "_tag")

/**
 * Content of a client's request. The reply to a `SerializedBatch`, several messages in one frame, is one frame as well;
 * that to a `Batch` has a frame for each message.
 */
type Incoming =
  | { readonly _tag: "Message"; readonly message: RpcMessage.FromClientEncoded; readonly isStream: boolean }
  | { readonly _tag: "SerializedBatch" | "Batch"; readonly messages: ReadonlyArray<RpcMessage.FromClientEncoded> }
  | { readonly _tag: "Poll" | "KeepAlive"; readonly callIds: ReadonlyArray<string> }
  | { readonly _tag: "Malformed" }

const malformed: Incoming = { _tag: "Malformed" }

/** Reads a client's request. */
export const readRequest = (codec: MessageCodec, body: Frames.Frames): Incoming => {
  const kind = ControlFrame.kindOf(body)
  const frames = kind === undefined ? body : ControlFrame.contentOf(body)
  if (kind === "Poll" || kind === "KeepAlive") {
    return { _tag: kind, callIds: frames.map((id) => Frames.toString([id])) }
  }
  const isStream = kind === "Stream"
  if (kind !== undefined && !isStream) {
    return malformed
  }
  if (frames.length === 1) {
    const messages = codec.decode(frames[0]!, isFromClient)
    if (messages?.length === 1) {
      return { _tag: "Message", message: messages[0]!, isStream }
    }
    return messages === undefined || isStream ? malformed : { _tag: "SerializedBatch", messages }
  }
  const messages = isStream ? [] : frames.map((frame) => codec.decode(frame, isFromClient))
  return messages.length > 0 && messages.every((inFrame) => inFrame?.length === 1)
    ? { _tag: "Batch", messages: messages.map((inFrame) => inFrame![0]!) }
    : malformed
}

/** Reads a server's reply: one response, or `undefined` if it is malformed. */
export const readResponse = (codec: MessageCodec, reply: Frames.Frames): RpcMessage.FromServerEncoded | undefined => {
  const responses = reply.length === 1 ? codec.decode(reply[0]!, isFromServer) : undefined
  return responses?.length === 1 ? responses[0] : undefined
}
