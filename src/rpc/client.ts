import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import type * as RpcMessage from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { BinaryStarClient } from "../client/BinaryStarClient.ts"
import type { RequestError } from "../client/RequestError.ts"
import { atEndOfTurn } from "../internal/Scheduler.ts"
import * as Frames from "../wire/Frames.ts"
import * as Wire from "./wire.ts"

/**
 * What is known of a procedure.
 *
 * @internal
 */
export interface Kind {
  readonly isStream: boolean
  /** Whether it may be executed more than once. */
  readonly resend: boolean
}

/** A call that has no result yet. */
interface Call {
  readonly id: string
  readonly tag: string
  readonly resend: boolean
  /** How it began, how more is asked for, and what is asked for next. */
  readonly request: Frames.Frames
  more: Frames.Frames | undefined
  next: Frames.Frames
  /** Whether the RPC client wants more than the chunk that it got last. */
  wantsMore: boolean
  /** Whether there is nothing left that the server would have to be told. */
  isOver: boolean
  /** Whether the RPC client has ended it because of a defect. What the server says of it may not end any other call. */
  isLost: boolean
}

/** Something that the server is asked, and who waits for the answer. */
interface Letter {
  readonly body: Frames.Frames
  readonly resend: boolean
  readonly resume: (answer: Effect.Effect<Frames.Frames, RequestError>) => void
  /** Nobody waits for the answer any more. */
  drop: () => void
}

/** Messages that go together, at the most, and how large they may be, in bytes. Larger ones would hold up the others. */
const togetherAtMost = 32
const smallBytes = 4096

/** What goes together belongs to no span. The RPC client tells the RPC server its span by itself. */
const withoutSpan = Effect.mapInputContext(Context.omit(Tracer.ParentSpan)) as <A, E>(
  self: Effect.Effect<A, E>
) => Effect.Effect<A, E>

/** How long a server may take to hear that a call was interrupted. */
const interruptTimeout = "1 second"

/** How long a client that is closed waits for its servers to hear of the calls that it gives up. */
const farewellTimeout = "200 millis"

/** How long it takes at the least until a failed call is known to the one who has made it. */
const settled = "1 second"

/** @internal */
export const make = (kindOf: (tag: string) => Kind): Effect.Effect<
  RpcClient.Protocol["Type"],
  never,
  BinaryStarClient | RpcSerialization.RpcSerialization | Scope.Scope
