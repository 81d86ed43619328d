/**
 * A group of procedures that covers all features, its handlers, and a record of what they did.
 */
import * as Headers from "@effect/platform/Headers"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcMiddleware from "@effect/rpc/RpcMiddleware"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Term from "../../src/protocol/Term.ts"
import * as BinaryStarRpc from "../../src/rpc/BinaryStarRpc.ts"

export class User extends Schema.Class<User>("User")({ id: Schema.String, name: Schema.String }) {
  get greeting() {
    return `hello ${this.name}`
  }
}

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String }) {}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {}

export class CurrentUser extends Context.Tag("CurrentUser")<CurrentUser, User>() {}

export class Authentication extends RpcMiddleware.Tag<Authentication>()("Authentication", {
  provides: CurrentUser,
  failure: Unauthorized,
  requiredForClient: true
}) {}

export class Group extends RpcGroup.make(
  Rpc.make("Get", { payload: { id: Schema.String }, success: User, error: NotFound }),
  Rpc.make("Save", { payload: User }),
  Rpc.make("Twice", { payload: { n: Schema.Number }, success: Schema.Number }).annotate(BinaryStarRpc.Resend, true),
  Rpc.make("Die", { payload: { message: Schema.String } }),
  Rpc.make("WrongResult", { success: Schema.Number }),
  Rpc.make("Date", { payload: { date: Schema.Date }, success: Schema.Date }),
  Rpc.make("Header", { payload: { name: Schema.String }, success: Schema.OptionFromNullOr(Schema.String) }),
  Rpc.make("WhoAmI", { success: User }).middleware(Authentication),
  Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("Hold", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("HoldTwice", { payload: { name: Schema.String }, success: Schema.String })
    .annotate(BinaryStarRpc.Resend, true),
  Rpc.make("HoldOn", { payload: { name: Schema.String } }),
  Rpc.make("Linger", { payload: { name: Schema.String } }),
  Rpc.make("Range", {
    payload: { from: Schema.Number, to: Schema.Number, chunk: Schema.Number },
    success: Schema.Number,
    stream: true
  }),
  Rpc.make("Users", { payload: { ids: Schema.Array(Schema.String) }, success: User, error: NotFound, stream: true }),
  Rpc.make("Endless", { payload: { name: Schema.String }, success: Schema.Number, stream: true }),
  Rpc.make("Idle", { payload: { name: Schema.String }, success: Schema.String, stream: true }),
  Rpc.make("Mailbox", { payload: { count: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("Term", { success: Schema.Number }),
  Rpc.make("Clients", { success: Schema.Number }),
  Rpc.make("nested.Double", { payload: { n: Schema.Number }, success: Schema.Number })
) {}

/** A record of what the handlers of a server did, and the way to release calls that hold. */
export interface Seen {
  /** How often each call was started and interrupted, by its name. */
  readonly begun: Map<string, number>
  readonly interrupted: Map<string, number>
  /** Number of elements that endless streams have made. */
  readonly made: Map<string, number>
  readonly saved: Array<User>
  /** Releases the calls that hold. */
  readonly open: Deferred.Deferred<void>
}

export const makeSeen: Effect.Effect<Seen> = Effect.map(Deferred.make<void>(), (open) => ({
  begun: new Map(),
  interrupted: new Map(),
  made: new Map(),
  saved: [],
  open
}))

const count = (counts: Map<string, number>, name: string) => {
  const n = (counts.get(name) ?? 0) + 1
  counts.set(name, n)
  return n
}

/** The handlers of one server. */
export const handlers = (seen: Seen) => {
  const noted = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      count(seen.begun, name)
      return effect
    }).pipe(Effect.onInterrupt(() => Effect.sync(() => count(seen.interrupted, name))))
  const hold = (name: string) => noted(name, Effect.as(Deferred.await(seen.open), name))
  const clients = new Set<number>()
  return Group.toLayer({
    Get: ({ id }) =>
      id === "0" ? Effect.fail(new NotFound({ id })) : Effect.succeed(new User({ id, name: `user ${id}` })),
    Save: (user) => Effect.sync(() => void seen.saved.push(user)),
    Twice: ({ n }) => Effect.succeed(2 * n),
    Die: ({ message }) => Effect.die(new Error(message)),
    WrongResult: () => Effect.succeed("no number" as unknown as number),
    Date: ({ date }) => Effect.succeed(new Date(date.getTime() + 1)),
    Header: ({ name }, { headers }) => Effect.succeed(Headers.get(headers, name)),
    WhoAmI: () => CurrentUser,
    Echo: ({ text }) => Effect.succeed(text),
    Hold: ({ name }) => hold(name),
    HoldTwice: ({ name }) => hold(name),
    HoldOn: ({ name }) => Rpc.uninterruptible(Effect.asVoid(hold(name))),
    // Its child takes 3 seconds to end; its daemons never end.
    Linger: Effect.fnUntraced(function*({ name }) {
      yield* Effect.fork(Effect.onInterrupt(
        Effect.never,
        () => Effect.delay(Effect.sync(() => count(seen.interrupted, `${name}'s child`)), "3 seconds")
      ))
      yield* Effect.forkDaemon(Effect.never)
      Runtime.runFork(yield* Effect.runtime())(Effect.never)
      yield* hold(name)
    }),
    Range: ({ chunk, from, to }) => Stream.rechunk(Stream.range(from, to), chunk),
    Users: ({ ids }) =>
      Stream.mapEffect(
        Stream.fromIterable(ids),
        (id) => id === "0" ? Effect.fail(new NotFound({ id })) : Effect.succeed(new User({ id, name: `user ${id}` }))
      ),
    Endless: ({ name }) =>
      Stream.repeatEffect(Effect.sync(() => count(seen.made, name))).pipe(
        Stream.rechunk(1),
        Stream.ensuring(Effect.sync(() => count(seen.interrupted, name)))
      ),
    Idle: ({ name }) =>
      Stream.concat(
        Stream.make(name),
        Stream.fromEffect(Effect.as(Deferred.await(seen.open), "opened"))
      ).pipe(
        Stream.onStart(Effect.sync(() => count(seen.begun, name))),
        Stream.ensuring(Effect.sync(() => count(seen.interrupted, name)))
      ),
    Mailbox: Effect.fnUntraced(function*({ count }) {
      const mailbox = yield* Mailbox.make<number>()
      yield* Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) => mailbox.offer(i)).pipe(
        Effect.zipRight(mailbox.end),
        Effect.forkScoped
      )
      return mailbox
    }),
    Term: () => Effect.map(Effect.orDie(BinaryStar.term), Term.toToken),
    Clients: (_, { clientId }) => Effect.sync(() => clients.add(clientId).size),
    "nested.Double": ({ n }) => Effect.succeed(2 * n)
  }).pipe(
    Layer.merge(
      Layer.succeed(Authentication, ({ headers }) =>
        Option.match(Headers.get(headers, "name"), {
          onNone: () => Effect.fail(new Unauthorized()),
          onSome: (name) => Effect.succeed(new User({ id: "me", name }))
        }))
    )
  )
}

/** The client's end of the middleware, which adds the caller's name. */
export const authentication = (name: string | undefined) =>
  RpcMiddleware.layerClient(Authentication, ({ request }) =>
    Effect.succeed({
      ...request,
      headers: name === undefined ? request.headers : Headers.set(request.headers, "name", name)
    }))
