import type { Transition } from "../member/Report.ts"
import type { Role } from "../protocol/StateMachine.ts"
import * as Term from "../protocol/Term.ts"

/** Environment variables of a command that runs in a term. `bstar` takes no options from these names. */
export const environmentOf = (role: Role, { cause, from, message, term, to }: Transition) => ({
  BSTAR_NODE_ROLE: role,
  BSTAR_NODE_STATE: to,
  BSTAR_NODE_PREVIOUS: from ?? "",
  BSTAR_NODE_CAUSE: cause,
  BSTAR_NODE_REASON: message,
  BSTAR_NODE_TERM: term === undefined ? "" : String(Term.toToken(term))
})
