/**
 * Warms up the code of a takeover while a server stands by.
 *
 * A server that has never been active runs the code of a takeover and of its first requests while clients wait: V8 then compiles it
 * lazily and interprets it. A rehearsal runs the same code beforehand, on pairs in memory within this process. No message leaves the
 * process, no handler of the application is called, and nothing is logged.
 */
import type * as Layer from "effect/Layer"
import type * as BinaryStar from "./BinaryStar.ts"
import * as Rehearsal from "./rehearsal.ts"

/**
 * Rehearses takeovers while this server stands by, once in ten minutes. A server that has never been active
 * otherwise compiles the code of a takeover, and of its first requests, while clients wait. A rehearsal takes about 0.2 seconds of CPU,
 * in slices of 2 milliseconds (with `BinaryStar.layerScheduler`), and 10 MiB of memory.
 *
 * `bstar` uses this layer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { BinaryStar, Handler, Zmq } from "effect-binary-star"
 * import * as WarmUp from "effect-binary-star/WarmUp"
 *
 * const options = { role: "backup", policy: "hardened" } as const
 *
 * export const Pair = WarmUp.layer.pipe(
 *   Layer.provideMerge(BinaryStar.layer(options, Handler.echo)),
 *   Layer.provide(Zmq.layer(options))
 * )
 * ```
 *
 * @category layers
 */
export const layer: Layer.Layer<never, never, BinaryStar.BinaryStar> = Rehearsal.whileStandingBy(Rehearsal.rehearse)
