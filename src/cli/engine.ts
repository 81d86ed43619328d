/** What the commands need of the engine of a witness. */
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { Witness, WitnessError } from "../ports/Witness.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { WitnessEndpoint } from "../wire/WitnessEndpoint.ts"

/** How a witness is reached, with the contents of the files. */
export interface Access<E extends WitnessEndpoint = WitnessEndpoint> {
  readonly endpoint: E
  readonly password: Redacted.Redacted<string> | undefined
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: Redacted.Redacted<string> | undefined
}

/** What engines offer besides the register. */
export interface Connection {
  readonly layer: Layer.Layer<Witness, InvalidConfig>
  /** Prepares the engine. The result is a sentence that says what was done. */
  readonly prepare: Effect.Effect<string, WitnessError>
  /** What the owner of the engine runs to prepare it by hand. */
  readonly preparation: string
  /** Tries the rights that members need, beyond that to replace a record, and changes nothing. */
  readonly probe: Effect.Effect<void, WitnessError>
  /** What is unsafe about this engine or the way to it, in sentences. */
  readonly doubts: Effect.Effect<ReadonlyArray<string>, WitnessError>
}
