import * as RpcMessage from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as BinaryStar from "../BinaryStar.ts"
import type * as BinaryStarConfig from "../BinaryStarConfig.ts"
import type { InvalidConfig } from "../BinaryStarError.ts"
import * as Frames from "../Frames.ts"
import type { Frontend } from "../Frontend.ts"
import type { Request } from "../Handler.ts"
import { Refusal } from "../Handler.ts"
import type { PeerLink } from "../PeerLink.ts"
import * as Wire from "./rpcWire.ts"

/** Takes what the server has to say to whoever waits for it. */
type Waiter = (answer: Frames.Input) => void

/** A call that the RPC server runs, or whose end nobody has fetched yet. */
interface Call {
  readonly id: string
  readonly isStream: boolean
  /** What the RPC server has said while nobody waited. */
  readonly unsaid: Array<Frames.Input>
  /** Several where the client has sent the same again. All get the same. */
  waiters: Array<Waiter>
  /** The second in which the first of the waiters came, and in which the client was last heard of. */
  waitingSince: number
  heardAt: number
  /** Whether it is being interrupted because nobody wants its result. */
  isUnwanted: boolean
  isOver: boolean
}

/** A client's connection. It is forgotten when it is silent and nothing of it runs. */
interface Client {
  readonly id: number
  readonly name: string
  readonly calls: Map<string, Call>
  parser: RpcSerialization.Parser
  heardAt: number
}

/** Calls that are waited for at a time, where the user does not say. */
const concurrency = 1024

/** How long a server that stops waits for clients that are about to go on waiting for a call. */
const returning = "1 second"

type Write = Parameters<RpcServer.Protocol["Type"]["run"]>[0]

/** @internal */
export const make = (options: BinaryStarConfig.Options): Effect.Effect<
  { readonly protocol: RpcServer.Protocol["Type"]; readonly member: BinaryStar.BinaryStar["Type"] },
  InvalidConfig,
  Frontend | PeerLink | RpcSerialization.RpcSerialization | Scope.Scope
