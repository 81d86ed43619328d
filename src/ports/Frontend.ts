/** The port to the clients. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Batches from "../internal/Batches.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Connection } from "./ClientLink.ts"
import type { SocketError } from "./SocketError.ts"

/**
 * The connections of clients to a frontend.
 *
 * @category models
 */
export interface Connections {
  /** Number of open connections. */
  readonly open: number
  /** Number of connections that were rejected, or ended, before a request. */
  readonly rejected: number
  /** How often all connections were closed, because of memory or file descriptors. */
  readonly resets: number
}

/**
 * Receives a batch of requests. Returns the replies, or a promise that is fulfilled when the next batch may follow.
 *
 * @category models
 */
export type OnBatch = (requests: ReadonlyArray<Frames.Frames>) => ReadonlyArray<Frames.Frames> | Promise<void>

/**
 * Carries requests of clients and replies to them unchanged. A request begins with a routing frame, and its reply must begin with the
 * same. A reply to a client that has disconnected is dropped. A bounded number of replies is queued for a client that does not read
 * (ZeroMQ: four times `queue`); further ones are dropped.
 *
 * @category tags
 */
export class Frontend extends Context.Tag("effect-binary-star/Frontend")<Frontend, {
  /**
   * Passes requests to `onBatch` in batches, in order for each client. Replies that `onBatch` returns are sent at once, in order. A
   * returned promise delays the next batch; meanwhile back-pressure holds further requests at the clients. `demand` limits the size of
   * the next batch, if the frontend can do so. Never ends by itself. To be run once.
   */
  readonly run: (onBatch: OnBatch, demand: () => number) => Effect.Effect<never, SocketError>
  /** Sends replies, in order. */
  readonly reply: (replies: ReadonlyArray<Frames.Frames>) => Effect.Effect<void, SocketError>
  /** The connections of clients. */
  readonly connections: Effect.Effect<Connections>
}>() {}

/**
 * A frontend without clients: for a service with `vote: "self"`.
 *
 * @category layers
 */
export const none: Layer.Layer<Frontend> = Layer.succeed(Frontend, {
  run: () => Effect.never,
  reply: () => Effect.void,
  connections: Effect.succeed({ open: 0, rejected: 0, resets: 0 })
})

/**
 * A frontend in memory.
 *
 * @category models
 */
export interface Memory {
  /** The server's end. To build it again is to restart the server: requests that it had not read are lost. */
  readonly layer: Layer.Layer<Frontend>
  /** The end of a new client. Requests that are sent while there is no server are queued. */
  readonly connect: Effect.Effect<Connection, never, Scope.Scope>
}

/** Requests queued for a server that does not read. Further ones stay with the clients. */
const batchSize = 256

/** Messages queued for a side that does not read. Further ones are dropped, as by ZeroMQ at its high-water mark. */
const capacity = 4096

interface MemoryClient {
  readonly identity: Uint8Array
  readonly replies: Mailbox.Mailbox<Frames.Frames>
  readonly unsent: Array<Frames.Frames>
}

/** What both ends share. */
interface MemoryState {
  readonly clients: Map<string, MemoryClient>
  readonly isRunning: SubscriptionRef.SubscriptionRef<boolean>
  /** Requests to the server, while it runs. */
  requests: Mailbox.Mailbox<Frames.Frames> | undefined
  connectionCount: number
}

const deliver = ({ requests }: MemoryState, { identity, unsent }: MemoryClient) => {
  while (requests !== undefined && unsent.length > 0 && requests.unsafeOffer([identity, ...unsent[0]!])) {
    unsent.shift()
  }
}

const deliverAll = (state: MemoryState) => state.clients.forEach((client) => deliver(state, client))

const serverEnd = (state: MemoryState): Effect.Effect<Frontend["Type"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const requests = yield* Mailbox.make<Frames.Frames>({ capacity: batchSize, strategy: "dropping" })
    state.requests = requests
    yield* Effect.addFinalizer(() => {
      state.requests = undefined
      return Effect.zipRight(SubscriptionRef.set(state.isRunning, false), requests.shutdown)
    })
    deliverAll(state)
    yield* SubscriptionRef.set(state.isRunning, true)
    const reply: Frontend["Type"]["reply"] = (replies) =>
      Effect.sync(() => {
        for (const [identity, ...reply] of replies) {
          state.clients.get(String(identity))?.replies.unsafeOffer(reply)
        }
      })
    return Frontend.of({
      run: (onBatch) =>
        Batches.serve(requests, (batch) => {
          deliverAll(state)
          return onBatch(batch)
        }, reply),
      reply,
      connections: Effect.sync(() => ({ open: state.clients.size, rejected: 0, resets: 0 }))
    })
  })

const clientEnd = (state: MemoryState): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const identity = new Uint8Array(new Uint32Array([++state.connectionCount]).buffer)
    const replies = yield* Mailbox.make<Frames.Frames>({ capacity, strategy: "dropping" })
    const client: MemoryClient = { identity, replies, unsent: [] }
    state.clients.set(String(identity), client)
    yield* Effect.addFinalizer(() => {
      state.clients.delete(String(identity))
      return replies.shutdown
    })
    const sendNow: Connection["sendNow"] = (message, onUnsent) => {
      if (client.unsent.length < capacity) {
        client.unsent.push(message)
        deliver(state, client)
      } else {
        onUnsent()
      }
    }
    return {
      send: (message) => Effect.sync(() => sendNow(message, () => {})),
      sendNow,
      run: (onBatch) => Batches.run(replies, onBatch),
      events: state.isRunning.changes.pipe(
        Stream.dropWhile((isRunning) => !isRunning),
        Stream.map((isRunning) => isRunning ? "connected" : "lost")
      )
    }
  })

/**
 * Makes a frontend in memory.
 *
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.map(SubscriptionRef.make(false), (isRunning) => {
  const state: MemoryState = { clients: new Map(), isRunning, requests: undefined, connectionCount: 0 }
  return { layer: Layer.scoped(Frontend, serverEnd(state)), connect: clientEnd(state) }
})
