import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Runtime } from "./context.ts"
import type * as Member from "./Member.ts"
import { CommandRejected } from "./MemberError.ts"

type CommandInput = Extract<Member.Input, { readonly id: number }>

const orRejected = (command: CommandRejected["command"]) =>
  Effect.mapError((reason: Member.CommandReason) => new CommandRejected({ command, reason }))

/** The commands of an operator: each is an input of the core, and completes with its `Complete`, or when the member ends. */
export const make = ({ commands, now, queue, state }: Runtime) => {
  let lastId = 0
  const submit = (inputOf: (id: number) => CommandInput): Effect.Effect<number, Member.CommandReason> =>
    Effect.suspend(() => {
      const id = ++lastId
      const result = Deferred.unsafeMake<number, Member.CommandReason>(FiberId.none)
      const complete = (rejection: Member.CommandReason | undefined, since: number) =>
        Deferred.unsafeDone(result, rejection === undefined ? Effect.succeed(since) : Effect.fail(rejection))
      if (state.hasEnded) {
        complete("Interrupted", now())
      } else {
        commands.set(id, complete)
        queue.offer(inputOf(id))
      }
      return Effect.ensuring(Deferred.await(result), Effect.sync(() => commands.delete(id)))
    })
  return {
    pause: (reason: string) => Effect.ignore(submit((id) => ({ _tag: "Pause", id, reason }))),
    resume: Effect.ignore(submit((id) => ({ _tag: "Resume", id }))),
    promote: (
      reason: string,
      { isSwitchover = false, withoutWitness = false }: {
        readonly withoutWitness?: boolean | undefined
        readonly isSwitchover?: boolean | undefined
      } = {}
    ) =>
      Effect.asVoid(submit((id) => ({ _tag: "Promote", id, reason, isSwitchover, isWithoutWitness: withoutWitness })))
        .pipe(orRejected("promote")),
    handOver: (reason: string) =>
      submit((id) => ({ _tag: "HandOver", id, reason })).pipe(
        Effect.map((since) => ({ since })),
        orRejected("handOver")
      )
  }
}

/** Rejects pending commands and all later ones. */
export const rejectAll = ({ commands, now, state }: Runtime): void => {
  state.hasEnded = true
  commands.forEach((complete) => complete("Interrupted", now()))
}
