/**
 * A network of three hosts: the harness with all its clients, and the two servers. Hosts can be cut off.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Condition } from "../../support/network.ts"
import * as Hosts from "../../support/network.ts"
import type { Endpoints, Role } from "../../support/processes.ts"
import { other } from "../../support/processes.ts"

/** The hosts of the servers. */
export interface Network {
  readonly at: Endpoints
  /** The prefix of a command that runs on the host of a server. */
  readonly enter: { readonly [R in Role]: ReadonlyArray<string> }
}

/** A network whose servers can be cut off from all hosts, or from each other. */
export interface Switched extends Network {
  readonly cut: (what: Role | "link") => Effect.Effect<void>
  readonly heal: (what: Role | "link") => Effect.Effect<void>
}

/** The endpoints of the servers on their hosts. */
export const endpoints = (addresses: { readonly [R in Role]: string }, offset = 0): Endpoints => {
  const at = (role: Role) => ({
    frontend: `tcp://${addresses[role]}:${5001 + offset}`,
    state: `tcp://${addresses[role]}:${5003 + offset}`
  })
  return { primary: at("primary"), backup: at("backup") }
}

export const makeNetwork: Effect.Effect<Switched, never, Scope.Scope> = Effect.gen(function*() {
  const { addresses, enter, set } = yield* Hosts.makeNetwork(["harness", "primary", "backup"])
  const links = (what: Role | "link") =>
    what === "link" ? [["primary", "backup"]] as const : [[what, other(what)], [what, "harness"]] as const
  const setAll = (what: Role | "link", condition: Condition) =>
    Effect.forEach(links(what), ([a, b]) => Effect.zipRight(set(a, b, condition), set(b, a, condition)), {
      discard: true
    })
  return {
    at: endpoints(addresses),
    enter,
    cut: (what) => setAll(what, "cut"),
    heal: (what) => setAll(what, 0)
  }
})
