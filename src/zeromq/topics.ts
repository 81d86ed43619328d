/** The topics of the subscribers of a state publisher. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type { StatePublisher, Subscription } from "./models.ts"
import { eventCapacity } from "./socketOptions.ts"

/** Topics that are distinguished. Subscribers choose them, and each costs libzmq up to 20 KB. */
const maxTopics = 1000

/**
 * Pause after a subscription, in milliseconds. libzmq handles subscriptions in the thread that sends: without a pause, one
 * connection that floods them stops the event loop for seconds and takes gigabytes.
 */
const pauseMillis = { usual: 10, flooded: 1000 }

/** Topics with a subscriber, by subscription messages: a byte, 1 to subscribe and 0 to unsubscribe, and the topic. */
export class Topics {
  readonly #topics = new Set<string>()
  readonly #known: ReadonlySet<string>

  /** `known` topics are distinguished however many others there are. */
  constructor(known: ReadonlyArray<string>) {
    this.#known = new Set(known)
  }

  get count(): number {
    return this.#topics.size
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** How long to wait until the next subscription is read. */
  get pauseMillis(): number {
    return this.count < maxTopics ? pauseMillis.usual : pauseMillis.flooded
  }

  /** Takes a subscription message. Other messages change nothing. */
  take(frame: Uint8Array): Subscription | undefined {
    const topic = Buffer.from(frame.subarray(1)).toString("latin1")
    switch (frame[0]) {
      case 0:
        this.#topics.delete(topic)
        return { topic, change: "left" }
      case 1:
        if (this.count < maxTopics || this.#known.has(topic)) {
          this.#topics.add(topic)
        }
        return { topic, change: "joined" }
      default:
        return undefined
    }
  }
}

/** Reads subscription messages for the lifetime of the scope, until `receive` fails. */
export const read = (
  receive: Effect.Effect<ReadonlyArray<ReadonlyArray<Uint8Array>>, unknown>,
  known: ReadonlyArray<string>
): Effect.Effect<Pick<StatePublisher, "subscribers" | "isSubscribed" | "subscriptions">, never, Scope.Scope> =>
  Effect.gen(function*() {
    const changes = yield* Effect.acquireRelease(
      Mailbox.make<Subscription>({ capacity: eventCapacity, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    )
    const topics = new Topics(["", ...known])
    yield* receive.pipe(
      Effect.flatMap(([message]) => {
        const change = topics.take(message![0]!)
        if (change !== undefined) {
          changes.unsafeOffer(change)
        }
        return Effect.sleep(topics.pauseMillis)
      }),
      Effect.forever,
      Effect.ignore,
      Effect.interruptible,
      Effect.forkScoped
    )
    return {
      subscriptions: Mailbox.toStream(changes),
      subscribers: Effect.sync(() => topics.count),
      isSubscribed: (topic) => topics.has(topic)
    }
  })
