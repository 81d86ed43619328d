import type { Transition } from "../member/Report.ts"
import type { Role } from "../protocol/StateMachine.ts"

/** What a command is told about the server that it runs for. The names are none that `bstar` takes options from. */
export const environmentOf = (role: Role, { cause, from, message, to }: Transition) => ({
  BSTAR_NODE_ROLE: role,
  BSTAR_NODE_STATE: to,
  BSTAR_NODE_PREVIOUS: from ?? "",
  BSTAR_NODE_CAUSE: cause,
  BSTAR_NODE_REASON: message
})
