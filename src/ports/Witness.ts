/** The port to the third party of a pair. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Random from "effect/Random"
import type { Seen, TermRecord } from "../protocol/Rights.ts"
import type { Role } from "../protocol/StateMachine.ts"

export type { Seen, TermRecord } from "../protocol/Rights.ts"

/**
 * Version of a record, as the engine counts it. Opaque: only equality counts.
 *
 * @category models
 */
export type Version = string

/**
 * Result of a swap. `Conflict` carries what the register contains instead.
 *
 * @category models
 */
export type Swapped =
  | { readonly _tag: "Swapped"; readonly version: Version }
  | { readonly _tag: "Conflict"; readonly seen: Option.Option<Seen> }

/**
 * A witness did not answer. `NoAnswer`: the outcome is unknown, and a swap may still be executed later. `Refused`: the engine
 * answered, but not with a result, for example because it denied access. Members treat both alike; the reason is for people.
 *
 * @category errors
 */
export class WitnessError extends Data.TaggedError("WitnessError")<{
  readonly reason: "NoAnswer" | "Refused"
  /** The engine, without secrets. */
  readonly endpoint: string
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `the witness at ${this.endpoint} ${
      this.reason === "NoAnswer" ? "does not answer" : "refused"
    }: ${this.problem}`
  }
}

/**
 * One durable compare-and-swap register of a pair, on an engine that the user already runs. No expiry, no lock, no watch, and no
 * clock of the engine.
 *
 * - `look` and `swap` are linearizable, and what a swap has answered survives a crash of the engine. A register that forgets is
 *   outside of the contract: a replica that was promoted without the latest writes, a snapshot that was restored, a deleted record.
 * - A request has no timeout of its own, and ends at once when it is interrupted, whatever the engine does. An interrupted swap may
 *   still be executed, also after later requests.
 * - Building the layer does not need the engine: while it is away, requests fail with `NoAnswer`, and succeed once it is back.
 *
 * @category tags
 */
export class Witness extends Context.Tag("effect-binary-star/Witness")<Witness, {
  /** The engine and the pair's name there, without secrets. */
  readonly endpoint: string
  /**
   * Random id of the register, chosen when its first record was created and kept by every swap. The same on both members if and
   * only if they use the same register, by whatever address. None before the engine has answered with a record. 1 to 64 printable
   * characters of ASCII, but no quote and no backslash.
   */
  readonly fingerprint: Effect.Effect<Option.Option<string>>
  /** The current record; linearizable. */
  readonly look: Effect.Effect<Option.Option<Seen>, WitnessError>
  /** Replaces the record if its version is still `expected`, or creates it if there is none and none is expected. */
  readonly swap: (expected: Option.Option<Version>, next: TermRecord) => Effect.Effect<Swapped, WitnessError>
}>() {}

/**
 * A register in memory, with the faults that engines and networks have.
 *
 * @category models
 */
export interface Memory {
  /** The witness as each member reaches it. */
  readonly layers: { readonly [R in Role]: Layer.Layer<Witness> }
  /** What the register contains, whatever is cut. */
  readonly contents: Effect.Effect<Option.Option<Seen>>
  /** Requests of a member do not reach the engine: they wait until `heal`, and are lost if they are interrupted before. */
  readonly cut: (role: Role) => Effect.Effect<void>
  /** Ends `cut`. */
  readonly heal: (role: Role) => Effect.Effect<void>
  /** The engine stands still: requests wait, and are executed in order at `resume`, also those interrupted meanwhile. */
  readonly hold: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** The next swap of a member is not answered; it is executed at `deliver`. */
  readonly delay: (role: Role) => Effect.Effect<void>
  /** Executes delayed swaps, in order. */
  readonly deliver: Effect.Effect<void>
  /** Forgets the record. No engine may do that: outside of the contract. */
  readonly wipe: Effect.Effect<void>
}

/** A request that the engine has received but not executed. */
interface Pending {
  readonly execute: Effect.Effect<void>
}

