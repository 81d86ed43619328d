/** What a peer says, and what clients send to RPC, may be anything at all. */
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

/** Words, stale and again and in any order, and things that are no words, with pauses in between. */
const words = FastCheck.array(
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
    it.scopedLive(`goes on whatever its peer says: a ${role}`, () =>
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
        yield* peer.listened
        let said = 0
        for (const story of FastCheck.sample(words, { seed, numRuns: 30 })) {
          for (const [frames, pause] of story.filter(([frames]) => frames.length > 0)) {
            yield* peer.say(...frames.map((frame) => Buffer.from(frame)))
            said++
            yield* pause > 0 ? Effect.sleep(pause) : Effect.void
          }
        }
        yield* eventually(Effect.map(member.counters, ({ heartbeats, malformed }) => heartbeats + malformed === said))
        // It still understands what it hears.
        yield* peer.say("3")
        yield* eventually(Effect.map(member.report, ({ peer }) => peer.state === "ACTIVE"))
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
    it.scopedLive(`over ${name} answers calls whatever else comes`, () =>
      Effect.gen(function*() {
        const rejections = yield* unhandledRejections
        const pair = makePair(yield* memory, RpcSerialization[name])
        const { primary } = yield* pair.startBoth()
        const { call, request } = yield* pair.connect()
        for (const body of FastCheck.sample(Arbitrary.frames, { seed, numRuns: 300 })) {
          yield* request(body, { resend: false }).pipe(Effect.timeout("20 millis"), Effect.ignore)
          // What others say to it must not hold up anybody.
          assert.strictEqual(yield* call.Twice({ n: 21 }), 42)
        }
        assert.isTrue((yield* primary.member.report).answers)
        assert.deepStrictEqual(rejections, [])
      }))
  }
})
