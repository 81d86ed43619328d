/** The two servers of a pair in this process, their ports in memory, their status servers real. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StatusServer from "../../src/http/StatusServer.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import type * as Witness from "../../src/ports/Witness.ts"
import type { Role, State } from "../../src/protocol/StateMachine.ts"
import type { Options } from "../../src/settings/BinaryStarConfig.ts"
import type * as Status from "../../src/status/Status.ts"
import * as Frames from "../../src/wire/Frames.ts"
import { eventually, freshEndpoint, open, quiet } from "../support/sockets.ts"

export const token = "sesame"

export interface Settings extends Omit<Partial<Options>, "role"> {
  readonly handler?: Handler.Handler
  readonly token?: string | undefined
  /** Whether the servers know each other's status servers. */
  readonly acquainted?: boolean
  /** Whether the servers send each other nothing but states. */
  readonly isLegacy?: boolean
  readonly witness?: Witness.Memory
}

const freeAddress = Effect.map(freshEndpoint("tcp"), (endpoint) => endpoint.replace("tcp://", ""))

/** With a timeout that is enough on a busy machine. */
export const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timeout(effect, "20 seconds")

/** Any answer to a request. */
export const call = (url: string, init: RequestInit = {}) => Effect.promise((signal) => fetch(url, { signal, ...init }))

export const get = <A>(url: string) =>
  Effect.flatMap(call(url), (response) => {
    assert.strictEqual(response.status, 200, url)
    return Effect.promise((): Promise<A> => response.json() as Promise<A>)
  })

export const codeOf = (url: string, init: RequestInit = {}) => Effect.map(call(url, init), ({ status }) => status)

/** Sends a command, and returns the answer. */
export const post = (url: string, body: unknown, authorization: string | null = `Bearer ${token}`) =>
  Effect.gen(function*() {
    const response = yield* call(url, {
      method: "POST",
      headers: authorization === null ? {} : { authorization },
      body: typeof body === "string" ? body : JSON.stringify(body)
    })
    const text = yield* Effect.promise(() => response.text())
    const answer: { readonly [field: string]: unknown } = text === "" ? {} : JSON.parse(text)
    return { status: response.status, answer }
  })

/** The two servers of a pair, not started yet. */
export const makePair = (
  { acquainted = true, handler = Handler.echo, isLegacy = false, token: secret, witness, ...options }: Settings = {}
) =>
  Effect.gen(function*() {
    const ends = yield* PeerLink.makeMemory
    const links = isLegacy ? ends.legacy : ends
    const addresses = { primary: yield* freeAddress, backup: yield* freeAddress }
    const makeNode = (role: Role, peer: Role) =>
      Effect.gen(function*() {
        const frontend = yield* Frontend.makeMemory
        const url = `http://${addresses[role]}`
        const policy = witness === undefined ? "hardened" : "witnessed"
        const member = BinaryStar.layer({ policy, heartbeat: "1 second", ...options, role }, handler).pipe(
          Layer.provide(witness === undefined ? Layer.empty : witness.layers[role])
        )
        let isMute = false
        let scope = yield* Scope.make()
        const link = Layer.project(links[role], PeerLink.PeerLink, PeerLink.PeerLink, (link) => ({
          ...link,
          publishFinal: (message) => isMute ? Effect.void : link.publishFinal(message),
          close: Effect.suspend(() => isMute ? Effect.void : link.close)
        }))
        const stop = Effect.suspend(() => Scope.close(scope, Exit.void))
        yield* Effect.addFinalizer(() => stop)
        return {
          url,
          start: Effect.gen(function*() {
            scope = yield* Scope.make()
            const context = yield* StatusServer.around(Layer.provide(member, Layer.merge(frontend.layer, link)), {
              http: addresses[role],
              peerHttp: acquainted ? addresses[peer] : undefined,
              token: secret === undefined ? undefined : Redacted.make(secret)
            }).pipe(Layer.provide(quiet), Layer.buildWithScope(scope))
            return Context.get(context, BinaryStar.BinaryStar)
          }),
          stop,
          /** Ends it without a final heartbeat. */
          kill: Effect.suspend(() => {
            isMute = true
            return stop
          }),
          /** Sends one request, and waits for the reply. */
          request: (request: string) =>
            Effect.gen(function*() {
              const { replies, send } = yield* open(frontend.connect)
              yield* send([Frames.delimiter, ...Frames.make(request)])
              return Option.map(yield* Effect.option(replies.take), (reply) => Frames.toString(reply.slice(1)))
            }).pipe(Effect.scoped),
          /** Sends a request without waiting for a reply. */
          vote: Effect.scoped(
            Effect.flatMap(frontend.connect, ({ send }) => send([Frames.delimiter, ...Frames.make("vote")]))
          )
        }
      })
    return { links, primary: yield* makeNode("primary", "backup"), backup: yield* makeNode("backup", "primary") }
  })

export const become = (member: BinaryStar.BinaryStar["Type"], wanted: State) =>
  soon(member.changes.pipe(
    Stream.filter((state) => state === wanted),
    Stream.runHead
  ))

/** Both servers of a pair, the primary active and the backup passive. */
export const startPair = (settings?: Settings) =>
  Effect.gen(function*() {
    const pair = yield* makePair(settings)
    const primary = yield* pair.primary.start
    const backup = yield* pair.backup.start
    yield* become(primary, "ACTIVE")
    yield* become(backup, "PASSIVE")
    // The primary hands over only to a peer that is passive.
    yield* soon(eventually(Effect.map(primary.report, ({ peer }) => peer.state === "PASSIVE")))
    return { ...pair, members: { primary, backup } }
  })

/** A latch for a handler, and the event that the handler has reached it. */
export const makeGate = Effect.gen(function*() {
  const reached = yield* Deferred.make<void>()
  const open = yield* Deferred.make<void>()
  return {
    handler: (): Effect.Effect<string> =>
      Effect.as(Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(open)), "done"),
    reached: Deferred.await(reached),
    open: Deferred.succeed(open, undefined)
  }
})

export const statusOf = (url: string) => get<Status.NodeStatus>(`${url}/status`)

/** Server-sent events, in order. */
export const eventsOf = (url: string) =>
  Stream.unwrap(Effect.gen(function*() {
    const response = yield* call(`${url}/events`)
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
    return Stream.fromReadableStream(() => response.body!, (error) => error).pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.mapAccum("", (event, line) => {
        const [, field, value] = /^(event|data): (.*)$/.exec(line) ?? []
        return field === "event"
          ? [value!, Option.none()]
          : [event, field === "data" ? Option.some({ event, data: JSON.parse(value!) }) : Option.none()]
      }),
      Stream.filterMap((message) => message)
    )
  }))