/** A queue of requests that are executed later, whether their members still wait for the answers or not. */
const makeQueue = () => {
  let pending: ReadonlyArray<Pending> = []
  return {
    /** Queues a request, and waits for its answer. */
    add: <A>(request: Effect.Effect<A>): Effect.Effect<A> =>
      Effect.flatMap(Deferred.make<A>(), (answer) => {
        pending = [...pending, { execute: Effect.asVoid(Deferred.complete(answer, request)) }]
        return Deferred.await(answer)
      }),
    execute: Effect.suspend(() => {
      const requests = pending
      pending = []
      return Effect.forEach(requests, ({ execute }) => execute, { discard: true })
    })
  }
}

/** The register itself. Each request is executed at once. */
const makeRegister = (random: Random.Random) => {
  let revision = 0
  let content: (Seen & { readonly register: string }) | undefined
  const seen = Effect.sync(() => Option.fromNullable(content))
  return {
    look: seen,
    swap: (expected: Option.Option<Version>, record: TermRecord) =>
      Effect.gen(function*() {
        if (content?.version !== Option.getOrUndefined(expected)) {
          return { _tag: "Conflict" as const, seen: yield* seen }
        }
        const register = content?.register ?? `memory-${yield* random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)}`
        content = { version: String(++revision), record, register }
        return { _tag: "Swapped" as const, content }
      }),
    wipe: Effect.sync(() => {
      content = undefined
    })
  }
}

const withoutRegister = ({ record, version }: Seen): Seen => ({ record, version })

/**
 * Makes a register in memory.
 *
 * @category constructors
 */
export const makeMemory: Effect.Effect<Memory> = Effect.gen(function*() {
  const register = makeRegister(yield* Effect.random)
  const held = makeQueue()
  const delayed = makeQueue()
  let isHeld = false
  const arrive = <A>(request: Effect.Effect<A>) => Effect.suspend(() => isHeld ? held.add(request) : request)

  const makeMember = Effect.map(Effect.makeLatch(true), (link) => {
    let isDelayed = false
    let fingerprint = Option.none<string>()
    const note = (content: Option.Option<{ readonly register: string }>) => {
      fingerprint = Option.orElse(Option.map(content, (one) => one.register), () => fingerprint)
    }
    const witness = Witness.of({
      endpoint: "memory",
      fingerprint: Effect.sync(() => fingerprint),
      look: Effect.zipRight(link.await, arrive(register.look)).pipe(
        Effect.tap((content) => Effect.sync(() => note(content))),
        Effect.map(Option.map(withoutRegister))
      ),
      swap: (expected, next) =>
        Effect.zipRight(
          link.await,
          Effect.suspend(() => {
            const request = register.swap(expected, next)
            const isLate = isDelayed
            isDelayed = false
            return isLate ? delayed.add(request) : arrive(request)
          })
        ).pipe(Effect.map((result): Swapped => {
          note(result._tag === "Swapped" ? Option.some(result.content) : result.seen)
          return result._tag === "Swapped"
            ? { _tag: "Swapped", version: result.content.version }
            : { _tag: "Conflict", seen: Option.map(result.seen, withoutRegister) }
        }))
    })
    const delay = Effect.sync(() => {
      isDelayed = true
    })
    return { layer: Layer.succeed(Witness, witness), link, delay }
  })

  const members = { primary: yield* makeMember, backup: yield* makeMember }
  return {
    layers: { primary: members.primary.layer, backup: members.backup.layer },
    contents: Effect.map(register.look, Option.map(withoutRegister)),
    cut: (role) => Effect.asVoid(members[role].link.close),
    heal: (role) => Effect.asVoid(members[role].link.open),
    hold: Effect.sync(() => {
      isHeld = true
    }),
    resume: Effect.zipRight(
      Effect.sync(() => {
        isHeld = false
      }),
      held.execute
    ),
    delay: (role) => members[role].delay,
    deliver: delayed.execute,
    wipe: register.wipe
  }
})
