/**
 * A client as a process: `clientPeer.ts project|plain|map|fibers ENDPOINT`. It performs a job for each message.
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

export type ClientName = "project" | "plain" | "map" | "fibers"

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

const perform = (request: (body: Buffer) => Effect.Effect<unknown, unknown>) => (job: Job): Promise<Measured> => {
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

const project = Effect.map(BinaryStarClient.make({ servers: [endpoint] }), ({ request }) => perform(request))

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

/** A DEALER, and what waits for a reply, by the number of its request. */
const openPending = () => {
  const dealer = new Dealer({ linger: 0, sendTimeout: 0 })
  dealer.connect(endpoint)
  const pending = new Map<string, (reply: ReadonlyArray<Buffer>) => void>()
  let last = 0
  const receive = async () => {
    while (true) {
      const [id, , ...reply] = await dealer.receive()
      pending.get(id!.toString())!(reply)
      pending.delete(id!.toString())
    }
  }
  receive().catch((cause) => process.exit(cause instanceof Error ? 1 : 2))
  return (body: Buffer, onReply: (reply: ReadonlyArray<Buffer>) => void): Promise<void> => {
    const id = String(++last)
    pending.set(id, onReply)
    return dealer.send([id, "", body])
  }
}

/** The least that callers of a DEALER need: a promise for each request, found by its number. */
const map = Effect.sync(() => {
  const send = openPending()
  const request = (body: Buffer) =>
    new Promise<ReadonlyArray<Buffer>>((resolve, reject) => send(body, resolve).catch(reject))
  return async (job: Job): Promise<Measured> => {
    const meter = makeMeter(job)
    const loop = async () => {
      let sentAt: number
      do {
        sentAt = performance.now()
        await request(body)
      } while (meter.count(sentAt, performance.now()))
    }
    await Promise.all(Array.from({ length: job.window }, loop))
    return meter.result()
  }
})

/** The same for callers that are fibers: the least of a client for Effect. */
const fibers = Effect.sync(() => {
  const send = openPending()
  return perform((body) =>
    Effect.async<ReadonlyArray<Buffer>>((resume) => {
      send(body, (reply) => resume(Effect.succeed(reply))).catch((cause) => resume(Effect.die(cause)))
    })
  )
})

const client = Effect.gen(function*() {
  const run = yield* { plain, project, map, fibers }[name as ClientName]
  yield* Effect.async<never>(() => {
    process.on("message", async (job: Job) => process.send!(await run(job)))
    process.send!("ready")
  })
})

NodeRuntime.runMain(client.pipe(Effect.scoped, Effect.provide(ZmqClientLink.layer), Effect.orDie))
