import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as AsyncLoop from "../internal/AsyncLoop.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import type { Handler } from "../member/Handler.ts"
import { DeferredReply, RequestFailure } from "../member/Handler.ts"
import type { Backend } from "../ports/Backend.ts"
import { SocketError } from "../ports/SocketError.ts"
import * as Term from "../protocol/Term.ts"
import * as Frames from "../wire/Frames.ts"
import type { Request } from "./requestTable.ts"
import { makePrefix, RequestTable } from "./requestTable.ts"

type Waiter = Parameters<DeferredReply["start"]>[0]

/** Longest time without a reply until the backend is tried again. */
const retryDelay = Duration.millis(10)

/**
 * Share of a request's time that it may be queued. In what is left no worker would complete it, and `Busy` reports, unlike
 * `TimedOut`, that it was not executed.
 */
const queueShare = 0.9

/** Length, in milliseconds, of the silence that ends a burst of errors. Each burst is logged once. */
const burstMillis = 10_000

const busy = Exit.fail(new RequestFailure({ reason: "Busy", body: "no worker was free" }))
const dropped = Exit.fail(new RequestFailure({ reason: "Dropped" }))

export interface Options {
  readonly backend: Backend["Type"]
  readonly timeoutMillis: number
  readonly whenBusy: "answer" | "drop"
  /** Whether requests to workers begin with a frame that carries the term. */
  readonly termFrame: boolean
  readonly now: () => number
  readonly logWarning: (message: string) => void
}

const frameOf = (term: Option.Option<Term.Term>): Uint8Array =>
  Option.match(term, {
    onNone: () => Frames.delimiter,
    onSome: (term) => Frames.make(String(Term.toToken(term)))[0]!
  })

/** Moves requests and replies between a member and the workers. */
export class ProxySession {
  readonly table: RequestTable<Waiter>
  readonly #options: Options
  readonly #queueMillis: number
  readonly #mayHaveRoom = Effect.unsafeMakeLatch(false)
  #onQueued: () => void = constVoid
  readonly #isFirstMalformed = LogOnce.make(burstMillis)
  readonly #isFirstBusy = LogOnce.make(burstMillis)

  constructor(options: Options) {
    this.#options = options
    this.#queueMillis = queueShare * options.timeoutMillis
    this.table = new RequestTable(makePrefix(), this.#queueMillis)
  }

  readonly handler: Handler = ({ body, term }) => {
    const forWorker = this.#options.termFrame ? [frameOf(term), ...body] : body
    return new DeferredReply((waiter) => this.#enqueue(forWorker, waiter))
  }

  /** Sends queued requests, in order, whenever workers have room. */
  readonly dispatch: Effect.Effect<never, SocketError> = AsyncLoop.run(
    (isRunning) => this.#sendWhileRoom(isRunning),
    (cause) => cause instanceof SocketError ? Effect.fail(cause) : Effect.die(cause)
  ).pipe(
    Effect.zipRight(Effect.suspend(() => Effect.timeoutOption(this.#mayHaveRoom.await, retryDelay))),
    Effect.forever
  )

  /** Sends queued requests until workers have no room. */
  async #sendWhileRoom(isRunning: () => boolean): Promise<void> {
    let hasRoom = true
    while (hasRoom) {
      if (this.table.queuedCount === 0) {
        await new Promise<void>((resolve) => {
          this.#onQueued = resolve
        })
      }
      if (!isRunning()) {
        return
      }
      this.table.expire(this.#options.now()).forEach((request) => this.#reject(request))
      const batch = this.table.nextBatch()
      const unsent = batch.length > 0 ? await this.#options.backend.send(batch.map(({ message }) => message)) : []
      this.table.onSent(batch, unsent)
      hasRoom = unsent.length === 0
    }
    this.#mayHaveRoom.unsafeClose()
  }

  /** Takes messages of workers. */
  readonly receive = async (messages: ReadonlyArray<Frames.Frames>): Promise<void> => {
    for (const message of messages) {
      const received = this.table.onMessage(message)
      if (received._tag === "Reply") {
        received.waiter(Exit.succeed(received.body))
      } else if (received._tag === "Malformed" && this.#isFirstMalformed(this.#options.now())) {
        this.#options.logWarning(
          "ignored a worker's message that is no reply: a reply is the request's envelope, an empty frame and a body"
        )
      }
    }
    this.#mayHaveRoom.unsafeOpen()
  }

  /** A function of its own, so that the callback keeps nothing but the request. */
  #enqueue(body: Frames.Frames, waiter: Waiter): () => void {
    const request = this.table.add(body, waiter, this.#options.now())
    this.#onQueued()
    return () => this.#cancel(request)
  }

  #cancel(request: Request<Waiter>): void {
    switch (this.table.cancel(request, this.#options.now())) {
      case "MaybeSent":
        return
      case "NotSent":
        return request.waiter(busy)
      case "Expired":
        return this.#reject(request)
    }
  }

  #reject(request: Request<Waiter>): void {
    if (this.#isFirstBusy(this.#options.now())) {
      this.#options.logWarning(
        `rejected a request: no worker was free within ${this.#queueMillis} ms (connect more workers, or raise --timeout)`
      )
    }
    request.waiter(this.#options.whenBusy === "drop" ? dropped : busy)
  }
}
