/** What the two sides of CURVE share: those who are bound (`curveServer.ts`) and those who connect (`curveClient.ts`). */
import * as Effect from "effect/Effect"
import * as zmq from "zeromq"
import type { Accepted, Keys } from "../security/CurveKey.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"

export const refuse = (message: string) => new InvalidConfig({ issues: [{ field: "keys", message }] })

/** Whether this libzmq can do it at all. */
export const capable: Effect.Effect<void, InvalidConfig> = Effect.suspend(() =>
  zmq.capability.curve === true
    ? Effect.void
    : refuse("this build of libzmq has no CURVE; use the prebuilt one of the package zeromq, or one with libsodium")
)

/** libzmq does not ask for keys within a process. */
export const isInproc = (endpoint: string): boolean => endpoint.startsWith("inproc:")

export const noKeysThere = (endpoint: string): string => `${endpoint}: endpoints of inproc know no keys; use tcp or ipc`

/** What has to be right before anything starts. */
export const whole = (accepted: Accepted): Effect.Effect<Keys, InvalidConfig> =>
  Effect.flatMap(
    accepted,
    (keys) => keys.issues.length === 0 ? Effect.succeed(keys) : new InvalidConfig({ issues: keys.issues })
  )

/** Events of one kind are told once, until there have been none for so many milliseconds. */
export const quietMillis = 10_000
