import * as RpcMessage from "@effect/rpc/RpcMessage"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import type * as RpcServer from "@effect/rpc/RpcServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { beginSlice } from "../internal/Scheduler.ts"
import type { Request } from "../member/Handler.ts"
import { DeferredReply } from "../member/Handler.ts"
import * as Frames from "../wire/Frames.ts"
import * as ControlFrame from "./controlFrame.ts"
import type { HandlerFibers } from "./handlerFibers.ts"
import { callIdOf, MessageCodec, readRequest } from "./messages.ts"
import type { Reply, Waiter } from "./replies.ts"
import { combine, forward, malformed } from "./replies.ts"
import * as ServerCalls from "./serverCalls.ts"

type Call = ServerCalls.Call<Waiter>
type Client = ServerCalls.Client<Waiter>

/** Hands a message to the RPC server. */
type Write = Parameters<RpcServer.Protocol["Type"]["run"]>[0]

export interface Options {
  readonly serialization: RpcSerialization.RpcSerialization["Type"]
  readonly handlerFibers: HandlerFibers
  /** Starts a fiber in which the RPC server takes a message, supervised by `handlerFibers`. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  readonly onDisconnect: (clientId: number) => void
}

/** Moves messages between the requests of a member and the RPC server. */
export class ServerSession {
  readonly #options: Options
  readonly #calls = new ServerCalls.ServerCalls<Waiter>()
  readonly #codecs = new Map<number, MessageCodec>()
  /** Requests that the RPC server has not taken yet. */
  readonly #deliveries = new Map<Call, Fiber.RuntimeFiber<void>>()
  /** Requests that arrived before there was an RPC server, or before the term had begun. */
  readonly #early = new Set<() => void>()
  readonly #watchers = new Set<() => void>()
  #write: Write | undefined
  #isInTerm = false
  #isStopping = false
  /** Counted by `tick`, so that it does not go on during a stall: no client is then taken for silent. */
  #seconds = 0

  constructor(options: Options) {
    this.#options = options
    options.handlerFibers.onEmpty = () => this.#notify()
  }

