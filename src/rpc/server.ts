import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as Mailbox from "effect/Mailbox"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as BinaryStar from "../member/BinaryStar.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { HandlerFibers } from "./handlerFibers.ts"
import type { Options } from "./serverSession.ts"
import { ServerSession } from "./serverSession.ts"

/** Default number of polls that wait at a time. */
const defaultConcurrency = 1024

/** Time that a server that stops leaves to clients that are between two polls. */
const pollGrace = "1 second"

/**
 * Forks fibers that are supervised, and inherit nothing else of the fiber in which this protocol is made: handlers have the
 * context of the RPC server.
 */
const makeFork = (handlerFibers: HandlerFibers): Effect.Effect<Options["fork"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const pending = yield* FiberSet.make<void>()
    const supervisor = yield* FiberRef.get(FiberRef.currentSupervisor)
    const fork = Runtime.runFork(
      (yield* Effect.runtime()).pipe(
        Runtime.enableRuntimeFlag(RuntimeFlags.Interruption),
        Runtime.setFiberRef(FiberRef.currentSupervisor, supervisor.zip(handlerFibers)),
        Runtime.updateContext(() => Context.empty())
      )
    )
    return (effect) => {
      const fiber = fork(effect)
      // Most end at once.
      if (fiber.unsafePoll() === null) {
        FiberSet.unsafeAdd(pending, fiber)
      }
      return fiber
    }
  })

const runTimer = (session: ServerSession): Effect.Effect<void, never, Scope.Scope> =>
  Effect.sync(() => session.tick()).pipe(
    Effect.catchAllCause((cause) => Effect.logError("cannot check RPC calls for expiry; retrying in 1 second", cause)),
    Effect.schedule(Schedule.spaced("1 second")),
    Effect.interruptible,
    Effect.forkScoped,
    Effect.asVoid
  )

/** Runs calls while the member is active. It does not report another state before all of them have ended. */
const runTerms = (
  session: ServerSession,
  member: BinaryStar.BinaryStar["Type"]
): Effect.Effect<void, never, Scope.Scope> =>
  member.whileActive(
    Effect.acquireUseRelease(Effect.sync(() => session.beginTerm()), () => Effect.never, () => session.endTerm)
  ).pipe(
    // `member.join` reports that the member has ended.
    Effect.ignore,
    Effect.interruptible,
    Effect.forkScoped,
    Effect.asVoid
  )

const makeRun = (session: ServerSession, stop: Effect.Effect<void>): RpcServer.Protocol["Type"]["run"] => {
  const oneAtATime = Effect.unsafeMakeSemaphore(1).withPermits(1)
  return (write) =>
    Effect.suspend(() => {
      session.connect(write)
      return Effect.never
    }).pipe(
      // The RPC server interrupts its handlers after this, so accepted calls are completed before.
      Effect.ensuring(stop),
      Effect.ensuring(Effect.sync(() => session.connect(undefined))),
      oneAtATime
    )
}

export const make = (options: BinaryStarConfig.Options): Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Type"]; readonly member: BinaryStar.BinaryStar["Type"] },
  InvalidConfig,
  Frontend | PeerLink | RpcSerialization.RpcSerialization | Scope.Scope
> =>
  Effect.gen(function*() {
    const disconnects = yield* Mailbox.make<number>()
    const handlerFibers = new HandlerFibers()
    const session = new ServerSession({
      serialization: yield* RpcSerialization.RpcSerialization,
      handlerFibers,
      fork: yield* makeFork(handlerFibers),
      onDisconnect: (clientId) => disconnects.unsafeOffer(clientId)
    })
    const member = yield* BinaryStar.make(
      { ...options, concurrency: options.concurrency ?? defaultConcurrency },
      session.handle
    )
    yield* runTimer(session)
    yield* runTerms(session, member)
    const stop = Effect.sync(() => session.beginStop()).pipe(
      Effect.zipRight(session.allPolled.pipe(Effect.interruptible, Effect.timeout(pollGrace), Effect.ignore)),
      Effect.zipRight(member.stop)
    )
    yield* Effect.addFinalizer(() => stop)

    return {
      member: { ...member, stop },
      protocol: {
        run: makeRun(session, stop),
        send: (clientId, response) => Effect.sync(() => session.send(clientId, response)),
        end: () => Effect.void,
        disconnects,
        clientIds: Effect.sync(() => session.clientIds),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true
      }
    }
  })
