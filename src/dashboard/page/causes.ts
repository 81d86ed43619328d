/**
 * Events as people read them.
 */
import type * as Status from "../../status/Status.ts"

export type Cause = Status.HistoryEntry["cause"]

export const causes: { readonly [C in Cause]: string } = {
  Start: "the process started",
  End: "the process ended",
  PeerPrimary: "the peer reports PRIMARY",
  PeerBackup: "the peer reports BACKUP",
  PeerActive: "the peer reports ACTIVE",
  PeerPassive: "the peer reports PASSIVE",
  PeerHandsOver: "the peer has handed over",
  PeerSenior: "the peer reports ACTIVE, for longer than this server",
  PeerJunior: "the peer reports ACTIVE, but this server has been for longer",
  PeerDown: "crash evidence: the peer's host refuses a connection",
  LinkConnecting: "the connection to the peer is being established",
  LinkConnected: "the connection to the peer is established",
  LinkLost: "the connection to the peer is lost",
  ClientRequest: "vote: a request of a client",
  BrieflyStalled: "a brief stall of this process",
  Stalled: "a stall of this process",
  Stopping: "the process is stopping",
  HandOver: "an operator hands over",
  Promote: "an operator promotes it",
  RightGained: "it has gained the right to serve",
  RightLapsed: "its right to serve has ended",
  Superseded: "a later term has begun"
}
