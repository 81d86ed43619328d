/**
 * Tells systemd how a server is, where that has started it and wants to know.
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as process from "node:process"
import type { BinaryStar } from "../../member/BinaryStar.ts"

const variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const

/** What systemd says to this process. It is taken away: what this one starts must not speak for it. */
const environment = Effect.gen(function*() {
  const [socket, usec, pid] = yield* Effect.orDie(
    Config.all(variables.map((name) => Config.withDefault(Config.string(name), "")))
  )
  for (const name of variables) {
    delete process.env[name]
  }
  const isWatched = Number(usec) > 0 && (pid === "" || Number(pid) === process.pid)
  return { socket, watchdog: isWatched ? Duration.millis(Number(usec) / 1000) : undefined }
})

/** The layer that notifies systemd. Its code is loaded only if systemd has started this process. */
export const load: Effect.Effect<Layer.Layer<never, never, BinaryStar>> = Effect.flatMap(
  environment,
  ({ socket, watchdog }) =>
    socket === undefined || socket === ""
      ? Effect.succeed(Layer.empty)
      : Effect.map(
        Effect.promise(() => import("../../status/Systemd.ts")),
        (systemd) => systemd.layer({ socket, watchdog })
      )
)
