/**
 * Calls of a client, and what a server's reply means for them. Plain data without Effect, clock or sockets.
 */
import type * as RpcMessage from "@effect/rpc/RpcMessage"
import type { RequestError } from "../client/RequestError.ts"
import type * as Frames from "../wire/Frames.ts"
import * as ControlFrame from "./controlFrame.ts"

/** Properties of a procedure. */
export interface Procedure {
  readonly isStream: boolean
  /** Whether it may be executed more than once. */
  readonly resend: boolean
}

/**
 * - `Waiting`: one message is under way, and its reply is awaited.
 * - `Delivering`: the RPC client has not taken the last chunk yet. No message is sent meanwhile.
 * - `Ended`: neither end has anything left to report.
 */
type Phase = "Waiting" | "Delivering" | "Ended"

/** A call that has no result yet. */
export interface Call {
  readonly id: string
  readonly tag: string
  readonly resend: boolean
  readonly request: Frames.Frames
  /** Message that requests the next chunk, once there was a first. */
  ack: Frames.Frames | undefined
  /** Message that is sent next, or was sent last. */
  next: Frames.Frames
  phase: Phase
  /** Whether the RPC client has acknowledged the last chunk, and wants another. */
  isAcknowledged: boolean
  /** Whether the RPC client has ended the call because of a defect of another. Its responses are dropped. */
  isEndedByDefect: boolean
}

/**
 * What a call does next: sends `next`, delivers a response, or ends. After an `End` the server may have to be sent an
 * interrupt.
 */
export type Step =
  | { readonly _tag: "Send" | "End" }
  | { readonly _tag: "DeliverChunk" | "DeliverLast"; readonly response: RpcMessage.FromServerEncoded }
  | { readonly _tag: "Fail"; readonly message: string }

const send: Step = { _tag: "Send" }
const end: Step = { _tag: "End" }

export class ClientCalls {
  readonly #calls = new Map<string, Call>()

  /** Number of calls that have no result yet. */
  get size(): number {
    return this.#calls.size
  }

  start(id: string, tag: string, { isStream, resend }: Procedure, message: Frames.Frames): Call {
    const request = isStream ? ControlFrame.make("Stream", ...message) : message
    const call: Call = {
      id,
      tag,
      // A stream goes on at one server or not at all.
      resend: resend && !isStream,
      request,
      ack: undefined,
      next: request,
      phase: "Waiting",
      isAcknowledged: true,
      isEndedByDefect: false
    }
    this.#calls.set(id, call)
    return call
  }

  /** The RPC client has taken the last chunk of a call and wants another. */
  acknowledge(id: string): void {
    const call = this.#calls.get(id)
    if (call !== undefined) {
      call.isAcknowledged = true
    }
  }

  /** Ids of the calls that send no message at present, and have to be kept alive. */
  get delivering(): ReadonlyArray<string> {
    return [...this.#calls.values()].filter(({ phase }) => phase === "Delivering").map(({ id }) => id)
  }

  onControlFrame(call: Call, kind: ControlFrame.ControlFrame | "Malformed"): Step {
    switch (kind) {
      case "Poll":
        call.next = ControlFrame.make("Poll", call.id)
        return send
      case "Unknown":
        if (!call.resend) {
          return this.#fail(call, "its server has stopped, or does not know of it any more")
        }
        call.next = call.request
        return send
      default:
        return this.#fail(call, "the server's reply is not a response")
    }
  }

  onResponse(call: Call, response: RpcMessage.FromServerEncoded | undefined): Step {
    if (response === undefined) {
      return this.#fail(call, "the server's reply cannot be read (does it use the same serialization?)")
    }
    if (call.isEndedByDefect) {
      call.phase = "Ended"
      return end
    }
    if (response._tag === "Chunk") {
      call.phase = "Delivering"
      call.isAcknowledged = false
      return { _tag: "DeliverChunk", response }
    }
    if (response._tag === "Defect") {
      // The RPC client ends all its calls; the server sends each of them the defect as well.
      for (const other of this.#calls.values()) {
        other.isEndedByDefect = true
      }
    }
    call.phase = "Ended"
    return { _tag: "DeliverLast", response }
  }

  /** The RPC client has room again. Without an acknowledgement it wants no more. */
  onDelivered(call: Call, encodeAck: () => Frames.Frames): Step {
    if (!call.isAcknowledged) {
      return end
    }
    call.phase = "Waiting"
    call.ack ??= encodeAck()
    call.next = call.ack
    return send
  }

  onRequestError(call: Call, error: RequestError): Step {
    const mayBeExecuted = call.next !== call.request || (error.attempts > 0 && error.reason !== "Busy")
    return this.#fail(call, `${error.message}; it ${mayBeExecuted ? "may have been" : "was not"} executed`)
  }

  /** Ends a call, and returns whether the server has to be sent an interrupt. */
  end(call: Call): boolean {
    this.#calls.delete(call.id)
    const wasOpen = call.phase !== "Ended"
    call.phase = "Ended"
    return wasOpen
  }

  /** Ends all calls, and returns those for which the server has to be sent an interrupt. */
  endAll(): ReadonlyArray<Call> {
    return [...this.#calls.values()].filter((call) => this.end(call))
  }

  #fail(call: Call, message: string): Step {
    call.phase = "Ended"
    return { _tag: "Fail", message: `${call.tag}: ${message}` }
  }
}
