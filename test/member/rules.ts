import type { Rules } from "../../src/member/Member.ts"
import * as Policies from "../../src/protocol/Policies.ts"

/** Rules with the defaults of a server: heartbeats of one second. */
export const makeRules = (part: Partial<Rules> = {}): Rules => ({
  role: "primary",
  policy: Policies.hardened,
  peerTimeoutMillis: 2000,
  handshakeMillis: 8000,
  lone: "wait",
  isSelfVoting: false,
  drainMillis: 5000,
  maxFailovers: Number.POSITIVE_INFINITY,
  failoverWindowMillis: 60_000,
  crashDetection: true,
  peerEndpoint: "tcp://peer:5003",
  stateEndpoint: "tcp://*:5004",
  life: "a life",
  fencing: "optional",
  ...part
})
