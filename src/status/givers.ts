import type { Giver } from "../protocol/Rights.ts"

/** Who gives rights, in the order in which they are shown. */
export const givers = ["witness", "peer", "evidence", "operator"] as const satisfies ReadonlyArray<Giver>