  get clientIds(): ReadonlySet<number> {
    return new Set(this.#calls.clientIds)
  }

  /** Sets or removes the RPC server. */
  connect(write: Write | undefined): void {
    this.#write = write
    this.#handleEarly()
  }

  beginTerm(): void {
    this.#isInTerm = true
    this.#handleEarly()
  }

  /** Interrupts all calls, waits until none of their fibers runs, and disconnects all clients. */
  readonly endTerm: Effect.Effect<void> = Effect.suspend(() => {
    this.#isInTerm = false
    this.#interruptAll(this.#calls.abandonAll())
    // Reaches calls, too, that the RPC server has reported as ended by a defect although they go on.
    for (const id of this.#calls.clientIds) {
      this.#options.onDisconnect(id)
    }
    return this.#until(() => this.#options.handlerFibers.isEmpty)
  }).pipe(
    Effect.zipRight(Effect.sync(() => this.#disconnect(this.#calls.disconnectAll())))
  )

  /** Ends all streams, since they may have no end. From now on polls wait until their call ends. */
  beginStop(): void {
    this.#isStopping = true
    const { calls, waiters } = this.#calls.abandonStreams()
    this.#complete(waiters, ControlFrame.unknown)
    this.#interruptAll(calls)
  }

  /** Waits until every call that is still wanted has a poll that waits. */
  readonly allPolled: Effect.Effect<void> = Effect.suspend(() => this.#until(() => !this.#calls.hasUnpolledCalls))

  /** To be called once a second. */
  tick(): void {
    this.#seconds++
    const { calls, clients, polls } = this.#calls.expire(this.#seconds, this.#isStopping)
    this.#complete(polls, ControlFrame.stillRunning)
    this.#interruptAll(calls)
    this.#disconnect(clients)
    this.#notify()
  }

  /** Handles a request of the member. */
  readonly handle = (request: Request): Reply => {
    if (this.#write === undefined || (request.state === "ACTIVE" && !this.#isInTerm)) {
      return this.#handleLater(request)
    }
    const client = this.#calls.connect(request.client, this.#seconds)
    const incoming = readRequest(this.#codecOf(client), request.body)
    switch (incoming._tag) {
      case "Message":
        return this.#replyTo(this.#receive(client, incoming.message, incoming.isStream))
      case "SerializedBatch":
        return combine(
          incoming.messages.map((message) => this.#replyTo(this.#receive(client, message, false))),
          (replies) => replies.flat()
        )
      case "Batch":
        return this.#receiveBatch(client, incoming.messages)
      case "Poll":
        return this.#replyTo(client.calls.get(incoming.callIds[0] ?? "") ?? ControlFrame.unknown)
      case "KeepAlive":
        this.#calls.keepAlive(client, incoming.callIds, this.#seconds)
        return ControlFrame.ok
      case "Malformed":
        return malformed
    }
  }

  /** Takes a response of the RPC server. */
  send(clientId: number, response: RpcMessage.FromServerEncoded): void {
    const client = this.#calls.clientById(clientId)
    if (client === undefined) {
      return
    }
    switch (response._tag) {
      case "Chunk": {
        const call = client.calls.get(response.requestId)
        if (call?.phase === "Running") {
          const encoded = this.#codecOf(client).encodeResponse(response)
          this.#complete(this.#calls.onChunk(call, encoded), encoded)
        }
        return
      }
      case "Exit": {
        const call = client.calls.get(response.requestId)
        if (call !== undefined) {
          const isAbandoned = call.phase === "Abandoned"
          this.#end(call, isAbandoned ? ControlFrame.unknown : this.#codecOf(client).encodeResponse(response))
        }
        return
      }
      case "Defect": {
        const encoded = this.#codecOf(client).encodeResponse(response)
        const { streams, waiters } = this.#calls.onDefect(client, encoded)
        this.#complete(waiters, encoded)
        this.#interruptAll(streams)
        this.#notify()
        return
      }
      // Pings are answered by `receive`, and only a client makes the other.
      case "Pong":
      case "ClientProtocolError":
    }
  }

  /** Takes a message of an RPC client, and returns the call whose next response is the reply, or the reply. */
  #receive(client: Client, message: RpcMessage.FromClientEncoded, isStream: boolean): Call | Frames.Input {
    switch (message._tag) {
      case "Request": {
        const id = String(callIdOf(message.id))
        // A client that receives no reply repeats its request, which must not be executed again while it runs.
        return client.calls.get(id) ?? this.#start(client, message, id, isStream)
      }
      case "Ack": {
        const call = client.calls.get(String(callIdOf(message.requestId)))
        if (call !== undefined) {
          this.#deliver(client, message)
        }
        return call ?? ControlFrame.unknown
      }
      case "Interrupt": {
        const call = client.calls.get(String(callIdOf(message.requestId)))
        if (call !== undefined && this.#calls.abandon(call)) {
          this.#interrupt(call)
        }
        return ControlFrame.ok
      }
      case "Ping":
        return this.#codecOf(client).encode(RpcMessage.constPong)
      case "Eof":
        return ControlFrame.ok
    }
  }

  /**
   * Replies to messages that arrived together with all responses that are known in the next turn of the event loop, so that
   * none waits for another. While the server stops, clients cannot poll any more, and all responses are waited for.
   */
  #receiveBatch(client: Client, messages: ReadonlyArray<RpcMessage.FromClientEncoded>): Reply {
    const received = messages.map((message) => this.#receive(client, message, false))
    const known = received.map((it) => it instanceof ServerCalls.Call ? this.#poll(it) : it)
    if (known.every((reply) => reply !== undefined)) {
      return ControlFrame.batch(known.map(Frames.make))
    }
    return new DeferredReply((waiter) => {
      const replyTo = (it: Call | Frames.Input): Reply =>
        this.#isStopping || !(it instanceof ServerCalls.Call) ? this.#replyTo(it) : this.#poll(it) ?? []
      let cancel: () => void
      const turn = setImmediate(() => {
        beginSlice()
        cancel = forward(combine(received.map((it, i) => known[i] ?? replyTo(it)), ControlFrame.batch), waiter)
      })
      cancel = () => clearImmediate(turn)
      return () => cancel()
    })
  }

  #start(client: Client, message: RpcMessage.RequestEncoded, id: string, isStream: boolean): Call {
    const call = this.#calls.add(client, id, isStream, this.#seconds)
    const fiber = this.#deliver(client, message)
    const exit = fiber.unsafePoll()
    if (exit === null) {
      this.#deliveries.set(call, fiber)
      fiber.addObserver((exit) => {
        this.#deliveries.delete(call)
        this.#onHandedOver(call, exit)
      })
    } else {
      this.#onHandedOver(call, exit)
    }
    return call
  }

  #onHandedOver(call: Call, exit: Exit.Exit<void>): void {
    if (Exit.isFailure(exit)) {
      this.#end(call, ControlFrame.unknown)
    } else if (call.phase === "Abandoned") {
      this.#interrupt(call)
    }
  }

  #deliver(client: Client, message: RpcMessage.FromClientEncoded): Fiber.RuntimeFiber<void> {
    this.#options.handlerFibers.isHandingOver = true
    return this.#options.fork(this.#write === undefined ? Effect.void : this.#write(client.id, message))
  }

  #interrupt(call: Call): void {
    const delivery = this.#deliveries.get(call)
    if (delivery === undefined) {
      this.#deliver(call.client, { _tag: "Interrupt", requestId: call.id })
    } else {
      delivery.unsafeInterruptAsFork(FiberId.none)
    }
  }

  #interruptAll(calls: ReadonlyArray<Call>): void {
    calls.forEach((call) => this.#interrupt(call))
  }

  #end(call: Call, response: Frames.Input): void {
    this.#complete(this.#calls.onEnd(call, response), response)
    this.#notify()
  }

  #poll(call: Call): Frames.Input | undefined {
    const response = this.#calls.poll(call, this.#seconds)
    if (response !== undefined) {
      this.#notify()
    }
    return response
  }

