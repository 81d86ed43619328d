/** Rehearses takeovers on pairs in memory, so that V8 has compiled their code before there is one. */
import * as Array from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import { not, type Predicate } from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Frontend from "../ports/Frontend.ts"
import * as PeerLink from "../ports/PeerLink.ts"
import { Witness } from "../ports/Witness.ts"
import { type Role, standsBy, type State } from "../protocol/StateMachine.ts"
import * as Envelope from "../wire/Envelope.ts"
import * as Frames from "../wire/Frames.ts"
import * as BinaryStar from "./BinaryStar.ts"
import * as Handler from "./Handler.ts"

/**
 * Why the primary is lost, and the requests after that. With 30, the p99 of the first two seconds after a takeover was 2.3 times that of
 * a warm server, with 300 1.95 times, with 1500 1.6 times. But 1500 take 20 MiB, which the system frees when the process dies, before its
 * peer can notice: 2 ms.
 */
const reasons = ["Loss", "Stop"] as const
const requests = 300

/** After every ten requests. */
const pause = "2 millis"

/** Far more than a rehearsal takes. */
const timeout = "10 seconds"

/** V8 discards code that was not called for several collections of its heap, which are rare in a server that stands by. */
const interval = "10 minutes"

/** The ports are in memory; the endpoints only name them. */
const optionsOf = (role: Role) => ({
  role,
  policy: "hardened" as const,
  frontend: "inproc://rehearsal",
  stateEndpoint: "inproc://rehearsal-state",
  peerEndpoint: "inproc://rehearsal-peer"
})

/** A request of this library's client, and one of any other. */
const messages: ReadonlyArray<Frames.Frames> = [
  [...Envelope.make("rehearsal", 1), ...Frames.make("rehearsal")],
  [Frames.delimiter, ...Frames.make("rehearsal")]
]

/** One request after the other: until one is answered, since a server that is not active rejects them, and then some more. */
const exchange = ({ connect }: Frontend.Memory) =>
  Effect.gen(function*() {
    const { run, send } = yield* connect
    const replies = yield* Mailbox.make<Frames.Frames>()
    yield* Effect.forkScoped(run(async (batch) => {
      replies.unsafeOfferAll(batch)
    }))
    const ask = (i: number) => Effect.zipRight(send(messages[i % messages.length]!), replies.take)
    yield* Effect.repeat(ask(0), { until: (reply) => Envelope.parseReply(reply)?.status === undefined })
    // With pauses, so that a takeover meanwhile does not wait.
    yield* Effect.forEach(
      Array.range(1, requests),
      (i) => i % 10 === 0 ? Effect.delay(ask(i), pause) : ask(i),
      { discard: true }
    )
  }).pipe(Effect.scoped)

const forkScope = Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope, ExecutionStrategy.sequential))

const start = (role: Role, frontend: Layer.Layer<Frontend.Frontend>, link: Context.Context<PeerLink.PeerLink>) =>
  Effect.flatMap(
    Layer.build(frontend),
    (ports) => Effect.provide(BinaryStar.make(optionsOf(role), Handler.echo), Context.merge(ports, link))
    // A witness of the real member must not be asked.
  ).pipe(Effect.mapInputContext((context: Context.Context<Scope.Scope>) => Context.omit(Witness)(context)))

/** The backup of a pair in memory takes over, because its primary stops, or is lost. */
const takeOver = (reason: "Stop" | "Loss") =>
  Effect.gen(function*() {
    const [frontend, links, linkScope, memberScope] = yield* Effect.all([
      Frontend.makeMemory,
      PeerLink.makeMemory,
      forkScope,
      forkScope
    ])
    const backup = yield* Effect.flatMap(Layer.build(links.backup), (link) => start("backup", frontend.layer, link))
    const link = yield* Layer.buildWithScope(links.primary, linkScope)
    yield* Scope.extend(start("primary", Frontend.none, link), memberScope)
    yield* Stream.runHead(Stream.filter(backup.changes, standsBy))
    // Without its link, the primary cannot publish that it stops.
    for (const scope of reason === "Stop" ? [memberScope, linkScope] : [linkScope, memberScope]) {
      yield* Scope.close(scope, Exit.void)
    }
    yield* exchange(frontend)
  }).pipe(Effect.scoped)

/** Rehearses takeovers, once. */
export const rehearse = Effect.forEach(reasons, takeOver, { discard: true }).pipe(
  Effect.locally(FiberRef.currentLoggers, HashSet.empty()),
  Effect.timeout(timeout)
)

/** Runs a rehearsal while this server stands by, once in ten minutes. */
export const whileStandingBy = <E>(
  rehearsal: Effect.Effect<void, E>
): Layer.Layer<never, never, BinaryStar.BinaryStar> => {
  const safely = Effect.catchAllCause(
    rehearsal,
    (cause) => Effect.logDebug("the rehearsal of a takeover failed", cause)
  )
  return BinaryStar.BinaryStar.pipe(
    Effect.flatMap(({ changes }) => {
      const until = (isOver: Predicate<State>) => Stream.runHead(Stream.filter(changes, isOver))
      // A pause is not interrupted: that would take time from the takeover that ends it.
      return until(standsBy).pipe(
        Effect.zipRight(Effect.raceFirst(safely, until(not(standsBy)))),
        Effect.zipRight(Effect.sleep(interval)),
        Effect.forever
      )
    }),
    // The end of the member is reported by its `join`.
    Effect.ignore,
    Effect.interruptible,
    Effect.forkScoped,
    Layer.scopedDiscard
  )
}
