/** A client that is built when it is needed, and given up after a request that was not answered. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** How long the connections of a client may take to close when the witness is not needed any more. */
const closeTimeout = Duration.seconds(1)

/** The client was given up while a request waited for it. */
export class GivenUp extends Data.TaggedError("GivenUp")<{ readonly message: string }> {}

const givenUp = new GivenUp({ message: "the connection was given up, because a request had no answer" })

/** A client that is being built, or is built. */
interface Session<A, E> {
  readonly scope: Scope.CloseableScope
  readonly client: Deferred.Deferred<A, E | GivenUp>
}

/** Runs a request with the client. */
export type Run<A, E> = <B, E2>(request: (client: A) => Effect.Effect<B, E2>) => Effect.Effect<B, E | E2 | GivenUp>

/**
 * Makes a runner of requests. Requests share a client. One that is interrupted, or for which there is no client, gives it up: it is
 * closed in the background, and the next request builds another.
 */
export const make = <I, A, E, R>(
  tag: Context.Tag<I, A>,
  layer: Layer.Layer<I, E, R>
): Effect.Effect<Run<A, E>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<R>()
    let current: Session<A, E> | undefined

    const giveUp = (session: Session<A, E>) =>
      Effect.suspend(() => {
        if (session !== current) {
          return Effect.void
        }
        current = undefined
        return Effect.zipRight(
          Deferred.fail(session.client, givenUp),
          Effect.forkDaemon(Scope.close(session.scope, Exit.void))
        )
      })

    const open = Effect.gen(function*() {
      const session: Session<A, E> = { scope: yield* Scope.make(), client: yield* Deferred.make<A, E | GivenUp>() }
      current = session
      yield* Layer.buildWithScope(layer, session.scope).pipe(
        Effect.provide(context),
        Effect.map((built) => Context.get(built, tag)),
        Effect.exit,
        Effect.tap((exit) => Deferred.done(session.client, exit)),
        Effect.tap((exit) => Exit.isSuccess(exit) ? Effect.void : giveUp(session)),
        Effect.interruptible,
        Effect.forkIn(session.scope)
      )
      return session
    })

    yield* Effect.addFinalizer(() =>
      current === undefined ? Effect.void : Scope.close(current.scope, Exit.void).pipe(
        Effect.interruptible,
        Effect.disconnect,
        Effect.timeoutOption(closeTimeout)
      )
    )

    return (request) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.suspend(() => current === undefined ? open : Effect.succeed(current)), (session) =>
          Effect.onInterrupt(
            // Disconnected, so that the client is given up before the request has ended, which takes some clients seconds.
            restore(Effect.disconnect(Effect.flatMap(Deferred.await(session.client), request))),
            () =>
              giveUp(session)
          ))
      )
  })