> =>
  Effect.gen(function*() {
    const serialization = yield* RpcSerialization.RpcSerialization
    const disconnects = yield* Mailbox.make<number>()
    const clients = new Map<string, Client>()
    const names = new Map<number, string>()
    const isServed = Effect.unsafeMakeLatch(false)
    const oneAtATime = Effect.unsafeMakeSemaphore(1)
    let write: Write = () => Effect.void
    let lastClient = 0
    let running = 0
    let isStopping = false
    // Counts seconds. While this process stands still it does too, so that nobody seems to have been silent meanwhile.
    let now = 0
    const watchers = new Set<() => void>()

    /** Waits until something is so that depends on the calls and on who waits for them. */
    const until = (isSo: () => boolean) =>
      Effect.async<void>((resume) => {
        const watcher = () => {
          if (isSo()) {
            watchers.delete(watcher)
            resume(Effect.void)
          }
        }
        watchers.add(watcher)
        watcher()
        return Effect.sync(() => watchers.delete(watcher))
      })

    const changed = () => {
      for (const watcher of watchers) {
        watcher()
      }
    }

    const clientOf = (name: string): Client => {
      const known = clients.get(name)
      if (known !== undefined) {
        known.heardAt = now
        return known
      }
      const client: Client = {
        id: ++lastClient,
        name,
        calls: new Map(),
        parser: serialization.unsafeMake(),
        heardAt: now
      }
      clients.set(name, client)
      names.set(client.id, name)
      return client
    }

    const forget = (client: Client) => {
      clients.delete(client.name)
      names.delete(client.id)
      disconnects.unsafeOffer(client.id)
    }

    const callsOf = (isMeant: (call: Call) => boolean) => {
      const found: Array<readonly [Client, Call]> = []
      for (const client of clients.values()) {
        for (const call of client.calls.values()) {
          if (isMeant(call)) {
            found.push([client, call])
          }
        }
      }
      return found
    }

    /** Tells all who wait for a call, and whether there were any. */
    const tell = (call: Call, answer: Frames.Input): boolean => {
      const { waiters } = call
      call.waiters = []
      for (const waiter of waiters) {
        waiter(answer)
      }
      return waiters.length > 0
    }

    /** The call has ended, and this is its last word. */
    const end = (client: Client, call: Call, answer: Frames.Input) => {
      if (call.isOver) {
        return
      }
      call.isOver = true
      running--
      if (tell(call, answer) || call.isUnwanted) {
        client.calls.delete(call.id)
      } else {
        call.unsaid.push(answer)
      }
      changed()
    }

    /** Interrupts a call. It stays until the RPC server says that it has ended. */
    const abandon = (client: Client, call: Call) =>
      Effect.suspend(() => {
        if (call.isOver || call.isUnwanted) {
          return Effect.void
        }
        call.isUnwanted = true
        call.unsaid.length = 0
        return write(client.id, { _tag: "Interrupt", requestId: call.id })
      })

    /** Waits for what the RPC server has to say of a call. */
    const attend = (client: Client, call: Call) =>
      Effect.suspend(() => {
        call.heardAt = now
        const answer = call.unsaid.shift()
        if (answer === undefined) {
          return call.isOver ? Effect.succeed(Wire.gone) : wait(client, call)
        }
        if (call.isOver && call.unsaid.length === 0) {
          client.calls.delete(call.id)
          changed()
        }
        return Effect.succeed(answer)
      })

    const wait = (client: Client, call: Call) =>
      Effect.async<Frames.Input>((resume) => {
        const waiter: Waiter = (answer) => resume(Effect.succeed(answer))
        if (call.waiters.push(waiter) === 1) {
          call.waitingSince = now
        }
        changed()
        // This server has ceased to be active, or the request has taken too long.
        return Effect.suspend(() => {
          call.waiters = call.waiters.filter((other) => other !== waiter)
          return call.waiters.length > 0
            ? Effect.void
            : Effect.zipRight(abandon(client, call), until(() => call.isOver))
        })
      }).pipe(Effect.interruptible)

    const start = (client: Client, message: RpcMessage.RequestEncoded, id: string, isStream: boolean) => {
      const call: Call = {
        id,
        isStream,
        unsaid: [],
        waiters: [],
        waitingSince: now,
        heardAt: now,
        isUnwanted: false,
        isOver: false
      }
      client.calls.set(id, call)
      running++
      return write(client.id, message).pipe(
        Effect.onError(() => Effect.sync(() => end(client, call, Wire.gone))),
        Effect.zipRight(attend(client, call))
      )
    }

    /**
     * Answers one message of an RPC client. Nothing is looked at before it is its turn, since another copy of it may be
     * before it, and nothing starts halfway: only waiting can be interrupted.
     */
    const answer = (
      client: Client,
      message: RpcMessage.FromClientEncoded,
      isStream: boolean
    ): Effect.Effect<Frames.Input> => Effect.uninterruptible(Effect.suspend(() => answerNow(client, message, isStream)))

    const answerNow = (
      client: Client,
      message: RpcMessage.FromClientEncoded,
      isStream: boolean
    ): Effect.Effect<Frames.Input> => {
      switch (message._tag) {
        case "Request": {
          const id = String(idOf(message.id))
          const call = client.calls.get(id)
          // The same may come again while it runs.
          return call === undefined ? start(client, message, id, isStream) : attend(client, call)
        }
        case "Ack": {
          const call = client.calls.get(String(idOf(message.requestId)))
          return call === undefined
            ? Effect.succeed(Wire.gone)
            : Effect.zipRight(write(client.id, message), attend(client, call))
        }
        case "Interrupt": {
          const call = client.calls.get(String(idOf(message.requestId)))
          return call === undefined ? Effect.succeed(Wire.done) : Effect.as(abandon(client, call), Wire.done)
        }
        case "Ping":
          return Effect.sync(() => client.parser.encode(RpcMessage.constPong) ?? Wire.done)
        case "Eof":
          return Effect.succeed(Wire.done)
      }
    }

    /** Answers a message of the other half. */
    const answerWords = (
      client: Client,
      [word, ...ids]: ReadonlyArray<string>
    ): Effect.Effect<Frames.Input, Refusal> => {
      const calls = ids.flatMap((id) => client.calls.get(id) ?? [])
      switch (word) {
        case "Wait":
          return calls[0] === undefined ? Effect.succeed(Wire.gone) : attend(client, calls[0])
        case "Keep":
          for (const call of calls) {
            call.heardAt = now
          }
          return Effect.succeed(Wire.done)
        default:
          return malformed
      }
    }

    /** The messages in a frame; nothing where it is something else. */
    const decode = (client: Client, frame: Uint8Array): ReadonlyArray<RpcMessage.FromClientEncoded> | undefined => {
      try {
        const decoded = client.parser.decode(frame).flat()
        if (decoded.length > 0 && decoded.every(isMessage)) {
          return decoded
        }
      } catch {
        // It is refused below.
      }
      // The parser may have kept the beginning of something.
      client.parser = serialization.unsafeMake()
      return undefined
    }

    /** Answers one request of the pair, whatever it holds. */
    const answerRequest = (request: Request): Effect.Effect<Frames.Input, Refusal> => {
      const client = clientOf(request.client)
      const words = Wire.wordsOf(request.body)
      if (words !== undefined) {
        return answerWords(client, words)
      }
      const [frame, ...kind] = request.body
      const messages = frame && decode(client, frame)
      if (messages === undefined) {
        return malformed
      }
      const isStream = Wire.isStream(kind)
      return messages.length === 1
        ? answer(client, messages[0]!, isStream)
        : Effect.map(
          Effect.forEach(messages, (message) => answer(client, message, isStream), { concurrency: "unbounded" }),
          (answers) => answers.flatMap(Frames.make)
        )
    }

    const handler = (request: Request) => isServed.whenOpen(Effect.suspend(() => answerRequest(request)))

    /** Brings what the RPC server says to those who wait for it. */
    const send = (client: Client, response: RpcMessage.FromServerEncoded) =>
      Effect.suspend(() => {
        switch (response._tag) {
          case "Chunk": {
            const call = client.calls.get(response.requestId)
            if (call !== undefined && !call.isOver && !call.isUnwanted) {
              const answer = encode(client.parser, response)
              if (!tell(call, answer)) {
                call.unsaid.push(answer)
              }
            }
            return Effect.void
          }
          case "Exit": {
            const call = client.calls.get(response.requestId)
            if (call !== undefined) {
              end(client, call, call.isUnwanted ? Wire.gone : encode(client.parser, response))
            }
            return Effect.void
          }
          case "Defect": {
            // To the client this is the end of all its calls. Of streams nobody will ask for more.
            const answer = encode(client.parser, response)
            const ended = [...client.calls.values()].filter((call) => !call.isOver)
            for (const call of ended) {
              end(client, call, answer)
            }
            return Effect.forEach(
              ended.filter(({ isStream }) => isStream),
              ({ id }) => write(client.id, { _tag: "Interrupt", requestId: id }),
              { discard: true }
            )
          }
          // Pings are answered above, and the other is made by clients.
          case "Pong":
          case "ClientProtocolError":
            return Effect.void
        }
      })

    const member = yield* BinaryStar.make({ ...options, concurrency: options.concurrency ?? concurrency }, handler)

    /** Answers those who have waited long, and gives up calls whose clients are silent. To be run every second. */
    const lookAfterCalls = Effect.suspend(() => {
      now++
      const lost: Array<Effect.Effect<void>> = []
      for (const client of clients.values()) {
        for (const call of client.calls.values()) {
          const isSilent = now - call.heardAt >= Wire.silenceSeconds
          if (call.waiters.length > 0) {
            if (now - call.waitingSince >= Wire.holdSeconds && !isStopping) {
              tell(call, Wire.still)
            }
          } else if (isSilent && call.isOver) {
            client.calls.delete(call.id)
          } else if (isSilent) {
            lost.push(abandon(client, call))
          }
        }
        if (client.calls.size === 0 && now - client.heardAt >= Wire.silenceSeconds) {
          forget(client)
        }
      }
      return Effect.all(lost, { discard: true })
    })

    yield* lookAfterCalls.pipe(
      Effect.catchAllCause((cause) => Effect.logError("looking after the calls has failed", cause)),
      Effect.schedule(Schedule.spaced("1 second")),
      Effect.interruptible,
      Effect.forkScoped
    )

    /** Ends all that runs, and disconnects everybody. */
    const endAll = Effect.suspend(() => Effect.forEach(callsOf(() => true), ([client, call]) => abandon(client, call)))
      .pipe(
        Effect.zipRight(until(() => running === 0)),
        Effect.zipRight(Effect.sync(() => {
          for (const client of clients.values()) {
            forget(client)
          }
        }))
      )

    // No stream goes on in a server that is not active any more.
    yield* member.whileActive(Effect.ensuring(Effect.never, endAll)).pipe(
      // That the member has ended is told by its `join`.
      Effect.ignore,
      Effect.interruptible,
      Effect.forkScoped
    )

    /** Streams may be without an end, so they are not waited for. */
    const endStreams = Effect.suspend(() =>
      Effect.forEach(callsOf(({ isStream }) => isStream), ([client, call]) => {
        tell(call, Wire.gone)
        return abandon(client, call)
      })
    )

    /** Nobody who waits for a call is between two requests. */
    const allWait = until(() => callsOf((call) => !call.isUnwanted && call.waiters.length === 0).length === 0)

    const stop = Effect.suspend(() => {
      isStopping = true
      return endStreams
    }).pipe(
      Effect.zipRight(allWait.pipe(Effect.interruptible, Effect.timeout(returning), Effect.ignore)),
      Effect.zipRight(member.stop)
    )
    yield* Effect.addFinalizer(() => stop)

    return {
      member: { ...member, stop },
      protocol: {
        // The RPC server runs this as long as it lives, and interrupts what runs in it afterwards. So that calls are still
        // answered that have been accepted, the member stops first.
        run: (f) =>
          oneAtATime.withPermits(1)(
            Effect.suspend(() => {
              write = f
              isServed.unsafeOpen()
              return Effect.never
            }).pipe(
              Effect.ensuring(stop),
              Effect.ensuring(isServed.close)
            )
          ),
        send: (id, response) => {
          const client = clients.get(names.get(id) ?? "")
          return client === undefined ? Effect.void : send(client, response)
        },
        end: () => Effect.void,
        disconnects,
        clientIds: Effect.sync(() => new Set(names.keys())),
        initialMessage: Effect.succeedNone,
        supportsAck: true,
        supportsTransferables: false,
        supportsSpanPropagation: true
      }
    }
  })

