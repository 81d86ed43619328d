/** Notifies systemd of the state of a server, if systemd has started it. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as process from "node:process"
import type { BinaryStar } from "../../member/BinaryStar.ts"

const variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] as const

/** The variables of systemd. They are removed: child processes must not notify systemd. */
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
