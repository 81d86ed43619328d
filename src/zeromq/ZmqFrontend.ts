/**
 * The frontend of a server over a ROUTER.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SocketError } from "../BinaryStarError.ts"
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
 * Serves clients at `frontend`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Frontend, SocketError> =>
  Layer.scoped(
    Frontend,
    Effect.gen(function*() {
      const router = yield* ZmqSocket.makeRouter({ lingerMillis })
      yield* tellPort(options.frontend, yield* router.bind(options.frontend))
      return Frontend.of({
        run: router.run,
        reply: router.sendAll
      })
    })
  )
