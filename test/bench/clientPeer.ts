/**
 * A client as a process: `clientPeer.ts project|plain ENDPOINT`. It performs a job for each message.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { BinaryStarClient, ZmqClientLink } from "effect-binary-star"
import { Buffer } from "node:buffer"
import { Dealer } from "zeromq"
import type { Measured } from "./meter.ts"
import { Meter } from "./meter.ts"

export interface Job {
  /** The number of requests in flight, and the duration. */
  readonly window: number
  readonly seconds: number
}

const body = Buffer.alloc(32)

const makeMeter = ({ seconds }: Job) =>
  new Meter({
    seconds,
    warmUpSeconds: 0.1,
    requests: Infinity,
    cpu: () => {
      const { system, user } = process.cpuUsage()
      return { all: (system + user) / 1000, loop: NaN }
    }
  })

const [, , name, endpoint = ""] = process.argv

const project = Effect.map(
  BinaryStarClient.make({ servers: [endpoint] }),
  ({ request }) => (job: Job): Promise<Measured> => {
    const meter = makeMeter(job)
    // As in the plain loop, next to nothing is done between a reply and the next request.
    const loop = Effect.suspend(() => {
      let sentAt = 0
      let goesOn = true
      return Effect.whileLoop({
        while: () => goesOn,
        body: () => {
          sentAt = performance.now()
          return request(body)
        },
        step: () => {
          goesOn = meter.count(sentAt, performance.now())
        }
      })
    })
    return Effect.all(Array.from({ length: job.window }, () => loop), { concurrency: "unbounded", discard: true }).pipe(
      Effect.map(() => meter.result()),
      Effect.runPromise
    )
  }
)

const plain = Effect.sync(() => {
  const dealer = new Dealer({ linger: 0 })
  dealer.connect(endpoint)
  return async (job: Job): Promise<Measured> => {
    const meter = makeMeter(job)
    // Replies are in the order of the requests.
    const sentAt: Array<number> = []
    const send = async () => {
      sentAt.push(performance.now())
      await dealer.send(["", body])
    }
    for (let i = 0; i < job.window; i++) {
      await send()
    }
    while (sentAt.length > 0) {
      await dealer.receive()
      if (meter.count(sentAt.shift()!, performance.now())) {
        await send()
      }
    }
    return meter.result()
  }
})

const client = Effect.gen(function*() {
  const run = yield* name === "plain" ? plain : project
  yield* Effect.async<never>(() => {
    process.on("message", async (job: Job) => process.send!(await run(job)))
    process.send!("ready")
  })
})

NodeRuntime.runMain(client.pipe(Effect.scoped, Effect.provide(ZmqClientLink.layer), Effect.orDie))
