import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { BinaryStar, Zmq } from "effect-binary-star"

const options = { role: "primary", policy: "hardened" } as const

const Pair = BinaryStar.layer(options, ({ body }) => body).pipe(Layer.provide(Zmq.layer(options)))

const program = Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join)

program.pipe(Effect.provide(Pair), Effect.provide(BinaryStar.layerScheduler), NodeRuntime.runMain)
