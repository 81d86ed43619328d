/** Rules about everything observed, whether or not both servers were reached. */
import { distinct, type Known, type Observation, receivesHeartbeats, whyInactive } from "../Observation.ts"
import { type Finding, type Named, promoteAt, type Rule } from "./rule.ts"

export const unreached = (observations: ReadonlyArray<Observation>): ReadonlyArray<Finding> =>
  observations.flatMap((one): ReadonlyArray<Finding> =>
    one._tag === "Reached" ? [] : [{
      severity: "error",
      check: "reachable",
      what: `${one.address}: ${one.error}`,
      remedy: "start that server, or find out why its --http cannot be reached from here"
    }]
  )

/** The endpoint of the peer of the first server, if that is of another implementation, which has no status server. */
const foreignPeerOf = ([one]: ReadonlyArray<Observation>): string | undefined =>
  one?._tag === "Reached" && one.status.peer.isLegacy === true && receivesHeartbeats(one.status)
    ? one.status.peer.endpoint
    : undefined

export const addressRules: ReadonlyArray<Rule<[observations: ReadonlyArray<Observation>]>> = [
  {
    severity: "error",
    check: "reachable",
    what: (observations) =>
      observations.length === 2 && observations.every(({ _tag }) => _tag === "Reached") &&
        distinct(observations).length === 1
        ? `${observations.map(({ address }) => address).join(" and ")} lead to the same server`
        : undefined,
    remedy: () => "give the --http of each of the two servers"
  },
  {
    severity: "warning",
    check: "reachable",
    what: (observations) =>
      observations.length < 2 && foreignPeerOf(observations) === undefined
        ? "only one server is known here, so nothing can be compared"
        : undefined,
    remedy: () => "give --http twice, or start the servers with --peer-http"
  },
  {
    severity: "info",
    check: "reachable",
    what: (observations) => {
      const peer = observations.length < 2 ? foreignPeerOf(observations) : undefined
      return peer === undefined
        ? undefined
        : `the peer at ${peer} is of another implementation: nothing but its heartbeats is known of it`
    },
    remedy: () => "look at its own log to know more"
  }
]

export const activeRules: ReadonlyArray<Rule<[reached: ReadonlyArray<Named>, active: ReadonlyArray<Known>]>> = [
  {
    severity: "error",
    check: "active",
    what: (_, active) =>
      active.length > 1 ? `both servers are active: ${active.map(({ name }) => name).join(" and ")}` : undefined,
    remedy: (_, active) =>
      active.every(({ status }) => status !== undefined)
        ? "is the link between them cut? Stop the backup until it is whole"
        : "stop one of them: a peer of another make does not step down by itself"
  },
  {
    severity: "error",
    check: "active",
    what: (reached, active) =>
      active.length === 0 ? `no server is active: ${reached.map(whyInactive).join("; ")}` : undefined,
    remedy: () => `if it stays so, send a request with a client, or: ${promoteAt("HOST:PORT")}`
  }
]
