/** Rules about one server; the other one is `undefined` without a status. */
import * as StateMachine from "../../protocol/StateMachine.ts"
import { receivesHeartbeats, waitsForPrimary } from "../Observation.ts"
import { span } from "../Span.ts"
import { isSettled, type Named, promoteAt, type Rule, times } from "./rule.ts"

export const serverRules: ReadonlyArray<Rule<[self: Named, other: Named | undefined]>> = [
  {
    severity: "warning",
    check: "takeover-block",
    what: ({ name, status: { takeoverBlock } }) =>
      takeoverBlock?.kind === "paused"
        ? `${name} is paused since ${takeoverBlock.since} (${takeoverBlock.reason}): it does not take over by itself`
        : undefined,
    remedy: () => "when the maintenance is over: bstar resume"
  },
  {
    severity: "error",
    check: "takeover-block",
    what: ({ name, status: { takeoverBlock } }) =>
      takeoverBlock?.kind === "limited"
        ? `${name} has reached the limit of failovers and does not take over again before ${takeoverBlock.until}`
        : undefined,
    remedy: ({ address }) =>
      `find the cause of the failovers with bstar history; if it has to be active now: ${promoteAt(address)}`
  },
  {
    severity: "error",
    check: "lone-backup",
    what: (self) =>
      self.status.state === "BACKUP" && isSettled(self) && !receivesHeartbeats(self.status) &&
        self.status.peer.malformed == null &&
        waitsForPrimary(self.status)
        ? `${self.name} has received no heartbeat from its primary since it was started, so it rejects every request`
        : undefined,
    remedy: ({ address }) => `start the primary; if that is impossible: ${promoteAt(address)}`
  },
  {
    severity: "error",
    check: "link",
    what: ({ name, status: { peer } }, other) =>
      other === undefined && peer.unreceivedMillis != null
        ? `the peer of ${name} has received none of its heartbeats for ${
          span(peer.unreceivedMillis)
        }, although its own arrive`
        : undefined,
    remedy: ({ status: { config, role } }) =>
      `does the network let the ${
        StateMachine.peerOf(role)
      } reach ${config.stateEndpoint}, and does its --peer lead there?`
  },
  {
    severity: "warning",
    check: "conflicts",
    what: ({ name, status: { counters: { conflicts } } }) =>
      conflicts > 0 ? `${name} has found ${times(conflicts)} that both were active, or both passive` : undefined,
    remedy: () => "look at bstar history of that time; was the link between the servers cut, or is it slow?"
  },
  {
    severity: "error",
    check: "malformed",
    what: ({ name, status: { peer } }) =>
      peer.malformed == null
        ? undefined
        : `the peer of ${name} at ${peer.endpoint} has sent nothing but malformed state messages: ${peer.malformed}`,
    remedy: () =>
      "does --peer lead to the other server's --state? A server that can be a peer sends one digit, as the Guide's in C, C++, Go and " +
      "Python do"
  },
  {
    severity: "error",
    check: "roles",
    what: ({ name, status: { peer, role } }, other) =>
      other === undefined && peer.state === (role === "primary" ? "PRIMARY" : "BACKUP") && !peer.isExpired
        ? `${name} receives ${peer.state} from its peer at ${peer.endpoint}: that is a ${role}, too`
        : undefined,
    remedy: ({ status: { peer, role } }) =>
      `start one of the two as the ${StateMachine.peerOf(role)}${
        peer.isLegacy === true ? "; a peer whose states are numbered from 0 cannot be one" : ", or correct --peer"
      }`
  },
  {
    severity: "warning",
    check: "malformed",
    what: ({ name, status: { counters: { malformed }, peer } }) =>
      malformed > 0 && peer.malformed == null
        ? `${name} has received ${malformed} malformed ${malformed === 1 ? "message" : "messages"} from its peer`
        : undefined,
    remedy: () => "find the sender: does its --peer lead to the other server's --state, and to no other port?"
  },
  {
    severity: "warning",
    check: "peer-http",
    what: ({ name, status: { peerHttp } }) =>
      peerHttp === null
        ? `${name} does not know the status server of its peer: it can neither show its status nor speed up a switchover`
        : undefined,
    remedy: ({ status: { role } }, other) =>
      `start it with --peer-http ${other?.status.http ?? `HOST:PORT, the --http of the ${StateMachine.peerOf(role)}`}`
  },
  {
    severity: "error",
    check: "token",
    what: ({ commands, name }) => commands === "Denied" ? `${name} does not accept the given token` : undefined,
    remedy: () => sameToken
  }
]

export const sameToken = "give both servers the same token: --http-token-file or BSTAR_HTTP_TOKEN"
