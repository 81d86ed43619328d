/** The port to the third party of a pair. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Role } from "../protocol/StateMachine.ts"
import type { Term } from "../protocol/Term.ts"

/**
 * Version of a record, as the engine counts it. Opaque: only equality counts.
 *
 * @category models
 */
export type Version = string

/**
 * What a witness keeps of a pair: the latest term that it has recorded, and who holds it.
 *
 * @category models
 */
export interface TermRecord extends Term {
  readonly holder: Role
  /** Random id of the holder's process. */
  readonly life: string
  /** Whether the holder has given the term up. */
  readonly isReleased: boolean
}

/**
 * A record with its version.
 *
 * @category models
 */
export interface Seen {
  readonly version: Version
  readonly record: TermRecord
}

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
 * clock of the engine. A register that forgets what it has answered is outside of the contract.
 *
 * @category tags
 */
export class Witness extends Context.Tag("effect-binary-star/Witness")<Witness, {
  /** The engine and the pair's name there, without secrets. */
  readonly endpoint: string
  /** Identifies engine and name: the same on both members. */
  readonly fingerprint: string
  /** The current record; linearizable. */
  readonly look: Effect.Effect<Option.Option<Seen>, WitnessError>
  /** Replaces the record if its version is still `expected`, or creates it if there is none and none is expected. */
  readonly swap: (expected: Option.Option<Version>, next: TermRecord) => Effect.Effect<Swapped, WitnessError>
}>() {}
