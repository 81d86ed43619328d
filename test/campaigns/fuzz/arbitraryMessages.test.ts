/** A member receives arbitrary messages from its peer, and an RPC server from its clients. */
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as BinaryStar from "../../../src/member/BinaryStar.ts"
import * as Handler from "../../../src/member/Handler.ts"
import * as StateMachine from "../../../src/protocol/StateMachine.ts"
import type { Options } from "../../../src/settings/BinaryStarConfig.ts"
import * as Zmq from "../../../src/zeromq/Zmq.ts"
import { makePair, memory } from "../../rpc/rpcPair.ts"
import { foreignPeer, freeEndpoints, other } from "../../support/processes.ts"
import { eventually, quiet, unhandledRejections } from "../../support/sockets.ts"
import * as Arbitrary from "./arbitrary.ts"

const seed = 20_260_131

/** State messages, in any order and repeatedly, and malformed ones, with pauses in milliseconds. */
const messages = FastCheck.array(
  FastCheck.tuple(
    FastCheck.oneof(
      { weight: 3, arbitrary: FastCheck.constantFrom("1", "2", "3", "4").map((digit) => [Buffer.from(digit)]) },
      { weight: 1, arbitrary: Arbitrary.frames }
    ),
    FastCheck.constantFrom(0, 0, 0, 1, 30)
  ),
  { maxLength: 30 }
)

describe("a hardened server over tcp", () => {
  for (const role of ["primary", "backup"] as const) {
    it.scopedLive(`fuzz: a hardened ${role} keeps running after arbitrary messages of its peer`, () =>
      Effect.gen(function*() {
        const rejections = yield* unhandledRejections
        const at = yield* freeEndpoints
        const options: Options = {
          ...{ role, policy: "hardened", heartbeat: "100 millis", crashDetection: false },
          ...{ frontend: at[role].frontend, stateEndpoint: at[role].state, peerEndpoint: at[other(role)].state }
        }
        const peer = yield* foreignPeer(other(role), at)
        const context = yield* Layer.build(
          BinaryStar.layer(options, Handler.echo).pipe(Layer.provide(Zmq.layer(options)), Layer.provide(quiet))
        )
        const member = Context.get(context, BinaryStar.BinaryStar)
        const joined = yield* Effect.fork(member.join)
        yield* peer.subscribed
        for (const sequence of FastCheck.sample(messages, { seed, numRuns: 30 })) {
          for (const [frames, pause] of sequence.filter(([frames]) => frames.length > 0)) {
            yield* peer.publish(...frames.map((frame) => Buffer.from(frame)))
            yield* pause > 0 ? Effect.sleep(pause) : Effect.void
          }
        }
        // It still decodes state messages. Sent repeatedly, because a member that has stalled drops what it received meanwhile (H4).
        for (const [digit, state] of [["4", "PASSIVE"], ["3", "ACTIVE"]] as const) {
          const isReported = Effect.map(member.report, ({ peer }) => peer.state === state)
          yield* eventually(Effect.zipRight(peer.publish(digit), isReported))
        }
        const { heartbeats, malformed } = yield* member.counters
        assert.isAbove(heartbeats, 0)
        assert.isAbove(malformed, 0)
        const { transition } = yield* member.report
        assert.include(StateMachine.states, transition.to)
        assert.isNull(joined.unsafePoll())
        yield* Fiber.interrupt(joined)
        assert.deepStrictEqual(rejections, [])
      }))
  }
})

describe("RPC", () => {
  for (const name of ["layerJson", "layerMsgPack"] as const) {
    it.scopedLive(`fuzz: RPC with ${name} answers calls between arbitrary messages`, () =>
      Effect.gen(function*() {
        const rejections = yield* unhandledRejections
        const pair = makePair(yield* memory, RpcSerialization[name])
        const { primary } = yield* pair.startBoth()
        const { call, request } = yield* pair.connect()
        for (const body of FastCheck.sample(Arbitrary.frames, { seed, numRuns: 300 })) {
          yield* request(body, { resend: false }).pipe(Effect.timeout("20 millis"), Effect.ignore)
          // An arbitrary request must not delay the calls of others.
          assert.strictEqual(yield* call.Twice({ n: 21 }), 42)
        }
        assert.isTrue((yield* primary.member.report).answers)
        assert.deepStrictEqual(rejections, [])
      }))
  }
})