const malformed = Effect.fail(new Refusal({ body: "not a message of an RPC client" }))

const encode = (parser: RpcSerialization.Parser, response: RpcMessage.FromServerEncoded): Frames.Input => {
  try {
    // Answers to a batch may all come with the last.
    return parser.encode(response) ?? []
  } catch (cause) {
    return parser.encode(RpcMessage.ResponseDefectEncoded(cause)) ?? []
  }
}

/** The name of a call as the RPC server writes it; nothing where it is no name. */
const idOf = (id: unknown): string | undefined => {
  try {
    return typeof id === "string" || typeof id === "bigint" ? String(BigInt(id)) : undefined
  } catch {
    return undefined
  }
}

/** Whether the RPC server can do something with it, be it to answer that it knows no such procedure. */
const isMessage = (u: unknown): u is RpcMessage.FromClientEncoded => {
  if (!Predicate.hasProperty(u, "_tag")) {
    return false
  }
  switch (u._tag) {
    case "Request":
      return "id" in u && idOf(u.id) !== undefined && "tag" in u && typeof u.tag === "string" &&
        "headers" in u && Array.isArray(u.headers) && u.headers.every(Array.isArray)
    case "Ack":
    case "Interrupt":
      return "requestId" in u && idOf(u.requestId) !== undefined
    default:
      return u._tag === "Ping" || u._tag === "Eof"
  }
}
