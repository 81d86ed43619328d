/**
 * The frontend of a server over a ROUTER.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type { SocketError } from "../BinaryStarError.ts"
import * as Envelope from "../Envelope.ts"
import { Frontend } from "../Frontend.ts"
import { tellPort } from "./ports.ts"
import * as ZmqSocket from "./ZmqSocket.ts"

/**
 * The end of a server that its clients see.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where clients connect. */
  readonly frontend: string
}

/** How long, in milliseconds, the last replies may take after the server has ended. */
const lingerMillis = 200

/**
 * Replies that may wait for one client. libzmq's thread may be late by more than the thousand that it grants by default, when
 * all that a client waits for is answered, or refused, at once; and what is dropped here nobody hears of.
 */
const sendQueue = 4096

/** How long, in milliseconds, nobody has to have asked until a server that has ended is gone, and how long it waits for that. */
const quietMillis = 20
const patienceMillis = 500

/**
 * What comes to a server that has ended will not be executed by anybody. A client that understands is told, so that it may
 * ask the other one, also where its request must not be sent twice.
 */
const sendAway = (router: ZmqSocket.Router): Effect.Effect<void> =>
  router.receive.pipe(
    Effect.flatMap((batch) =>
      router.sendAll(batch.filter(Envelope.isOurs).map((request) => Envelope.status(request, "NotActive")))
    ),
    Effect.timeout(quietMillis),
    Effect.forever,
    Effect.timeout(patienceMillis),
    Effect.ignore,
    // In a fiber of its own: where this is called, interruption is off, and a timeout needs it.
    Effect.interruptible,
    Effect.forkDaemon,
    Effect.flatMap(Fiber.join)
  )

/**
 * Serves clients at `frontend`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Frontend, SocketError> =>
  Layer.scoped(
    Frontend,
    Effect.gen(function*() {
      const router = yield* ZmqSocket.makeRouter({ lingerMillis, sendQueue })
      yield* tellPort(options.frontend, yield* router.bind(options.frontend))
      yield* Effect.addFinalizer(() => sendAway(router))
      return Frontend.of({
        run: router.run,
        reply: router.sendAll
      })
    })
  )
