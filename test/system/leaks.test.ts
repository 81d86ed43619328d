import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import { isDeepStrictEqual } from "node:util"
import * as Hooks from "../../src/command/Hooks.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"
import { freeEndpoints } from "../support/processes.ts"
import { quiet } from "../support/sockets.ts"
import { eventTimeout } from "../support/times.ts"

const listeners = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)

const terms = 1000

/** The expected counts while the last term runs. */
const countsOf = (built: number) => ({ active: built, released: built - 1, passive: built - 1, runs: built - 1 })

describe("resources of a member", () => {
  it.scopedLive(
    `leaks: a member that becomes active and passive ${terms} times leaks no fiber, socket, timer or listener`,
    () =>
      Effect.gen(function*() {
        // Not an ephemeral port: the member could connect to itself while the peer does not listen.
        const endpoint = (yield* freeEndpoints).primary.state
        const options = {
          role: "backup",
          policy: "hardened",
          stateEndpoint: "tcp://127.0.0.1:*",
          peerEndpoint: endpoint,
          heartbeat: "20 millis",
          vote: "self"
        } as const
        let [built, released, active, passive, runs] = [0, 0, 0, 0, 0]
        const resource = Layer.scopedDiscard(Effect.acquireRelease(
          Effect.sync(() => built++),
          () => Effect.sync(() => released++)
        ))
        const services = Layer.merge(
          BinaryStar.layerWhileActive(resource),
          Hooks.layer({
            onActive: () => Effect.sync(() => active++),
            onPassive: () => Effect.sync(() => passive++)
          })
        )
        const supervisor = yield* Supervisor.track
        const server = yield* Layer.build(Layer.provideMerge(
          services,
          Layer.provide(BinaryStar.layer(options, Handler.echo), Zmq.layerWithoutClients(options))
        )).pipe(Effect.supervised(supervisor))
        const member = Context.get(server, BinaryStar.BinaryStar)
        yield* member.whileActive(Effect.ensuring(Effect.never, Effect.sync(() => runs++))).pipe(
          Effect.supervised(supervisor),
          Effect.forkScoped
        )

        const until = (state: string) =>
          Stream.runHead(Stream.filter(member.changes, (now) => now === state)).pipe(
            Effect.timeoutFail({ duration: eventTimeout, onTimeout: () => `never ${state}` })
          )
        /** A peer connects, publishes ACTIVE, and disconnects. */
        const term = Effect.gen(function*() {
          yield* Effect.scoped(Effect.gen(function*() {
            const publisher = yield* ZmqSocket.makePublisher()
            yield* publisher.bind(endpoint)
            const heartbeats = yield* Effect.forkScoped(Effect.forever(
              Effect.zipRight(publisher.send(Frames.make("3")), Effect.sleep("2 millis"))
            ))
            yield* until("PASSIVE")
            return heartbeats
          }))
          yield* until("ACTIVE")
        })
        const count = Effect.gen(function*() {
          // The resources of a term are released a moment after its end.
          yield* Effect.sleep("300 millis")
          return {
            fibers: (yield* supervisor.value).length,
            listeners: listeners(),
            socketsAndTimers: process.getActiveResourcesInfo().length
          }
        })

        yield* Effect.repeatN(term, 9)
        const before = yield* count
        yield* Effect.repeatN(term, terms - 10)
        const after = yield* count
        // A few may be in use now. One leak in twenty terms would exceed these limits.
        assert.closeTo(after.fibers, before.fibers, 20)
        assert.closeTo(after.socketsAndTimers, before.socketsAndTimers, 5)
        assert.strictEqual(after.listeners, before.listeners)
        // A stall also ends a term, after which the next one is about to begin.
        const counts = Effect.sync(() => ({ active, released, passive: passive - 1, runs }))
        const whole = yield* Effect.repeat(Effect.zipLeft(counts, Effect.sleep("50 millis")), {
          until: (now) => isDeepStrictEqual(now, countsOf(built)),
          times: 200
        })
        // A peer that connects at once may end a term before its resource is built.
        assert.isAtLeast(built, 0.95 * terms)
        assert.deepStrictEqual(whole, countsOf(built))
      }).pipe(Effect.provide(quiet))
  )
})