  #replyTo(received: Call | Frames.Input): Reply {
    return received instanceof ServerCalls.Call ? this.#poll(received) ?? this.#wait(received) : received
  }

  #wait(call: Call): DeferredReply {
    return new DeferredReply((waiter) => {
      this.#calls.addWaiter(call, waiter, this.#seconds)
      this.#notify()
      // Called if the request has timed out, or this server is not active any more.
      return () => {
        if (this.#calls.removeWaiter(call, waiter)) {
          this.#interrupt(call)
        }
      }
    })
  }

  #handleLater(request: Request): DeferredReply {
    return new DeferredReply((waiter) => {
      let cancel = () => {
        this.#early.delete(retry)
      }
      const retry = () => {
        this.#early.delete(retry)
        cancel = forward(this.handle(request), waiter)
      }
      this.#early.add(retry)
      return () => cancel()
    })
  }

  /** Requests that are still early are added again. */
  #handleEarly(): void {
    for (const retry of Array.from(this.#early)) {
      retry()
    }
  }

  #complete(waiters: ReadonlyArray<Waiter>, response: Frames.Input): void {
    for (const waiter of waiters) {
      waiter(Exit.succeed(response))
    }
  }

  #disconnect(clientIds: ReadonlyArray<number>): void {
    for (const id of clientIds) {
      this.#codecs.delete(id)
      this.#options.onDisconnect(id)
    }
  }

  #codecOf({ id }: Client): MessageCodec {
    let codec = this.#codecs.get(id)
    if (codec === undefined) {
      codec = new MessageCodec(this.#options.serialization)
      this.#codecs.set(id, codec)
    }
    return codec
  }

  /** Waits for a condition over the calls and fibers. */
  #until(isMet: () => boolean): Effect.Effect<void> {
    return Effect.async((resume) => {
      const watcher = () => {
        if (isMet()) {
          this.#watchers.delete(watcher)
          resume(Effect.void)
        }
      }
      this.#watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.#watchers.delete(watcher))
    })
  }

  #notify(): void {
    for (const watcher of this.#watchers) {
      watcher()
    }
  }
}
