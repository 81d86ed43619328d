import * as Effect from "effect/Effect"
import { BinaryStar } from "../../src/member/BinaryStar.ts"
import { NoTerm } from "../../src/member/MemberError.ts"
import type { Term } from "../../src/protocol/Term.ts"

/** Runs an effect on a member in a term, or on one that has none. */
export const inTerm = (term: Term | undefined) =>
  Effect.provideService(
    BinaryStar,
    {
      term: term === undefined ? new NoTerm({ reason: "NotActive" }) : Effect.succeed(term),
      config: { peerTimeoutMillis: 200 }
    } as unknown as BinaryStar["Type"]
  )

export const first: Term = { number: 1, step: 0 }
export const second: Term = { number: 1, step: 1 }
export const third: Term = { number: 2, step: 0 }
