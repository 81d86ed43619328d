import * as Effect from "effect/Effect"
import type * as zmq from "zeromq"

/** For how long, in milliseconds, failures to accept are read without a pause, and how long the pause is. */
const readMillis = 1
const pauseMillis = 5

/**
 * Reads the events of a socket no faster than the event loop can bear. While there is no descriptor for a connection that waits
 * to be accepted, libzmq tries again without a pause and reports each failure: unpaced, nothing else runs in this process for
 * seconds. libzmq waits while its reports are not read, so that the pauses hold it back, too.
 *
 * Called before the first listener is added.
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
