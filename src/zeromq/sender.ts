/** Sends messages. Sends have a timeout of 0: they never wait. */
import * as Effect from "effect/Effect"
import type * as zmq from "zeromq"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Handle } from "./handle.ts"
import type { Dealer, Router, Sender, StatePublisher } from "./models.ts"

/** A socket of the binding that sends. */
export type Sending = zmq.Socket & { readonly send: (message: Array<Uint8Array>) => Promise<void> }

const ignore = () => {}

const sendOne = ({ failed, socket }: Handle<Sending>, message: Frames.Frames): Effect.Effect<void, SocketError> =>
  Effect.tryPromise({
    try: () => socket.send(message as Array<Uint8Array>),
    catch: (cause) => failed("send", cause)
  })

export const sender = (handle: Handle<Sending>): Sender => ({ send: (message) => sendOne(handle, message) })

/** The messages reach libzmq within one call, and often leave in one packet. */
export const sendTogether = ({ failed, socket }: Handle<Sending>): Pick<StatePublisher, "sendTogether"> => ({
  sendTogether: (messages) =>
    Effect.asVoid(Effect.tryPromise({
      try: () => Promise.all(messages.map((message) => socket.send(message as Array<Uint8Array>))),
      catch: (cause) => failed("send", cause)
    }))
})

/** No fiber waits for the promise of the binding, which costs 3 us. */
export const sendNow = ({ socket }: Handle<Sending>): Dealer["sendNow"] => (message, onUnsent) => {
  try {
    socket.send(message as Array<Uint8Array>).then(undefined, onUnsent)
  } catch {
    onUnsent()
  }
}

/** A ROUTER drops without an error what it cannot send. */
export const sendAll = ({ failed, socket }: Handle<Sending>): Pick<Router, "sendAll" | "sendNow"> => {
  const sendNow: Router["sendNow"] = (messages) => {
    try {
      for (const message of messages) {
        socket.send(message as Array<Uint8Array>).then(undefined, ignore)
      }
    } catch (cause) {
      throw failed("send", cause)
    }
  }
  return {
    sendAll: (messages) => Effect.try({ try: () => sendNow(messages), catch: (error) => error as SocketError }),
    sendNow
  }
}

/**
 * `writable` costs a tenth of a send that fails. But it may swallow the signal that a pending receive waits for, so that a send always
 * follows, even one that fails: after a send the binding looks for arrived messages.
 */
export const sendSome = (handle: Handle<Sending>): Dealer["sendSome"] => (messages) =>
  Effect.suspend(() => {
    const { socket } = handle
    let count = 0
    while (count < messages.length && socket.writable) {
      // There is room. A message that is lost with its connection a moment later is not reported either.
      socket.send(messages[count++] as Array<Uint8Array>).then(undefined, ignore)
    }
    return count === messages.length ? Effect.succeed(count) : sendOne(handle, messages[count]!).pipe(
      Effect.as(count + 1),
      Effect.catchIf((error) => error.reason === "Full", () => Effect.succeed(count))
    )
  })
