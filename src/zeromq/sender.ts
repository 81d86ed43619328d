/** Sends messages. Sends have a timeout of 0: they never wait. */
import * as Effect from "effect/Effect"
import type * as zmq from "zeromq"
import { SocketError } from "../ports/SocketError.ts"
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

/** Messages that are sent before the next look for room. Each that fails costs as much as 8 looks, or 4 sends. */
const burstSize = 64

/** Sends messages until some fail, and returns the indexes of all that were not sent. */
const sendBursts = async (
  { failed, socket }: Handle<Sending>,
  messages: ReadonlyArray<Frames.Frames>
): Promise<ReadonlyArray<number>> => {
  const unsent: Array<number> = []
  let next = 0
  let settled = 0
  let failure: SocketError | undefined
  const onSent = () => {
    settled++
  }
  const onFailed = (cause: unknown) => {
    const error = failed("send", cause)
    failure = error.reason === "Full" ? failure : error
    unsent.push(settled++)
  }
  // It may be closed between two bursts: what is left is for the next one.
  while (next < messages.length && unsent.length === 0 && !socket.closed) {
    // `writable` may swallow the signal that a pending receive waits for. After a send, even one that fails, the binding looks for it.
    const end = Math.min(messages.length, next + (socket.writable ? burstSize : 1))
    let last = Promise.resolve()
    while (next < end) {
      last = socket.send(messages[next++] as Array<Uint8Array>).then(onSent, onFailed)
    }
    // Sends settle in order.
    await last
  }
  if (failure !== undefined) {
    throw failure
  }
  while (next < messages.length) {
    unsent.push(next++)
  }
  return unsent
}

/** A look for room before each message would take as long as the message. */
export const sendSome = (handle: Handle<Sending>): Dealer["sendSome"] => (messages) =>
  sendBursts(handle, messages).catch((cause) => {
    throw cause instanceof SocketError ? cause : handle.failed("send", cause)
  })
