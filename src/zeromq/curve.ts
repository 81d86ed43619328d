/** What the two sides of CURVE share: those who are bound (`curveServer.ts`) and those who connect (`curveClient.ts`). */
import * as Effect from "effect/Effect"
import * as zmq from "zeromq"
import { InvalidConfig } from "../BinaryStarError.ts"
import * as Burst from "../internal/burst.ts"
import type { Accepted, Keys } from "../security/CurveKey.ts"

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

/** One event follows another of the same burst within so many milliseconds. */
const quietMillis = 10_000

/** How many bursts are told apart at the most. */
const capacity = 100

/** Tells the first of each burst. */
export const makeTold = (now: () => number): (what: string) => boolean => {
  const bursts = new Map<string, ReturnType<typeof Burst.make>>()
  return (what) => {
    const isFirst = bursts.get(what) ?? Burst.make(quietMillis)
    // The one that is the longest without a sign comes first.
    bursts.delete(what)
    bursts.set(what, isFirst)
    if (bursts.size > capacity) {
      bursts.delete(bursts.keys().next().value!)
    }
    return isFirst(now())
  }
}
