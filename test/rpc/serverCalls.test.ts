import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as ControlFrame from "../../src/rpc/controlFrame.ts"
import type { Call } from "../../src/rpc/serverCalls.ts"
import { ServerCalls } from "../../src/rpc/serverCalls.ts"

const makeCall = (isStream = false) => {
  const calls = new ServerCalls<string>()
  const client = calls.connect("client", 0)
  return { calls, client, call: calls.add(client, "1", isStream, 0) }
}

describe("responses", () => {
  it("a response without a waiting poll is buffered, and the next poll returns it once", () => {
    const { call, calls, client } = makeCall(true)
    assert.deepStrictEqual(calls.onChunk(call, "chunk"), [])
    assert.deepStrictEqual(calls.onEnd(call, "end"), [])
    assert.strictEqual(calls.poll(call, 0), "chunk")
    assert.strictEqual(client.calls.size, 1)
    assert.strictEqual(calls.poll(call, 0), "end")
    assert.strictEqual(client.calls.size, 0)
    assert.strictEqual(calls.poll(call, 0), ControlFrame.unknown)
  })

  it("a response is given to every waiting poll of its call, and then to none", () => {
    const { call, calls, client } = makeCall(true)
    calls.addWaiter(call, "poll", 0)
    calls.addWaiter(call, "repeated poll", 1)
    assert.deepStrictEqual(calls.onChunk(call, "chunk"), ["poll", "repeated poll"])
    assert.isUndefined(calls.poll(call, 1))
    calls.addWaiter(call, "next poll", 1)
    assert.deepStrictEqual(calls.onEnd(call, "end"), ["next poll"])
    assert.strictEqual(client.calls.size, 0)
    assert.deepStrictEqual(calls.onEnd(call, "end"), [])
  })

  it("a defect ends all calls of its client, and returns the streams, which go on", () => {
    const { call, calls, client } = makeCall(true)
    calls.addWaiter(call, "poll", 0)
    calls.add(client, "2", false, 0)
    const other = calls.connect("other", 0)
    const untouched = calls.add(other, "1", true, 0)
    const { streams, waiters } = calls.onDefect(client, "defect")
    assert.deepStrictEqual(waiters, ["poll"])
    assert.deepStrictEqual(streams, [call])
    assert.strictEqual(calls.poll(client.calls.get("2")!, 0), "defect")
    assert.strictEqual(untouched.phase, "Running")
  })
})

describe("abandoned calls", () => {
  it("a cancelled poll abandons its call, unless another poll waits", () => {
    const { call, calls } = makeCall()
    calls.addWaiter(call, "poll", 0)
    calls.addWaiter(call, "repeated poll", 0)
    assert.isFalse(calls.removeWaiter(call, "poll"))
    assert.isTrue(calls.removeWaiter(call, "repeated poll"))
    assert.strictEqual(call.phase, "Abandoned")
    assert.isFalse(calls.abandon(call))
  })

  it("an abandoned call drops its responses, and stays until the RPC server reports its end", () => {
    const { call, calls, client } = makeCall(true)
    calls.onChunk(call, "chunk")
    calls.abandon(call)
    assert.deepStrictEqual(calls.onChunk(call, "another chunk"), [])
    assert.isUndefined(calls.poll(call, 0))
    assert.strictEqual(client.calls.size, 1)
    calls.onEnd(call, "end")
    assert.strictEqual(client.calls.size, 0)
  })

  it("a stop abandons streams only, and waits for calls that are not polled", () => {
    const { call, calls, client } = makeCall(true)
    calls.addWaiter(call, "poll of the stream", 0)
    const once = calls.add(client, "2", false, 0)
    assert.deepStrictEqual(calls.abandonStreams(), { waiters: ["poll of the stream"], calls: [call] })
    assert.isTrue(calls.hasUnpolledCalls)
    calls.addWaiter(once, "poll", 0)
    assert.isFalse(calls.hasUnpolledCalls)
  })
})

describe("time", () => {
  const { pollSeconds, silenceSeconds } = ControlFrame

  it("a poll waits for pollSeconds at most, unless the server stops", () => {
    const { call, calls } = makeCall()
    calls.addWaiter(call, "poll", 1)
    assert.deepStrictEqual(calls.expire(pollSeconds, false).polls, [])
    assert.deepStrictEqual(calls.expire(pollSeconds + 1, true).polls, [])
    assert.deepStrictEqual(calls.expire(pollSeconds + 1, false).polls, ["poll"])
    assert.strictEqual(call.phase, "Running")
  })

  it("a call is abandoned after silenceSeconds without a poll or a keep-alive, its client disconnected after its end", () => {
    const { call, calls, client } = makeCall()
    calls.keepAlive(client, ["1", "unknown"], 2)
    assert.deepStrictEqual(calls.expire(silenceSeconds + 1, false).calls, [])
    assert.deepStrictEqual(calls.expire(silenceSeconds + 2, false).calls, [call])
    assert.deepStrictEqual(calls.expire(silenceSeconds + 3, false), { polls: [], calls: [], clients: [] })
    calls.onEnd(call, "end")
    assert.deepStrictEqual(calls.expire(silenceSeconds + 4, false).clients, [client.id])
    assert.deepStrictEqual([...calls.clientIds], [])
    assert.notStrictEqual(calls.connect("client", 0).id, client.id)
  })

  it("a response that is not fetched for silenceSeconds is dropped", () => {
    const { call, calls, client } = makeCall()
    calls.onEnd(call, "end")
    calls.expire(silenceSeconds, false)
    assert.strictEqual(client.calls.size, 0)
  })
})

