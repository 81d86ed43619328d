import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as zmq from "zeromq"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Zmq from "../../src/zeromq/Zmq.ts"

/** Holds the event loop; the sockets go on in their own thread. */
const hold = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

describe("heartbeats before votes", () => {
  for (const first of ["vote", "heartbeat"]) {
    it.live(`H6 a stalled backup that finds a vote and a heartbeat of its peer stays passive (${first} first)`, () =>
      Effect.gen(function*() {
        const publisher = new zmq.Publisher({ linger: 0, sendTimeout: 0 })
        const client = new zmq.Dealer({ linger: 0, sendTimeout: 0 })
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            publisher.close()
            client.close()
          })
        )
        yield* Effect.promise(() => publisher.bind("tcp://127.0.0.1:*"))
        const name = `inproc://evidence-${first}`
        const options = {
          role: "backup",
          policy: "classic",
          heartbeat: "100 millis",
          frontend: `${name}-frontend`,
          stateEndpoint: `${name}-state`,
          peerEndpoint: publisher.lastEndpoint!
        } as const
        const member = yield* BinaryStar.make(options, Handler.echo).pipe(
          Effect.provide(yield* Layer.build(Zmq.layer(options)))
        )
        client.connect(options.frontend)
        const heartbeat = () => publisher.send("3")
        yield* Effect.promise(heartbeat).pipe(
          Effect.delay("20 millis"),
          Effect.forever,
          Effect.fork,
          (publishing) =>
            Effect.flatMap(
              publishing,
              (fiber) =>
                Stream.runDrain(Stream.takeUntil(member.changes, (state) => state === "PASSIVE")).pipe(
                  Effect.zipRight(fiber.interruptAsFork(fiber.id()))
                )
            )
        )
        for (let round = 0; round < 10; round++) {
          const { rejected } = yield* member.counters
          hold(250)
          const vote = () => client.send(["", "vote"])
          yield* Effect.promise(async () => {
            await Promise.all(first === "vote" ? [vote(), heartbeat()] : [heartbeat(), vote()])
            hold(50)
          })
          while ((yield* member.counters).rejected === rejected) {
            yield* Effect.sleep("1 millis")
            assert.strictEqual(yield* member.state, "PASSIVE")
          }
        }
      }).pipe(Effect.scoped))
  }
})
