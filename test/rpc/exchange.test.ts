/**
 * The sessions of both ends, without a member, sockets or time, over a network that delays, repeats and loses messages.
 */
import type * as RpcMessage from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { RequestError } from "../../src/client/RequestError.ts"
import { DeferredReply } from "../../src/member/Handler.ts"
import type { Call, Step } from "../../src/rpc/clientCalls.ts"
import { ClientCalls } from "../../src/rpc/clientCalls.ts"
import * as ControlFrame from "../../src/rpc/controlFrame.ts"
import { HandlerFibers } from "../../src/rpc/handlerFibers.ts"
import { MessageCodec, readResponse } from "../../src/rpc/messages.ts"
import { ServerSession } from "../../src/rpc/serverSession.ts"
import * as Frames from "../../src/wire/Frames.ts"

/** A request of the pair: its call, unless it is an interrupt, whose reply is of no interest. */
interface Request {
  readonly call: Call | undefined
  readonly body: Frames.Frames
  /** The first reply completes it; the client drops any other. */
  isComplete: boolean
}

/** What the RPC server runs. */
interface Execution {
  readonly clientId: number
  readonly id: string
  made: number
  mayMake: boolean
  hasEnded: boolean
}

/** What the caller has received. */
interface Received {
  readonly isStream: boolean
  readonly values: Array<number>
  readonly ends: Array<string>
}

/** Number of chunks that a stream which has not ended before makes at the end of a simulation. */
const chunksAtEnd = 10

class Simulation {
  readonly requests: Array<Request> = []
  readonly replies: Array<{ readonly request: Request; readonly body: Frames.Frames }> = []
  readonly executions: Array<Execution> = []
  readonly received = new Map<Call, Received>()
  readonly calls = new ClientCalls()
  readonly codec = new MessageCodec(RpcSerialization.json)
  readonly server: ServerSession
  seconds = 0

  constructor() {
    this.server = new ServerSession({
      serialization: RpcSerialization.json,
      handlerFibers: new HandlerFibers(),
      fork: Effect.runFork,
      onDisconnect: () => {}
    })
    this.server.connect((clientId, message) => Effect.sync(() => this.take(clientId, message)))
    this.server.beginTerm()
  }

  /** The RPC server takes a message. */
  take(clientId: number, message: RpcMessage.FromClientEncoded): void {
    if (message._tag === "Request") {
      assert.isTrue(this.executions.every(({ hasEnded, id }) => hasEnded || id !== message.id), "is executed already")
      this.executions.push({ clientId, id: message.id, made: 0, mayMake: true, hasEnded: false })
    } else if (message._tag === "Ack") {
      const execution = this.executions.filter(({ id }) => id === message.requestId).at(-1)
      execution!.mayMake = true
    }
  }

  /** The RPC server responds. Only streams have chunks: their ids are even. */
  respond(execution: Execution, isLast: boolean): void {
    const requestId = execution.id
    if (execution.hasEnded || (!isLast && (Number(requestId) % 2 === 1 || !execution.mayMake))) {
      return
    }
    const value = execution.made++
    execution.mayMake = false
    execution.hasEnded = isLast
    this.server.send(
      execution.clientId,
      isLast
        ? { _tag: "Exit", requestId, exit: { _tag: "Success", value } }
        : { _tag: "Chunk", requestId, values: [value] }
    )
  }

  start(resend: boolean): void {
    const id = String(this.received.size + 1)
    const isStream = Number(id) % 2 === 0
    const request = this.codec.encode({ _tag: "Request", id, tag: "Tag", payload: null, headers: [] })
    const call = this.calls.start(id, "Tag", { isStream, resend }, request)
    this.received.set(call, { isStream, values: [], ends: [] })
    this.request(call, call.next)
  }

  request(call: Call | undefined, body: Frames.Frames): void {
    this.requests.push({ call, body, isComplete: false })
  }

  /** A request arrives at the server. */
  arrive(request: Request): void {
    const reply = this.server.handle({ body: request.body, client: "client", state: "ACTIVE", term: Option.none() })
    if (reply instanceof DeferredReply) {
      reply.start((exit) => {
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        this.replies.push({ request, body: Exit.isSuccess(exit) ? Frames.make(exit.value) : [] })
      })
    } else {
      this.replies.push({ request, body: Frames.make(reply) })
    }
  }

  /** A reply arrives at the client. */
  complete(request: Request, body: Frames.Frames, wantsMore: boolean): void {
    const { call } = request
    if (call === undefined || request.isComplete) {
      return
    }
    request.isComplete = true
    const kind = ControlFrame.kindOf(body)
    this.perform(
      call,
      kind === undefined
        ? this.calls.onResponse(call, readResponse(this.codec, body))
        : this.calls.onControlFrame(call, kind),
      wantsMore
    )
  }

  /** A request or its reply is lost. The client repeats what it may repeat; the rest fails. */
  lose(request: Request): void {
    const { body, call } = request
    if (call === undefined || request.isComplete) {
      return
    }
    request.isComplete = true
    if (call.resend) {
      this.request(call, body)
    } else {
      this.perform(
        call,
        this.calls.onRequestError(call, new RequestError({ reason: "NoReply", servers: [], attempts: 1 }))
      )
    }
  }

