import * as Effect from "effect/Effect"
import type * as zmq from "zeromq"

/** How long, in milliseconds, failures to accept are read without a pause, and how long the pause is. */
const readMillis = 1
const pauseMillis = 5

/**
 * Slows down the reading of a socket's events. Without a descriptor for the next connection, libzmq tries again without a pause and
 * reports each failure, so that nothing else runs in this process for seconds. libzmq waits until its reports are read, so that the
 * pauses slow it down, too.
 *
 * To be called before the first listener is added.
 */
export const pace = (observer: zmq.Observer): void => {
  const receive = observer.receive.bind(observer)
  let failingSince: number | undefined
  const receivePaced = async () => {
    const event = await receive()
    if (event.type === "accept:error") {
      failingSince ??= performance.now()
      if (performance.now() - failingSince > readMillis) {
        await Effect.runPromise(Effect.sleep(pauseMillis))
        failingSince = undefined
      }
    }
    return event
  }
  Object.defineProperty(observer, "receive", { configurable: true, value: receivePaced })
}
