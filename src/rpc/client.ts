import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import type * as RpcMessage from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { BinaryStarClient } from "../client/BinaryStarClient.ts"
import type { RequestError } from "../client/RequestError.ts"
import { atEndOfTurn } from "../internal/Scheduler.ts"
import type * as Frames from "../wire/Frames.ts"
import type { Call, Procedure, Step } from "./clientCalls.ts"
import { ClientCalls } from "./clientCalls.ts"
import * as ControlFrame from "./controlFrame.ts"
import { MessageCodec, readResponse } from "./messages.ts"
import type { PendingMessage } from "./sendBuffer.ts"
import { isSmall, SendBuffer } from "./sendBuffer.ts"

/** Limit for a server to reply to an interrupt or a keep-alive. */
const controlTimeout = "1 second"

/** Limit for a client that is closed to interrupt its calls at the servers. */
const closeTimeout = "200 millis"

/** Time after which the RPC client may forget a failed call: by then its caller has received the error. */
const forgetDelay = "1 second"

interface Options {
  readonly request: (body: Frames.Frames, resend: boolean) => Effect.Effect<Frames.Frames, RequestError>
  readonly codec: MessageCodec
  readonly procedureOf: (tag: string) => Procedure
  readonly writeResponse: (response: RpcMessage.FromServerEncoded) => Effect.Effect<void>
  /** Runs requests that no caller waits for, or several do. */
  readonly runInBackground: <A>(request: Effect.Effect<A, RequestError>) => Fiber.RuntimeFiber<A, RequestError>
  readonly scope: Scope.Scope
}

/** A message whose sender waits for the reply. */
interface Pending extends PendingMessage {
  readonly resume: (reply: Effect.Effect<Frames.Frames, RequestError>) => void
  /** Called if the sender does not wait any more. */
  cancel: () => void
}

/** Moves messages between the RPC client and the requests to the pair. */
class ClientSession {
  readonly #options: Options
  readonly #calls = new ClientCalls()
  readonly #sendBuffer = new SendBuffer<Pending>()

  constructor(options: Options) {
    this.#options = options
  }

  /** Takes a message of the RPC client. */
  send(message: RpcMessage.FromClientEncoded): Effect.Effect<void, RpcClientError> {
    switch (message._tag) {
      case "Request": {
        const encoded = this.#options.codec.encode(message)
        return encoded.length === 0
          ? Effect.void
          : this.#run(this.#calls.start(message.id, message.tag, this.#options.procedureOf(message.tag), encoded))
      }
      case "Ack":
        this.#calls.acknowledge(message.requestId)
        return Effect.void
      // A call that is interrupted has ended by then.
      case "Interrupt":
      case "Ping":
      case "Eof":
        return Effect.void
    }
  }

  /** Keeps calls alive that send no message because their reader has no room. */
  readonly keepAlive: Effect.Effect<void> = Effect.suspend(() => {
    const ids = this.#calls.delivering
    return ids.length === 0 ? Effect.void : this.#sendControl(ControlFrame.make("KeepAlive", ...ids))
  })

  interruptAll(): void {
    this.#calls.endAll().forEach((call) => this.#interrupt(call))
  }

