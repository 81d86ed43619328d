import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import * as Witness from "../../src/ports/Witness.ts"
import type { PolicyName } from "../../src/protocol/Policies.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import * as Frames from "../../src/wire/Frames.ts"

/** A server in memory that can be started and stopped. */
export interface Node {
  readonly start: Effect.Effect<BinaryStar.BinaryStar["Type"]>
  readonly stop: Effect.Effect<void>
  /** Ends it without a final heartbeat, as a crash does. */
  readonly kill: Effect.Effect<void>
  /**
   * Stalls the server 3 milliseconds from now, until `resume`: while it reads the link for a request, which it decides after that.
   * The clock and all other servers go on.
   */
  readonly stall: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Its log lines since it was first started. */
  readonly log: ReadonlyArray<string>
  /** Sends a request. Returns the reply that it has without advancing the clock. */
  readonly request: (request: string) => Effect.Effect<string | undefined>
  /** Sends a request. Returns the replies to it, which are added as they arrive. */
  readonly send: (request: string) => Effect.Effect<ReadonlyArray<string>, never, Scope.Scope>
}

/** Runs all fibers that are ready, without advancing the clock. */
export const settle = TestClock.adjust(0)

/** What a test may choose; the ports are in memory. */
export interface NodeOptions extends Omit<Options, "role" | "policy" | "frontend" | "stateEndpoint" | "peerEndpoint"> {
  readonly heartbeat?: Duration.DurationInput
  readonly drain?: Duration.DurationInput
}

const makeNode = (
  options: Options,
  link: Layer.Layer<PeerLink.PeerLink>,
  handler: Handler.Handler,
  isCut: () => boolean,
  altered: Partial<PeerLink.PeerLink["Type"]>,
  witness: Layer.Layer<Witness.Witness>
) =>
  Effect.gen(function*() {
    const frontend = yield* Frontend.makeMemory
    const awake = yield* Effect.makeLatch(true)
    const log: Array<string> = []
    const logger = Logger.make(({ message }) => log.push(String(message)))
    let isMute = false
    let scope = yield* Scope.make()
    const ports = Layer.mergeAll(
      frontend.layer,
      options.policy === "witnessed" ? witness : Layer.empty,
      Layer.project(link, PeerLink.PeerLink, PeerLink.PeerLink, (original) => {
        const link = { ...original, ...altered }
        return {
          ...link,
          poll: awake.whenOpen(link.poll),
          publish: (publication) => isMute || isCut() ? Effect.succeed(true) : link.publish(publication),
          publishFinal: (publication) => isMute || isCut() ? Effect.void : link.publishFinal(publication),
          close: Effect.suspend(() => isMute || isCut() ? Effect.void : link.close)
        }
      })
    )
    const send: Node["send"] = (request) =>
      Effect.gen(function*() {
        const connection = yield* frontend.connect
        const replies: Array<string> = []
        yield* connection.run(async (batch) => {
          replies.push(...batch.map(([, ...reply]) => Frames.toString(reply)))
        }).pipe(Effect.forkScoped)
        yield* connection.send([Frames.delimiter, ...Frames.make(request)])
        yield* settle
        return replies
      }).pipe(Effect.orDie)
    const node: Node = {
      log,
      send,
      start: Effect.gen(function*() {
        scope = yield* Scope.make()
        isMute = false
        return yield* BinaryStar.make(options, handler).pipe(
          Effect.provide(Context.add(yield* Layer.buildWithScope(ports, scope), Scope.Scope, scope)),
          Effect.tap(() => settle)
        )
      }).pipe(Effect.orDie, Effect.provide(Logger.replace(Logger.defaultLogger, logger))),
      stop: Effect.suspend(() => Scope.close(scope, Exit.void)),
      kill: Effect.suspend(() => {
        isMute = true
        return node.stop
      }),
      stall: TestClock.adjust("3 millis").pipe(
        Effect.zipRight(awake.close),
        Effect.zipRight(Effect.scoped(send("during the stall")))
      ),
      resume: Effect.zipRight(awake.open, settle),
      request: (text) => Effect.scoped(Effect.map(send(text), (replies) => replies[0]))
    }
    // A handler may be left that never completes, and the clock does not advance any more.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        yield* awake.open
        const stopping = yield* Effect.forkDaemon(node.stop)
        yield* settle
        while (stopping.unsafePoll() === null) {
          yield* TestClock.adjust("10 seconds")
        }
      })
    )
    return node
  })

/** A pair in memory, not started yet. `altered` replaces operations of the links. `legacy` members receive no heartbeats. */
export const makePair = (
  handler: Handler.Handler = Handler.echo,
  policy: PolicyName | { readonly [R in Role]: PolicyName } = "classic",
  options: NodeOptions = {},
  altered: { readonly [R in Role]?: Partial<PeerLink.PeerLink["Type"]> } = {},
  kind: "member" | "legacy" = "member"
) =>
  Effect.gen(function*() {
    const links = yield* PeerLink.makeMemory
    const ends = kind === "legacy" ? links.legacy : links
    const witness = yield* Witness.makeMemory
    let isCut = false
    const node = (role: Role) =>
      makeNode(
        { role, policy: typeof policy === "string" ? policy : policy[role], ...options },
        ends[role],
        handler,
        () => isCut,
        altered[role] ?? {},
        witness.layers[role]
      )
    return {
      /** The ends of foreign servers, and of those of this implementation. */
      links: links.legacy,
      richLinks: { primary: links.primary, backup: links.backup },
      primary: yield* node("primary"),
      backup: yield* node("backup"),
      /** The register of a pair with the policy `witnessed`, and its faults. */
      witness,
      /** Drops all heartbeats until `heal`, while the connections stay. */
      cut: Effect.sync(() => {
        isCut = true
      }),
      heal: Effect.sync(() => {
        isCut = false
      })
    }
  })

/** A scripted peer: it publishes the messages of a test, and records the messages that it receives. */
export const foreignPeer = (link: Layer.Layer<PeerLink.PeerLink>) =>
  Effect.gen(function*() {
    const peer = Context.get(yield* Layer.build(link), PeerLink.PeerLink)
    const received: Array<string> = []
    yield* Stream.runForEach(peer.messages, (batch) =>
      Effect.sync(() => {
        received.push(...batch.map((frames) => frames.map((frame) => Buffer.from(frame).toString()).join("|")))
      })).pipe(Effect.forkScoped)
    return {
      received,
      publish: peer.publish,
      reports: (...frames: Array<string>) =>
        Effect.zipRight(peer.publish({ state: frames.map((frame) => Buffer.from(frame)) }), settle)
    }
  })
