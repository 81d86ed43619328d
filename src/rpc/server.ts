import * as RpcMessage from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as Mailbox from "effect/Mailbox"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { onNextTurn } from "../internal/Scheduler.ts"
import * as BinaryStar from "../member/BinaryStar.ts"
import type { Request } from "../member/Handler.ts"
import { DeferredReply } from "../member/Handler.ts"
import type { Frontend } from "../ports/Frontend.ts"
import type { PeerLink } from "../ports/PeerLink.ts"
import type * as BinaryStarConfig from "../settings/BinaryStarConfig.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import * as Frames from "../wire/Frames.ts"
import type { Answer, Settle } from "./answer.ts"
import { combine, malformed, pass } from "./answer.ts"
import { Running } from "./fibers.ts"
import { encode, idOf, isMessage } from "./message.ts"
import * as Wire from "./wire.ts"

/** A call that the RPC server runs, or whose end nobody has fetched yet. */
class Call {
  readonly id: string
  readonly isStream: boolean
  /** What the RPC server has said while nobody waited. */
  readonly unsaid: Array<Frames.Input> = []
  /** Several where the client has sent the same again. All get the same. */
  waiters: Array<Settle> = []
  /** The second in which the first of the waiters came, and in which the client was last heard of. */
  waitingSince: number
  heardAt: number
  /** What hands it to the RPC server, while that takes its time. */
  starting: Fiber.RuntimeFiber<void> | undefined
  /** Whether it is being interrupted because nobody wants its result. */
  isUnwanted = false
  isOver = false

  constructor(id: string, isStream: boolean, now: number) {
    this.id = id
    this.isStream = isStream
    this.waitingSince = now
    this.heardAt = now
  }
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
    const slow = yield* FiberSet.make<void>()
    const watchers = new Set<() => void>()
    const running = new Running(() => changed())
    const supervisor = (yield* FiberRef.get(FiberRef.currentSupervisor)).zip(running)
    // Handlers have what they were made with and nothing of what this was made with.
    const fork = Runtime.runFork(
      (yield* Effect.runtime()).pipe(
        Runtime.enableRuntimeFlag(RuntimeFlags.Interruption),
        Runtime.setFiberRef(FiberRef.currentSupervisor, supervisor),
        Runtime.updateContext(() => Context.empty())
      )
    )
    const oneAtATime = Effect.unsafeMakeSemaphore(1)
    // Requests that have come before there was an RPC server, or before what ends them with the term had been started.
    const early = new Set<() => void>()
    let write: Write | undefined
    let lastClient = 0
    let isInTerm = false
    let isStopping = false
    // Counts seconds. While this process stands still it does too, so that nobody seems to have been silent meanwhile.
    let now = 0

    /** Waits until something is so that depends on the calls, on who waits for them, and on what runs. */
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

    /** Hands a message to the RPC server, mostly at once. */
    const give = (client: Client, message: RpcMessage.FromClientEncoded): Fiber.RuntimeFiber<void> => {
      const taking = write === undefined ? Effect.void : write(client.id, message)
      running.isTaking = true
      const fiber = fork(taking)
      if (fiber.unsafePoll() === null) {
        FiberSet.unsafeAdd(slow, fiber)
      }
      return fiber
    }

    /** Tells all who wait for a call, and whether there were any. */
    const tell = (call: Call, answer: Frames.Input): boolean => {
      const { waiters } = call
      call.waiters = []
      for (const settle of waiters) {
        settle(Exit.succeed(answer))
      }
      return waiters.length > 0
    }

    /** The call has ended, and this is its last word. */
    const end = (client: Client, call: Call, answer: Frames.Input) => {
      if (call.isOver) {
        return
      }
      call.isOver = true
      if (tell(call, answer) || call.isUnwanted) {
        client.calls.delete(call.id)
      } else {
        call.unsaid.push(answer)
      }
      changed()
    }

    const interrupt = (client: Client, call: Call) =>
      call.starting === undefined
        ? give(client, { _tag: "Interrupt", requestId: call.id })
        : call.starting.unsafeInterruptAsFork(FiberId.none)

    /** Interrupts a call. It stays until the RPC server says that it has ended. */
    const abandon = (client: Client, call: Call) => {
      if (!call.isOver && !call.isUnwanted) {
        call.isUnwanted = true
        call.unsaid.length = 0
        interrupt(client, call)
      }
    }

