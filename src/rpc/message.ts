/**
 * The messages of the RPC client and the RPC server, as a serialization reads and writes them.
 */
import * as RpcMessage from "@effect/rpc/RpcMessage"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Predicate from "effect/Predicate"
import type * as Frames from "../wire/Frames.ts"

/**
 * What the RPC server says, or that it cannot be written.
 *
 * @internal
 */
export const encode = (parser: RpcSerialization.Parser, response: RpcMessage.FromServerEncoded): Frames.Input => {
  try {
    // Answers to a batch may all come with the last.
    return parser.encode(response) ?? []
  } catch (cause) {
    return parser.encode(RpcMessage.ResponseDefectEncoded(cause)) ?? []
  }
}

/**
 * The name of a call as the RPC server writes it; nothing where it is no name.
 *
 * @internal
 */
export const idOf = (id: unknown): string | undefined => {
  try {
    return typeof id === "string" || typeof id === "bigint" ? String(BigInt(id)) : undefined
  } catch {
    return undefined
  }
}

/**
 * Whether the RPC server can do something with it, be it to answer that it knows no such procedure.
 *
 * @internal
 */
export const isMessage = (u: unknown): u is RpcMessage.FromClientEncoded => {
  if (!Predicate.hasProperty(u, "_tag")) {
    return false
  }
  switch (u._tag) {
    case "Request":
      return "id" in u && idOf(u.id) !== undefined && "tag" in u && typeof u.tag === "string" &&
        "headers" in u && Array.isArray(u.headers) && u.headers.every(Array.isArray)
    case "Ack":
    case "Interrupt":
      return "requestId" in u && idOf(u.requestId) !== undefined
    default:
      return u._tag === "Ping" || u._tag === "Eof"
  }
}
