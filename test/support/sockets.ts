import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Mailbox from "effect/Mailbox"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Connection } from "../../src/ports/ClientLink.ts"
import { Frontend } from "../../src/ports/Frontend.ts"
import type { SocketError } from "../../src/ports/SocketError.ts"
import type * as Frames from "../../src/wire/Frames.ts"
import { freePorts } from "./ports.ts"

/** The transport of a socket. */
export type Transport = "inproc" | "ipc" | "tcp"

export const transports: ReadonlyArray<Transport> = ["inproc", "ipc", "tcp"]

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** An unused endpoint. */
export const freshEndpoint = (transport: Transport): Effect.Effect<string, never, Scope.Scope> => {
  switch (transport) {
    case "inproc":
      return Effect.sync(() => `inproc://${crypto.randomUUID()}`)
    case "ipc":
      return Effect.map(folder, (folder) => `ipc://${folder}/socket`)
    case "tcp":
      return Effect.map(Effect.promise(() => freePorts(1)), ([port]) => `tcp://127.0.0.1:${port}`)
  }
}

/** A message of texts. */
export const message = (...texts: ReadonlyArray<string>): Frames.Frames => texts.map((text) => Buffer.from(text))

/** The texts of a message. */
export const texts = (message: Frames.Frames): ReadonlyArray<string> =>
  message.map((frame) => Buffer.from(frame).toString())

/** The messages of a stream, one by one. */
export const listen = <E>(
  messages: Stream.Stream<ReadonlyArray<Frames.Frames>, E>
): Effect.Effect<Mailbox.ReadonlyMailbox<Frames.Frames, E>, never, Scope.Scope> =>
  Mailbox.fromStream(Stream.flattenIterables(messages))

/** Builds a frontend. Its requests can be taken one by one. */
export const serve = (layer: Layer.Layer<Frontend, SocketError>) =>
  Effect.gen(function*() {
    const frontend = Context.get(yield* Layer.build(layer), Frontend)
    const requests = yield* Mailbox.make<Frames.Frames, SocketError>()
    yield* frontend.run(async (batch) => {
      requests.unsafeOfferAll(batch)
    }, () => Number.POSITIVE_INFINITY).pipe(Mailbox.into(requests), Effect.forkScoped)
    return { requests, reply: frontend.reply }
  })

/** Opens the end of a client. Its replies can be taken one by one. */
export const open = <E>(connect: Effect.Effect<Connection, E, Scope.Scope>) =>
  Effect.gen(function*() {
    const { events, run, send } = yield* connect
    const replies = yield* Mailbox.make<Frames.Frames, SocketError>()
    yield* run(async (batch) => {
      replies.unsafeOfferAll(batch)
    }).pipe(Mailbox.into(replies), Effect.forkScoped)
    return { send, replies, events }
  })

/** A stream as the `run` of a connection. */
export const runOf = (
  messages: Stream.Stream<ReadonlyArray<Frames.Frames>, SocketError>
): Connection["run"] =>
(onBatch) =>
  Effect.zipRight(Stream.runForEach(messages, (batch) => Effect.promise(async () => onBatch(batch))), Effect.never)

/** Disables logging. */
export const quiet = Logger.remove(Logger.defaultLogger)

/** Repeats a check until it holds. */
export const eventually = <E, R>(check: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.asVoid(Effect.repeat(check, { until: (yes) => yes, schedule: Schedule.spaced("1 millis") }))

/** Unhandled rejections of promises in the current scope. */
export const unhandledRejections: Effect.Effect<ReadonlyArray<unknown>, never, Scope.Scope> = Effect.gen(function*() {
  const seen: Array<unknown> = []
  const listener = (reason: unknown) => {
    seen.push(reason)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("unhandledRejection", listener)),
    () => Effect.sync(() => process.off("unhandledRejection", listener))
  )
  return seen
})