> =>
  RpcClient.Protocol.make(Effect.fnUntraced(function*(writeResponse) {
    const client = yield* BinaryStarClient
    const serialization = yield* RpcSerialization.RpcSerialization
    const scope = yield* Effect.scope
    const calls = new Map<string, Call>()
    // Calls whose chunk has not been taken yet. They do not ask the server for anything meanwhile.
    const full = new Set<string>()
    const errands = yield* FiberSet.make<unknown, RequestError>()
    const runErrand = yield* withoutSpan(FiberSet.runtime(errands)<never>())
    let outbox: Array<Letter> = []
    let parser = serialization.unsafeMake()

    // The fiber that waits asks by itself. It has to share the answer only with what is asked at the same time.
    const send = ({ body, resend, resume }: Letter) => resume(client.request(body, { resend }))

    const sendTogether = (letters: ReadonlyArray<Letter>, resend: boolean) => {
      const body = letters.flatMap(({ body }) => body)
      const fiber = runErrand(Effect.interruptible(client.request(body, { resend })))
      let wanted = letters.length
      for (const letter of letters) {
        letter.drop = () => {
          if (--wanted === 0) {
            fiber.unsafeInterruptAsFork(FiberId.none)
          }
        }
      }
      fiber.addObserver((exit) => {
        const answers = Exit.isSuccess(exit) && Wire.wordOf(exit.value) === "All"
          ? Wire.restOf(exit.value).map((answer) => Exit.succeed(answer.length === 0 ? Wire.still : [answer]))
          : undefined
        letters.forEach(({ resume }, i) => resume(answers?.[i] ?? exit))
      })
    }

    const sendAll = () => {
      const letters = outbox
      outbox = []
      for (const resend of [false, true]) {
        const group = letters.filter((letter) => letter.resend === resend)
        for (let i = 0; i < group.length; i += togetherAtMost) {
          const letters = group.slice(i, i + togetherAtMost)
          letters.length === 1 ? send(letters[0]!) : sendTogether(letters, resend)
        }
      }
    }

    /** Asks the server. What is small goes together with all else that is asked in this turn. */
    const request = (body: Frames.Frames, resend: boolean): Effect.Effect<Frames.Frames, RequestError> =>
      Effect.async((resume) => {
        const letter: Letter = {
          body,
          resend,
          resume,
          drop: () => {
            outbox = outbox.filter((other) => other !== letter)
          }
        }
        if (body.length > 1 || body[0]!.length > smallBytes) {
          send(letter)
        } else {
          outbox.push(letter)
          if (outbox.length === togetherAtMost) {
            sendAll()
          } else if (outbox.length === 1) {
            // Calls that are made at the same time come one in each step of the scheduler.
            atEndOfTurn(sendAll)
          }
        }
        return Effect.sync(() => letter.drop())
      })

    /** Tells the server of a call that is given up. */
    const giveUp = (call: Call) => {
      call.isOver = true
      const message = parser.encode({ _tag: "Interrupt", requestId: call.id })
      if (message !== undefined) {
        runErrand(
          request(Frames.make(message), false).pipe(
            Effect.timeout(interruptTimeout),
            Effect.ignore,
            Effect.interruptible
          )
        )
      }
    }

    const fail = (call: Call, message: string, cause?: unknown) => {
      call.isOver = true
      return new RpcClientError({ reason: "Protocol", message: `${call.tag}: ${message}`, cause })
    }

    const decode = (frames: Frames.Frames): ReadonlyArray<RpcMessage.FromServerEncoded> | undefined => {
      try {
        return frames.flatMap((frame) => parser.decode(frame)).flat() as Array<RpcMessage.FromServerEncoded>
      } catch {
        // It may have kept the beginning of something.
        parser = serialization.unsafeMake()
        return undefined
      }
    }

    /** Hands on what the server says, and asks for more where there is more. */
    const take = (call: Call, response: RpcMessage.FromServerEncoded): Effect.Effect<void, RpcClientError> => {
      if (call.isLost) {
        call.isOver = true
        return Effect.void
      }
      if (response._tag === "Defect") {
        // It ends all that are under way, and each of them is told of it.
        for (const other of calls.values()) {
          other.isLost = true
        }
      }
      if (response._tag !== "Chunk") {
        call.isOver = true
        return writeResponse(response)
      }
      call.wantsMore = false
      full.add(call.id)
      // It may have to wait until there is room for it.
      return Effect.flatMap(writeResponse(response), () => {
        full.delete(call.id)
        if (!call.wantsMore) {
          giveUp(call)
          return Effect.void
        }
        call.next = call.more ??= Frames.make(parser.encode({ _tag: "Ack", requestId: call.id }) ?? [])
        return ask(call)
      })
    }

    const onReply = (call: Call, reply: Frames.Frames): Effect.Effect<void, RpcClientError> => {
      const word = Wire.wordOf(reply)
      if (word === undefined) {
        const responses = decode(reply)
        return responses?.length === 1
          ? take(call, responses[0]!)
          : fail(call, "the server's reply cannot be understood")
      }
      switch (word) {
        case "Wait":
          call.next = Wire.say("Wait", call.id)
          return ask(call)
        case "Gone":
          if (!call.resend) {
            return fail(call, "the server that was executing it has stopped or does not know of it any more")
          }
          call.next = call.request
          return ask(call)
        default:
          return fail(call, "the server has nothing to say")
      }
    }

    const onError = (call: Call, error: RequestError) => {
      const wasExecuted = call.next !== call.request || (error.attempts > 0 && error.reason !== "Busy")
      return fail(call, `${error.message}; it ${wasExecuted ? "may have been" : "was not"} executed`, error)
    }

    /**
     * Each message for the server has one answer. The fiber that makes the call goes to and fro with them until it is over;
     * nothing else is needed, and no answer is handed on while another is.
     */
    const ask = (call: Call): Effect.Effect<void, RpcClientError> =>
      Effect.matchEffect(request(call.next, call.resend), {
        onFailure: (error) => onError(call, error),
        onSuccess: (reply) => onReply(call, reply)
      })

    const run = (call: Call): Effect.Effect<void, RpcClientError> => {
      calls.set(call.id, call)
      return Effect.onExit(ask(call), (exit) => {
        calls.delete(call.id)
        full.delete(call.id)
        if (!call.isOver) {
          giveUp(call)
        }
        return Exit.isSuccess(exit) ? Effect.void : forgetLater(call)
      })
    }

    /** An RPC client keeps what it knows of a call until its end, and takes no failure to send for one. */
    const forgetLater = (call: Call) =>
      writeResponse({ _tag: "Exit", requestId: call.id, exit: { _tag: "Failure", cause: { _tag: "Empty" } } }).pipe(
        Effect.delay(settled),
        Effect.interruptible,
        Effect.forkIn(scope)
      )

    yield* Effect.suspend(() =>
      full.size === 0
        ? Effect.void
        : request(Wire.say("Keep", ...full), false).pipe(
          Effect.timeout(interruptTimeout),
          Effect.ignore
        )
    ).pipe(
      Effect.schedule(Schedule.spaced(Duration.seconds(Wire.holdSeconds))),
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const call of calls.values()) {
          giveUp(call)
        }
        return FiberSet.awaitEmpty(errands)
      }).pipe(Effect.interruptible, Effect.timeout(farewellTimeout), Effect.ignore)
    )

    return {
      send: (message) =>
        Effect.suspend(() => {
          switch (message._tag) {
            case "Request": {
              const kind = kindOf(message.tag)
              const encoded = parser.encode(message)
              if (encoded === undefined) {
                return Effect.void
              }
              const body = Frames.make(encoded)
              const call = {
                id: message.id,
                tag: message.tag,
                resend: kind.resend && !kind.isStream,
                request: kind.isStream ? Wire.say("Stream", ...body) : body,
                more: undefined,
                wantsMore: true,
                isOver: false,
                isLost: false
              }
              return run({ ...call, next: call.request })
            }
            case "Ack": {
              const call = calls.get(message.requestId)
              if (call !== undefined) {
                call.wantsMore = true
              }
              return Effect.void
            }
            // A call that is interrupted has been given up by then.
            case "Interrupt":
            case "Ping":
            case "Eof":
              return Effect.void
          }
        }),
      supportsAck: true,
      supportsTransferables: false
    }
  }))
