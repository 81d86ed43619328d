/** A command that runs on one of two machines, and never on both: what `bstar run -p -- ./nightly-import --all` does. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { ActiveCommand, BinaryStar, Frontend, Handler, Lease, Zmq } from "effect-binary-star"

const options = { role: "primary", policy: "hardened", vote: "self" } as const

const Link = Layer.provide(Lease.layer(options), Zmq.layerWithoutClients(options))
const Pair = Layer.provideMerge(BinaryStar.layer(options, Handler.echo), Layer.merge(Frontend.none, Link))

ActiveCommand.run({ command: "./nightly-import", args: ["--all"] }).pipe(Effect.provide(Pair), NodeRuntime.runMain)