/** A poll of the property below. */
interface Poll {
  readonly received: Array<string>
}

/** What the RPC server and the client know of one execution of a call. */
interface Execution {
  readonly call: Call<Poll>
  readonly made: Array<string>
  readonly delivered: Array<string>
  mayMake: boolean
  hasEnded: boolean
}

/** The table, an RPC server that makes a chunk for each acknowledgement, and clients without any order. */
class Simulation {
  readonly calls = new ServerCalls<Poll>()
  readonly executions: Array<Execution> = []
  readonly polls: Array<Poll> = []
  now = 0

  /** The latest execution of a call. */
  of(client: number, id: number): Execution | undefined {
    return this.executions.filter(({ call }) => call.client.name === String(client) && call.id === String(id)).at(-1)
  }

  request(clientNumber: number, id: number): void {
    const client = this.calls.connect(String(clientNumber), this.now)
    if (!client.calls.has(String(id))) {
      const call = this.calls.add(client, String(id), id % 2 === 0, this.now)
      this.executions.push({ call, made: [], delivered: [], mayMake: true, hasEnded: false })
    }
    this.poll(clientNumber, id)
  }

  poll(clientNumber: number, id: number): void {
    const execution = this.of(clientNumber, id)
    const call = this.calls.connect(String(clientNumber), this.now).calls.get(String(id))
    if (execution === undefined || call !== execution.call) {
      return
    }
    execution.mayMake = true
    const response = this.calls.poll(call, this.now)
    if (response === undefined) {
      const poll: Poll = { received: [] }
      this.polls.push(poll)
      this.calls.addWaiter(call, poll, this.now)
    } else {
      execution.delivered.push(String(response))
    }
  }

  cancel(execution: Execution): void {
    const [poll] = execution.call.waiters
    if (poll !== undefined) {
      poll.received.push("cancelled")
      this.calls.removeWaiter(execution.call, poll)
    }
  }

  chunk(execution: Execution): void {
    if (execution.call.isStream && execution.mayMake && !execution.hasEnded) {
      execution.mayMake = false
      this.respond(execution, (response) => this.calls.onChunk(execution.call, response))
    }
  }

  end(execution: Execution): void {
    if (!execution.hasEnded) {
      execution.hasEnded = true
      this.respond(execution, (response) => this.calls.onEnd(execution.call, response))
    }
  }

  respond(execution: Execution, f: (response: string) => ReadonlyArray<Poll>): void {
    const response = `${this.executions.indexOf(execution)}.${execution.made.length}`
    const isWanted = execution.call.phase === "Running"
    const polls = f(response)
    if (isWanted) {
      execution.made.push(response)
      if (polls.length > 0) {
        execution.delivered.push(response)
      }
    }
    polls.forEach((poll) => poll.received.push(response))
  }

  tick(seconds: number): void {
    this.now += seconds
    this.calls.expire(this.now, false).polls.forEach((poll) => poll.received.push("still running"))
  }

  act(action: string, client: number, n: number): void {
    const execution = this.of(client, n)
    switch (action) {
      case "request":
        return this.request(client, n)
      case "poll":
        return this.poll(client, n)
      case "keepAlive":
        return this.calls.keepAlive(this.calls.connect(String(client), this.now), [String(n)], this.now)
      case "tick":
        return this.tick(n)
    }
    if (execution !== undefined) {
      switch (action) {
        case "chunk":
          return this.chunk(execution)
        case "end":
          return this.end(execution)
        case "cancel":
          return this.cancel(execution)
        case "abandon":
          this.calls.abandon(execution.call)
      }
    }
  }

  check(): void {
    for (const { call, delivered, made } of this.executions) {
      // Delivered in order, without a gap and once.
      assert.deepStrictEqual(delivered, made.slice(0, delivered.length))
      // What is neither delivered nor dropped with an abandoned call is buffered.
      if (call.phase === "Running") {
        assert.deepStrictEqual(call.bufferedResponses, made.slice(delivered.length))
      }
      assert.isAtMost(call.bufferedResponses.length, 2)
      assert.isTrue(call.waiters.length === 0 || call.bufferedResponses.length === 0)
    }
    assert.isTrue(this.polls.every(({ received }) => received.length <= 1))
  }
}

const client = FastCheck.nat(1)
// Even ones are streams.
const id = FastCheck.nat(2)
const seconds = FastCheck.constantFrom(1, ControlFrame.pollSeconds)
const actions = FastCheck.array(
  FastCheck.oneof(
    FastCheck.tuple(FastCheck.constantFrom("request", "poll", "chunk", "end", "cancel", "abandon"), client, id),
    FastCheck.tuple(FastCheck.constant("keepAlive"), client, id),
    FastCheck.tuple(FastCheck.constant("tick"), client, seconds)
  ),
  { maxLength: 120, size: "max" }
)

describe("in any order of events", () => {
  it.prop(
    "no response is lost, none is delivered twice, buffers are bounded and every call ends",
    { actions },
    ({ actions }) => {
      const simulation = new Simulation()
      for (const [action, client, n] of actions) {
        simulation.act(action, client, n)
        simulation.check()
      }
      // No client polls any more.
      simulation.tick(ControlFrame.pollSeconds)
      simulation.tick(ControlFrame.silenceSeconds)
      simulation.executions.forEach((execution) => simulation.end(execution))
      simulation.tick(ControlFrame.silenceSeconds)
      simulation.check()
      assert.deepStrictEqual([...simulation.calls.clientIds], [])
      assert.isTrue(simulation.polls.every(({ received }) => received.length === 1))
    },
    { fastCheck: { numRuns: 500 } }
  )
})
