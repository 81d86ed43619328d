/** Performs what the core asks of the witness and of the peer's host. Heartbeats never wait for either. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Witness } from "../ports/Witness.ts"
import type * as Rights from "../protocol/Rights.ts"
import { inMillis } from "../protocol/Timing.ts"
import * as HeartbeatMessage from "../wire/HeartbeatMessage.ts"
import type { AskWitness, Runtime } from "./context.ts"
import type * as Member from "./Member.ts"

type Answer = Member.WitnessAnswer

const answerOf = (
  witness: Witness["Type"],
  { swap }: Rights.Request,
  expected: string | undefined
): Effect.Effect<Answer> => {
  const answer = swap === undefined
    ? Effect.map(witness.look, (seen): Answer => ({ _tag: "Seen", seen: Option.getOrUndefined(seen) }))
    : Effect.map(
      witness.swap(Option.fromNullable(expected), swap.record),
      (result): Answer =>
        result._tag === "Swapped" ? result : { _tag: "Conflict", seen: Option.getOrUndefined(result.seen) }
    )
  return Effect.catchAll(answer, ({ problem }) => Effect.succeed<Answer>({ _tag: "NoAnswer", problem }))
}

/** An answer with the fingerprint of the register, which a heartbeat has to be able to carry. */
const withFingerprint = (answer: Answer, fingerprint: Option.Option<string>): readonly [Answer, string | undefined] =>
  Option.isSome(fingerprint) && !HeartbeatMessage.isFingerprint(fingerprint.value)
    ? [{ _tag: "NoAnswer", problem: "its fingerprint is not a text of 1 to 64 printable characters" }, undefined]
    : [answer, Option.getOrUndefined(fingerprint)]

/**
 * One question at a time, in a fiber of its own. An engine that stands still may not be interruptible: the question is
 * disconnected from its fiber, so that no answer within `timeout` is no answer.
 */
export const makeAskWitness = (
  witness: Witness["Type"],
  timeout: Duration.Duration
): Effect.Effect<AskWitness, never, Scope.Scope> =>
  Effect.map(FiberHandle.makeRuntime<never>(), (run) => (request, expected, onAnswer) =>
    Effect.sync(() => {
      run(
        answerOf(witness, request, expected).pipe(
          Effect.catchAllDefect((defect) => Effect.succeed<Answer>({ _tag: "NoAnswer", problem: String(defect) })),
          Effect.disconnect,
          Effect.timeoutTo({
            duration: timeout,
            onTimeout: (): Answer => ({ _tag: "NoAnswer", problem: `no answer within ${Duration.format(timeout)}` }),
            onSuccess: (answer: Answer) => answer
          }),
          Effect.zipWith(witness.fingerprint, (answer, id) => onAnswer(...withFingerprint(answer, id))),
          Effect.interruptible
        )
      )
    }))

/** Asks the witness. The answer is an input of the core. */
export const askWitness = (
  { askWitness, counters, now, queue }: Runtime,
  { expected, request }: Extract<Member.Output, { _tag: "AskWitness" }>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const askedAt = now()
    return askWitness(request, expected, (answer, fingerprint) => {
      if (answer._tag !== "NoAnswer") {
        counters.witnessLatency.add(now() - askedAt)
      }
      counters.witnessConflicts += answer._tag === "Conflict" ? 1 : 0
      queue.offer({ _tag: "WitnessAnswered", id: request.id, answer, fingerprint })
    })
  })

/** A member without a witness asks none. */
export const askNone: AskWitness = () => Effect.void

/** Time within which the peer's host has to refuse a connection, in heartbeats. */
const probeHeartbeats = 0.5

/** Tries to connect to the peer's state port. */
export const probe = ({ fork, link, now, queue, rules, state }: Runtime): Effect.Effect<void> =>
  Effect.sync(() => {
    const asOf = now()
    const { linkEpoch } = state
    // Interruptible, so that a stop does not wait for a host that does not answer.
    fork(Effect.interruptible(Effect.map(link.isRefused(inMillis(rules, probeHeartbeats)), (isRefused) => {
      if (isRefused) {
        const evidence = { _tag: "ConnectionRefused", endpoint: rules.peerEndpoint, asOf } as const
        queue.offer({ _tag: "PeerDown", evidence, linkEpoch })
      }
    })))
  })