    /** What the RPC server has said of a call; nothing where that has to be waited for. */
    const look = (client: Client, call: Call): Frames.Input | undefined => {
      call.heardAt = now
      const answer = call.unsaid.shift()
      if (answer === undefined) {
        return call.isOver ? Wire.gone : undefined
      }
      if (call.isOver && call.unsaid.length === 0) {
        client.calls.delete(call.id)
        changed()
      }
      return answer
    }

    const wait = (client: Client, call: Call) =>
      new DeferredReply((settle) => {
        if (call.waiters.push(settle) === 1) {
          call.waitingSince = now
        }
        changed()
        // This server has ceased to be active, or the request has taken too long.
        return () => {
          call.waiters = call.waiters.filter((other) => other !== settle)
          if (call.waiters.length === 0) {
            abandon(client, call)
          }
        }
      })

    const attend = (client: Client, what: Call | Frames.Input): Answer =>
      what instanceof Call ? look(client, what) ?? wait(client, what) : what

    const start = (client: Client, message: RpcMessage.RequestEncoded, id: string, isStream: boolean): Call => {
      const call = new Call(id, isStream, now)
      client.calls.set(id, call)
      call.starting = give(client, message)
      call.starting.addObserver((exit) => {
        call.starting = undefined
        if (Exit.isFailure(exit)) {
          end(client, call, Wire.gone)
        } else if (call.isUnwanted && !call.isOver) {
          interrupt(client, call)
        }
      })
      return call
    }

    /** Does what a message of an RPC client says, and gives the call that answers it, or the answer. */
    const take = (client: Client, message: RpcMessage.FromClientEncoded, isStream = false): Call | Frames.Input => {
      switch (message._tag) {
        case "Request": {
          const id = String(idOf(message.id))
          // The same may come again while it runs.
          return client.calls.get(id) ?? start(client, message, id, isStream)
        }
        case "Ack": {
          const call = client.calls.get(String(idOf(message.requestId)))
          if (call !== undefined) {
            give(client, message)
          }
          return call ?? Wire.gone
        }
        case "Interrupt": {
          const call = client.calls.get(String(idOf(message.requestId)))
          if (call !== undefined) {
            abandon(client, call)
          }
          return Wire.done
        }
        case "Ping":
          return client.parser.encode(RpcMessage.constPong) ?? Wire.done
        case "Eof":
          return Wire.done
      }
    }

