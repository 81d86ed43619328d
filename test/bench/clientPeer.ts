/**
 * A client as a process: `clientPeer.ts project|plain ENDPOINT`. It performs a job for each message.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { BinaryStarClient, ZmqClientLink } from "effect-binary-star"
import { Buffer } from "node:buffer"
import { Dealer } from "zeromq"
import { makeRecorder, percentile, total } from "./histogram.ts"

export interface Job {
  /** The number of requests in flight, and the duration. */
  readonly window: number
  readonly seconds: number
}

export interface Result {
  readonly perSecond: number
  /** CPU time of this process for each request. */
  readonly cpuMicros: number
  /** Latencies in microseconds. */
  readonly p50: number
  readonly p99: number
}

/** The milliseconds before the measurement begins. */
const warmUpMillis = 100

const body = Buffer.alloc(32)

/** Measures replies until the time is over. */
const makeMeter = ({ seconds }: Job) => {
  const latencies = makeRecorder()
  const start = performance.now() + warmUpMillis
  const end = start + seconds * 1000
  let cpuAtStart = process.cpuUsage()
  let isMeasured = false
  return {
    /** Counts the reply to a request. Returns whether there are more to come. */
    count: (sentAt: number): boolean => {
      const now = performance.now()
      if (isMeasured && now < end) {
        latencies.record((now - sentAt) * 1000)
      } else if (!isMeasured && now >= start) {
        isMeasured = true
        cpuAtStart = process.cpuUsage()
      }
      return now < end
    },
    result: (): Result => {
      const { system, user } = process.cpuUsage(cpuAtStart)
      const histogram = latencies.histogram()
      const count = total(histogram)
      return {
        perSecond: count / seconds,
        cpuMicros: (user + system) / count,
        p50: percentile(histogram, 0.5),
        p99: percentile(histogram, 0.99)
      }
    }
  }
}

const [, , name, endpoint = ""] = process.argv

const project = Effect.map(
  BinaryStarClient.make({ servers: [endpoint] }),
  ({ request }) => (job: Job): Promise<Result> => {
    const { count, result } = makeMeter(job)
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
          goesOn = count(sentAt)
        }
      })
    })
    return Effect.all(Array.from({ length: job.window }, () => loop), { concurrency: "unbounded", discard: true }).pipe(
      Effect.map(result),
      Effect.runPromise
    )
  }
)

const plain = Effect.sync(() => {
  const dealer = new Dealer({ linger: 0 })
  dealer.connect(endpoint)
  return async (job: Job): Promise<Result> => {
    const { count, result } = makeMeter(job)
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
      if (count(sentAt.shift()!)) {
        await send()
      }
    }
    return result()
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
