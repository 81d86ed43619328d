/**
 * A server whose handler is an Effect: `effectServer.mjs member|loop fn|gen FRONTEND STATE PEER`.
 *
 * `member` is a member of a pair. `loop` is the least that runs a fiber for each request: a loop that reads batches, with nothing of this
 * project.
 */
import { Effect, FiberRefs, Layer, Logger, Runtime } from "effect"
import { BinaryStar, Zmq } from "effect-binary-star"
import { Router } from "zeromq"

const [, , server, writing, frontend, state, peer] = process.argv

const handler = {
  fn: Effect.fnUntraced(function*({ body }) {
    return yield* Effect.succeed(body)
  }),
  gen: ({ body }) =>
    Effect.gen(function*() {
      return yield* Effect.succeed(body)
    })
}[writing]

const member = Effect.suspend(() => {
  const options = { role: "primary", policy: "classic", frontend, stateEndpoint: state, peerEndpoint: peer }
  return Effect.flatMap(BinaryStar.BinaryStar, (member) => member.join).pipe(
    Effect.provide(BinaryStar.layer(options, handler).pipe(Layer.provide(Zmq.layer(options))))
  )
})

const readBatch = async (router) => {
  router.receiveTimeout = -1
  const batch = [await router.receive()]
  router.receiveTimeout = 0
  try {
    while (batch.length < 256) {
      batch.push(await router.receive())
    }
  } catch {
    // No more messages.
  }
  return batch
}

const loop = Effect.gen(function*() {
  const router = new Router({ sendTimeout: 0 })
  yield* Effect.promise(() => router.bind(frontend))
  const fiberRefs = yield* Effect.getFiberRefs
  const fork = Runtime.runFork(Runtime.make({ ...(yield* Effect.runtime()), fiberRefs: FiberRefs.empty() }))
  const options = { updateRefs: () => fiberRefs }
  yield* Effect.promise(async () => {
    while (true) {
      for (const [routingId, ...body] of await readBatch(router)) {
        router.send([routingId, ...fork(handler({ body }), options).unsafePoll().value])
      }
      // As often as a member: the binding must not starve the event loop.
      await new Promise(setImmediate)
    }
  })
})

Effect.runFork({ member, loop }[server].pipe(
  Effect.provide(BinaryStar.layerScheduler),
  Effect.provide(Logger.remove(Logger.defaultLogger))
))
console.log("ready")