    /**
     * Answers messages that came together: with all that is known by the next turn of the event loop, so that none waits for
     * another. When the server stops nobody can ask again, so all is waited for.
     */
    const takeTogether = (client: Client, messages: ReadonlyArray<RpcMessage.FromClientEncoded>): Answer => {
      const taken = messages.map((message) => take(client, message))
      const known = taken.map((what) => what instanceof Call ? look(client, what) : what)
      if (known.every((answer) => answer !== undefined)) {
        return Wire.all(known.map(Frames.make))
      }
      return new DeferredReply((settle) => {
        let cancel: () => void
        const turn = onNextTurn(() => {
          const answers = taken.map((what, i) =>
            known[i] ?? (isStopping ? attend(client, what) : what instanceof Call ? look(client, what) ?? [] : what)
          )
          cancel = pass(combine(answers, Wire.all), settle)
        })
        cancel = () => clearImmediate(turn)
        return () => cancel()
      })
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

    /** Answers a message of the other half. */
    const answerWord = (client: Client, word: string, rest: Frames.Frames): Answer => {
      if (word === "Stream") {
        const [message, ...more] = rest.flatMap((frame) => decode(client, frame) ?? [])
        return message === undefined || more.length > 0 ? malformed : attend(client, take(client, message, true))
      }
      const calls = rest.flatMap((id) => client.calls.get(Frames.toString([id])) ?? [])
      switch (word) {
        case "Wait":
          return attend(client, calls[0] ?? Wire.gone)
        case "Keep":
          for (const call of calls) {
            call.heardAt = now
          }
          return Wire.done
        default:
          return malformed
      }
    }

    /** Answers a request of the pair, whatever it holds. */
    const handler = (request: Request): Answer => {
      if (write === undefined || (request.state === "ACTIVE" && !isInTerm)) {
        return whenServed(request)
      }
      const client = clientOf(request.client)
      const { body } = request
      const word = Wire.wordOf(body)
      if (word !== undefined) {
        return answerWord(client, word, Wire.restOf(body))
      }
      const decoded = body.map((frame) => decode(client, frame))
      if (decoded.length === 1 && decoded[0]?.length === 1) {
        return attend(client, take(client, decoded[0][0]!))
      }
      if (decoded.length === 1 && decoded[0] !== undefined) {
        // A batch of the serialization, which is answered as such.
        return combine(decoded[0].map((message) => attend(client, take(client, message))), (answers) => answers.flat())
      }
      const messages = decoded.flatMap((messages) => messages?.length === 1 ? messages : [])
      return messages.length === 0 || messages.length < decoded.length ? malformed : takeTogether(client, messages)
    }

    /** Hands over what could not be before. What still cannot be comes back. */
    const goOn = () => {
      for (const go of Array.from(early)) {
        go()
      }
    }

    const whenServed = (request: Request) =>
      new DeferredReply((settle) => {
        let cancel = () => {
          early.delete(go)
        }
        const go = () => {
          early.delete(go)
          cancel = pass(handler(request), settle)
        }
        early.add(go)
        return () => cancel()
      })

    /** Brings what the RPC server says to those who wait for it. */
    const send = (client: Client, response: RpcMessage.FromServerEncoded) => {
      switch (response._tag) {
        case "Chunk": {
          const call = client.calls.get(response.requestId)
          if (call !== undefined && !call.isOver && !call.isUnwanted) {
            const answer = encode(client.parser, response)
            if (!tell(call, answer)) {
              call.unsaid.push(answer)
            }
          }
          break
        }
        case "Exit": {
          const call = client.calls.get(response.requestId)
          if (call !== undefined) {
            end(client, call, call.isUnwanted ? Wire.gone : encode(client.parser, response))
          }
          break
        }
        case "Defect": {
          // To the client this is the end of all its calls. Of streams nobody will ask for more.
          const answer = encode(client.parser, response)
          for (const call of [...client.calls.values()].filter((call) => !call.isOver)) {
            end(client, call, answer)
            if (call.isStream) {
              interrupt(client, call)
            }
          }
          break
        }
        // Pings are answered above, and the other is made by clients.
        case "Pong":
        case "ClientProtocolError":
          break
      }
    }

    const member = yield* BinaryStar.make({ ...options, concurrency: options.concurrency ?? concurrency }, handler)

    /** Answers those who have waited long, and gives up calls whose clients are silent. To be run every second. */
    const lookAfterCalls = Effect.sync(() => {
      now++
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
            abandon(client, call)
          }
        }
        if (client.calls.size === 0 && now - client.heardAt >= Wire.silenceSeconds) {
          forget(client)
        }
      }
    })

    yield* lookAfterCalls.pipe(
      Effect.catchAllCause((cause) => Effect.logError("looking after the calls has failed", cause)),
      Effect.schedule(Schedule.spaced("1 second")),
      Effect.interruptible,
      Effect.forkScoped
    )

    const beginAll = Effect.sync(() => {
      isInTerm = true
      goOn()
    })

    /** Ends all that runs, disconnects everybody, and waits until nothing runs. */
    const endAll = Effect.suspend(() => {
      isInTerm = false
      for (const [client, call] of callsOf(() => true)) {
        abandon(client, call)
      }
      // This reaches what the RPC server has told the end of although it goes on: what else its client had when a call died.
      for (const client of clients.values()) {
        disconnects.unsafeOffer(client.id)
      }
      return until(() => running.isEmpty)
    }).pipe(
      Effect.zipRight(Effect.sync(() => {
        for (const client of clients.values()) {
          forget(client)
        }
      }))
    )

    // Nothing goes on in a server that is not active any more, and none says that it is not before all has ended.
    yield* member.whileActive(Effect.acquireUseRelease(beginAll, () => Effect.never, () => endAll)).pipe(
      // That the member has ended is told by its `join`.
      Effect.ignore,
      Effect.interruptible,
      Effect.forkScoped
    )

    /** Nobody who waits for a call is between two requests. */
    const allWait = until(() => callsOf((call) => !call.isUnwanted && call.waiters.length === 0).length === 0)

    const stop = Effect.sync(() => {
      isStopping = true
      // They may be without an end, so they are not waited for.
      for (const [client, call] of callsOf(({ isStream }) => isStream)) {
        tell(call, Wire.gone)
        abandon(client, call)
      }
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
              goOn()
              return Effect.never
            }).pipe(
              Effect.ensuring(stop),
              Effect.ensuring(Effect.sync(() => {
                write = undefined
              }))
            )
          ),
        send: (id, response) =>
          Effect.sync(() => {
            const client = clients.get(names.get(id) ?? "")
            if (client !== undefined) {
              send(client, response)
            }
          }),
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
