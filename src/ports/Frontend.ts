/**
 * The port to the clients: where requests come from and where replies go to.
 *
 * @since 0.1.0
 */
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
 * The clients' connections to a frontend.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connections {
  /** How many there are. */
  readonly open: number
  /** How many were refused, or have ended, before they could ask anything. */
  readonly rejected: number
  /** How often all were cut at once, because they took too much memory. */
  readonly resets: number
}

/**
 * Receives a batch of requests. Returns replies that are ready, or a promise that is fulfilled when the next batch is wanted.
 *
 * @since 0.1.0
 * @category models
 */
export type OnBatch = (requests: ReadonlyArray<Frames.Frames>) => ReadonlyArray<Frames.Frames> | Promise<void>

/**
 * Carries requests from clients and replies to them as they are. A request begins with a frame that names its client to
 * this frontend; a reply must begin with the same. A reply to a client that has gone, or that does not read, is dropped;
 * 4,000 of them may wait for a client that reads late.
 *
 * @since 0.1.0
 * @category tags
 */
export class Frontend extends Context.Tag("effect-binary-star/Frontend")<Frontend, {
  /**
   * Runs the stream of requests: passes them to `onBatch` in batches, in order for each client. Replies that `onBatch` returns
   * are sent at once, in order. A promise that it returns instead delays the next batch until it is fulfilled; meanwhile further
   * requests stay with the clients, who are slowed down by it. `demand` is how many requests are wanted at the moment; a frontend
   * that can passes no more. Never ends by itself. To be run once.
   */
  readonly run: (onBatch: OnBatch, demand: () => number) => Effect.Effect<never, SocketError>
  /** Sends replies, in order. */
  readonly reply: (replies: ReadonlyArray<Frames.Frames>) => Effect.Effect<void, SocketError>
  /** What has become of the clients' connections. */
  readonly connections: Effect.Effect<Connections>
}>() {}

/**
 * No clients at all: for a service that nobody asks anything, with `vote: "self"`.
 *
 * @since 0.1.0
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
 * @since 0.1.0
 * @category models
 */
export interface Memory {
  /** The server's end. Built again, it is the same server restarted: requests that it had not read are lost. */
  readonly layer: Layer.Layer<Frontend>
  /** A client's end. Requests that are sent while there is no server wait for it. */
  readonly connect: Effect.Effect<Connection, never, Scope.Scope>
}

/** Requests that a server has not read yet, at the most; further ones stay with the clients. */
const batchSize = 256

/** Messages kept for a side that does not read; later ones are dropped, as ZeroMQ does at its high-water mark. */
const capacity = 4096

/**
 * Makes a frontend in memory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.gen(function*() {
  interface Client {
    readonly identity: Uint8Array
    readonly inbox: Mailbox.Mailbox<Frames.Frames>
    unsent: Array<Frames.Frames>
  }
  const clients = new Map<string, Client>()
  let server: Mailbox.Mailbox<Frames.Frames> | undefined
  const isThere = yield* SubscriptionRef.make(false)
  let connections = 0

  const deliver = (client: Client) => {
    while (
      server !== undefined && client.unsent.length > 0 && server.unsafeOffer([client.identity, ...client.unsent[0]!])
    ) {
      client.unsent.shift()
    }
  }

  return {
    layer: Layer.scoped(
      Frontend,
      Effect.gen(function*() {
        const inbox = yield* Mailbox.make<Frames.Frames>({ capacity: batchSize, strategy: "dropping" })
        server = inbox
        yield* Effect.addFinalizer(() => {
          server = undefined
          return Effect.zipRight(SubscriptionRef.set(isThere, false), inbox.shutdown)
        })
        clients.forEach(deliver)
        yield* SubscriptionRef.set(isThere, true)
        const reply = (replies: ReadonlyArray<Frames.Frames>) =>
          Effect.sync(() => {
            for (const [client, ...reply] of replies) {
              clients.get(String(client))?.inbox.unsafeOffer(reply)
            }
          })
        return Frontend.of({
          run: (onBatch) =>
            Batches.serve(inbox, (requests) => {
              clients.forEach(deliver)
              return onBatch(requests)
            }, reply),
          reply,
          connections: Effect.sync(() => ({ open: clients.size, rejected: 0, resets: 0 }))
        })
      })
    ),
    connect: Effect.gen(function*() {
      const identity = Uint8Array.from(new Uint8Array(new Uint32Array([++connections]).buffer))
      const inbox = yield* Mailbox.make<Frames.Frames>({ capacity, strategy: "dropping" })
      const client: Client = { identity, inbox, unsent: [] }
      clients.set(String(identity), client)
      yield* Effect.addFinalizer(() => {
        clients.delete(String(identity))
        return inbox.shutdown
      })
      return {
        send: (message) =>
          Effect.sync(() => {
            if (client.unsent.length < capacity) {
              client.unsent.push(message)
              deliver(client)
            }
          }),
        run: (take) => Batches.run(inbox, take),
        events: isThere.changes.pipe(
          Stream.dropWhile((isThere) => !isThere),
          Stream.map((isThere) => isThere ? "connected" : "lost")
        )
      }
    })
  }
})