  perform(call: Call, step: Step, wantsMore = true): void {
    const { ends, values } = this.received.get(call)!
    switch (step._tag) {
      case "Send":
        return this.request(call, call.next)
      case "DeliverChunk":
        assert(step.response._tag === "Chunk")
        values.push(...(step.response.values as ReadonlyArray<number>))
        if (wantsMore) {
          this.calls.acknowledge(call.id)
        }
        return this.perform(
          call,
          this.calls.onDelivered(call, () => this.codec.encode({ _tag: "Ack", requestId: call.id }))
        )
      case "DeliverLast":
        assert(step.response._tag === "Exit" && step.response.exit._tag === "Success")
        values.push(step.response.exit.value as number)
    }
    ends.push(step._tag)
    if (this.calls.end(call)) {
      this.request(undefined, this.codec.encode({ _tag: "Interrupt", requestId: call.id }))
    }
  }

  /** Removes and returns the n-th of some messages. */
  pick<A>(messages: Array<A>, n: number): A | undefined {
    return messages.splice(n % Math.max(messages.length, 1), 1)[0]
  }

  act(action: string, n: number): void {
    const execution = this.executions[n % Math.max(this.executions.length, 1)]
    switch (action) {
      case "start":
        return this.start(n % 3 === 0)
      case "tick":
        // Polls are answered then.
        return Array.from({ length: ControlFrame.pollSeconds }).forEach(() => this.server.tick())
      case "chunk":
      case "last":
        return execution === undefined ? undefined : this.respond(execution, action === "last")
    }
    if (action.endsWith("request")) {
      const request = this.pick(this.requests, n)
      if (request !== undefined && action !== "lose request") {
        this.arrive(request)
      }
      if (request !== undefined && action === "lose request") {
        this.lose(request)
      }
      if (request?.call?.resend === true && action === "repeat request") {
        this.requests.push(request)
      }
    } else {
      const reply = this.pick(this.replies, n)
      if (reply !== undefined && action === "lose reply") {
        this.lose(reply.request)
      } else if (reply !== undefined) {
        this.complete(reply.request, reply.body, n % 7 !== 0)
      }
    }
  }

  /** Lets streams go on for a while, and everything end, without further losses. */
  finish(): void {
    for (let round = 0; round < 50; round++) {
      this.requests.splice(0).forEach((request) => this.arrive(request))
      this.executions.forEach((execution) => this.respond(execution, round > chunksAtEnd))
      this.replies.splice(0).forEach(({ body, request }) => this.complete(request, body, true))
      this.server.tick()
    }
  }
}

const actions = FastCheck.array(
  FastCheck.tuple(
    FastCheck.constantFrom(
      ...["start", "tick", "chunk", "last", "request", "request", "reply", "reply"],
      ...["repeat request", "lose request", "lose reply"]
    ),
    FastCheck.nat(41)
  ),
  { minLength: 20, maxLength: 150, size: "max" }
)

const orderly = FastCheck.array(
  FastCheck.tuple(
    FastCheck.constantFrom("start", "chunk", "last", "request", "reply"),
    FastCheck.nat(6).map((n) => n + 1)
  ),
  { minLength: 20, maxLength: 150, size: "max" }
)

const run = (actions: ReadonlyArray<readonly [string, number]>) => {
  const simulation = new Simulation()
  for (const [action, n] of actions) {
    simulation.act(action, n)
  }
  const open = simulation.executions.filter(({ hasEnded }) => !hasEnded)
  simulation.finish()
  return { simulation, open }
}

describe("client and server", () => {
  it.prop(
    "with losses and repetitions: every call ends once, values are in order, and what may not be resent is executed once",
    { actions },
    ({ actions }) => {
      const { executions, received, server } = run(actions).simulation
      for (const [call, { ends, isStream, values }] of received) {
        assert.strictEqual(ends.length, 1, `call ${call.id}`)
        if (isStream) {
          assert.deepStrictEqual(values, values.map((_, i) => i))
        } else {
          assert.strictEqual(values.length, ends[0] === "DeliverLast" ? 1 : 0)
        }
        if (!call.resend) {
          assert.isAtMost(executions.filter(({ id }) => id === call.id).length, 1)
        }
      }
      assert.strictEqual(server.clientIds.size, 0)
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.prop(
    "without losses: every call is executed once, and every response is received once",
    { orderly },
    ({ orderly }) => {
      const { open, simulation: { executions, received } } = run(orderly.filter(([, n]) => n % 7 !== 0))
      assert.strictEqual(executions.length, received.size)
      for (const [call, { ends, isStream, values }] of received) {
        const execution = executions.find(({ id }) => id === call.id)!
        assert.deepStrictEqual(ends, ["DeliverLast"])
        assert.isTrue(
          !isStream || !open.includes(execution) || execution.made >= chunksAtEnd,
          `${execution.made} chunks`
        )
        assert.deepStrictEqual(values, isStream ? Array.from({ length: execution.made }, (_, i) => i) : [0])
      }
    },
    { fastCheck: { numRuns: 300 } }
  )
})