  /**
   * Runs a call until it ends, in the fiber of its caller: one message and one reply at a time. So no other fiber is needed,
   * and no response is delivered while another is.
   */
  #run(call: Call): Effect.Effect<void, RpcClientError> {
    return Effect.onExit(this.#exchange(call), (exit) => {
      if (this.#calls.end(call)) {
        this.#interrupt(call)
      }
      return Exit.isSuccess(exit) ? Effect.void : this.#forgetLater(call)
    })
  }

  #exchange(call: Call): Effect.Effect<void, RpcClientError> {
    // The only call need not wait for others of this turn.
    const request = this.#calls.size === 1
      ? this.#options.request(call.next, call.resend)
      : this.#request(call.next, call.resend)
    return Effect.matchEffect(request, {
      onFailure: (error) => this.#perform(call, this.#calls.onRequestError(call, error), error),
      onSuccess: (reply) => {
        const kind = ControlFrame.kindOf(reply)
        return this.#perform(
          call,
          kind === undefined
            ? this.#calls.onResponse(call, readResponse(this.#options.codec, reply))
            : this.#calls.onControlFrame(call, kind)
        )
      }
    })
  }

  #perform(call: Call, step: Step, cause?: RequestError): Effect.Effect<void, RpcClientError> {
    switch (step._tag) {
      case "Send":
        return this.#exchange(call)
      case "DeliverChunk":
        // Waits until there is room for it.
        return Effect.flatMap(
          this.#options.writeResponse(step.response),
          () => this.#perform(call, this.#calls.onDelivered(call, () => this.#encode("Ack", call)))
        )
      case "DeliverLast":
        return this.#options.writeResponse(step.response)
      case "End":
        // `run` interrupts a call that has not ended.
        return Effect.void
      case "Fail":
        return new RpcClientError({ reason: "Protocol", message: step.message, cause })
    }
  }

  /** The RPC client keeps a call until it receives its end, and a failure to send is none. */
  #forgetLater(call: Call): Effect.Effect<void> {
    return this.#options.writeResponse({
      _tag: "Exit",
      requestId: call.id,
      exit: { _tag: "Failure", cause: { _tag: "Empty" } }
    }).pipe(
      Effect.delay(forgetDelay),
      Effect.interruptible,
      Effect.forkIn(this.#options.scope),
      Effect.asVoid
    )
  }

  #interrupt(call: Call): void {
    const message = this.#encode("Interrupt", call)
    if (message.length > 0) {
      this.#options.runInBackground(this.#sendControl(message))
    }
  }

  #encode(_tag: "Ack" | "Interrupt", call: Call): Frames.Frames {
    return this.#options.codec.encode({ _tag, requestId: call.id })
  }

  #sendControl(body: Frames.Frames): Effect.Effect<void> {
    return this.#request(body, false).pipe(Effect.timeout(controlTimeout), Effect.ignore, Effect.interruptible)
  }

  /** Sends a message, small ones together with all others of this turn, and waits for the reply. */
  #request(body: Frames.Frames, resend: boolean): Effect.Effect<Frames.Frames, RequestError> {
    return Effect.async((resume) => {
      const message: Pending = { body, resend, resume, cancel: () => this.#sendBuffer.delete(message) }
      if (!isSmall(message)) {
        this.#sendAlone(message)
        return
      }
      const added = this.#sendBuffer.add(message)
      if (added === "Full") {
        this.#flush()
      } else if (added === "First") {
        // Each step of the scheduler adds one of the calls that are made at the same time.
        atEndOfTurn(() => this.#flush())
      }
      return Effect.sync(() => message.cancel())
    })
  }

  #flush(): void {
    for (const batch of this.#sendBuffer.takeBatches()) {
      if (batch.length === 1) {
        this.#sendAlone(batch[0]!)
      } else {
        this.#sendTogether(batch)
      }
    }
  }

  /** The sender's fiber makes the request, so that it costs no other. */
  #sendAlone({ body, resend, resume }: Pending): void {
    resume(this.#options.request(body, resend))
  }

  #sendTogether(batch: ReadonlyArray<Pending>): void {
    const body = batch.flatMap((message) => message.body)
    const fiber = this.#options.runInBackground(
      Effect.interruptible(this.#options.request(body, batch[0]!.resend))
    )
    let waitingCount = batch.length
    for (const message of batch) {
      message.cancel = () => {
        if (--waitingCount === 0) {
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
      }
    }
    fiber.addObserver((exit) => {
      const replies = Exit.isSuccess(exit) && ControlFrame.kindOf(exit.value) === "Batch"
        ? ControlFrame.contentOf(exit.value)
        : undefined
      batch.forEach(({ resume }, i) => {
        const reply = replies?.[i]
        resume(reply === undefined ? exit : Exit.succeed(reply.length === 0 ? ControlFrame.stillRunning : [reply]))
      })
    })
  }
}

export const make = (procedureOf: (tag: string) => Procedure): Effect.Effect<
  RpcClient.Protocol["Type"],
  never,
  BinaryStarClient | RpcSerialization.RpcSerialization | Scope.Scope
> =>
  RpcClient.Protocol.make(Effect.fnUntraced(function*(writeResponse) {
    const { request } = yield* BinaryStarClient
    const backgroundRequests = yield* FiberSet.make<unknown, RequestError>()
    const session = new ClientSession({
      // The RPC client sends its span to the RPC server by itself.
      request: (body, resend) => request(body, { resend, trace: false }),
      codec: new MessageCodec(yield* RpcSerialization.RpcSerialization),
      procedureOf,
      writeResponse,
      runInBackground: yield* FiberSet.runtime(backgroundRequests)<never>(),
      scope: yield* Scope.Scope
    })
    yield* session.keepAlive.pipe(
      Effect.schedule(Schedule.spaced(Duration.seconds(ControlFrame.pollSeconds))),
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        session.interruptAll()
        return FiberSet.awaitEmpty(backgroundRequests)
      }).pipe(Effect.interruptible, Effect.timeout(closeTimeout), Effect.ignore)
    )
    return {
      send: (message) => Effect.suspend(() => session.send(message)),
      supportsAck: true,
      supportsTransferables: false
    }
  }))
