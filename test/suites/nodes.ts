import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as BinaryStar from "../../src/BinaryStar.ts"
import * as Frames from "../../src/Frames.ts"
import * as Frontend from "../../src/Frontend.ts"
import type { PolicyName, Role } from "../../src/Fsm.ts"
import * as Handler from "../../src/Handler.ts"
import * as PeerLink from "../../src/PeerLink.ts"

/** A server that can be started and stopped, and whatever it said since it was first started. */
export interface Node {
  readonly start: Effect.Effect<BinaryStar.BinaryStar["Type"]>
  readonly stop: Effect.Effect<void>
  readonly said: ReadonlyArray<string>
  /** Asks and gives the answer that there is once everything has come to rest. */
  readonly ask: (request: string) => Effect.Effect<string | undefined>
}

/** Lets everything run that can run without time going on. */
export const settle = TestClock.adjust(0)

const makeNode = (
  role: Role,
  policy: PolicyName,
  link: Layer.Layer<PeerLink.PeerLink>,
  handler: Handler.Handler
) =>
  Effect.gen(function*() {
    const frontend = yield* Frontend.makeMemory
    const said: Array<string> = []
    const logger = Logger.make(({ message }) => said.push(String(message)))
    let scope = yield* Scope.make()
    const node: Node = {
      said,
      start: Effect.gen(function*() {
        scope = yield* Scope.make()
        const ports = yield* Layer.buildWithScope(Layer.merge(frontend.layer, link), scope)
        return yield* BinaryStar.make({ role, policy }, handler).pipe(
          Effect.provide(Context.add(ports, Scope.Scope, scope)),
          Effect.tap(() => settle)
        )
      }).pipe(Effect.orDie, Effect.provide(Logger.replace(Logger.defaultLogger, logger))),
      stop: Effect.suspend(() => Scope.close(scope, Exit.void)),
      ask: (request) =>
        Effect.gen(function*() {
          const connection = yield* frontend.connect
          const replies: Array<string> = []
          yield* Stream.runForEach(connection.messages, (batch) =>
            Effect.sync(() => {
              replies.push(...batch.map(([, ...reply]) => Frames.toString(reply)))
            })).pipe(Effect.forkScoped)
          yield* connection.send([Frames.delimiter, ...Frames.make(request)])
          yield* settle
          return replies[0]
        }).pipe(Effect.orDie, Effect.scoped)
    }
    yield* Effect.addFinalizer(() => node.stop)
    return node
  })

/** The two servers of a pair in memory, not started yet. */
export const makePair = (handler: Handler.Handler = Handler.echo, policy: PolicyName = "classic") =>
  Effect.gen(function*() {
    const links = yield* PeerLink.makeMemory
    return {
      links,
      primary: yield* makeNode("primary", policy, links.primary, handler),
      backup: yield* makeNode("backup", policy, links.backup, handler)
    }
  })
