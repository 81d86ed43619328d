/** What both sides of CURVE share: bound sockets (`curveServer.ts`) and connecting ones (`curveClient.ts`). */
import * as Effect from "effect/Effect"
import * as zmq from "zeromq"
import type { Accepted, Keys } from "../security/CurveKey.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"

export const invalidKeys = (message: string) => new InvalidConfig({ issues: [{ field: "keys", message }] })

/** Fails if this libzmq has no CURVE. */
export const requireCurve: Effect.Effect<void, InvalidConfig> = Effect.suspend(() =>
  zmq.capability.curve === true
    ? Effect.void
    : invalidKeys(
      "this build of libzmq has no CURVE; use the prebuilt one of the package zeromq, or one with libsodium"
    )
)

/** The keys, or all that is wrong with them: at start-up every issue is fatal. */
export const validKeys = (accepted: Accepted): Effect.Effect<Keys, InvalidConfig> =>
  Effect.flatMap(
    accepted,
    (keys) => keys.issues.length === 0 ? Effect.succeed(keys) : new InvalidConfig({ issues: keys.issues })
  )

/** Events of one kind are logged once, until there were none for this long. */
export const quietMillis = 10_000
