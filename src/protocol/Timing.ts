/**
 * Every fraction of a heartbeat that a decision depends on, with the inequalities that hold between them. All values are in
 * heartbeats: the period at which a member publishes, which is the same on both servers of a pair.
 */

/**
 * The timing of a pair, in heartbeats.
 *
 * @category models
 */
export interface Timing {
  /** Assumed maximum delay of a message, from one event loop to the other. */
  readonly messageDelay: number
  /** A peer that is silent for this long is lost (the Guide). */
  readonly peerTimeout: number
  /** A process that does not run for this long has stalled: its peer may be about to take over (H4). */
  readonly stall: number
  /** A process that does not run for this long has stalled briefly: heartbeats of its peer may not have been delivered yet. */
  readonly briefStall: number
  /** After a brief stall, silence of the peer is unproven for this long. */
  readonly unproven: number
  /** After a brief stall, the peer has at least this long to be received (H4). */
  readonly briefStallGrace: number
  /** Time for a subscription and its first message, in addition to the peer timeout (H10). */
  readonly subscription: number
  /** Maximum time of the handshake of a connection to the peer (H10). */
  readonly handshake: number
  /** Time that a member which hands over gives its peer to become active (H9). */
  readonly handOver: number
  /** Maximum time to receive, after a stall, what the peer sent during it. */
  readonly linkReset: number
  /** Maximum time of a probe of the peer's state port after a stall. */
  readonly probe: number
  /** A heartbeat of the peer that has not arrived after this long makes a member with a witness look for crash evidence. */
  readonly overdue: number
  /** How long a right to serve lasts, from before the question (R1). */
  readonly right: number
  /** How long a challenger waits (R2, R3). */
  readonly guard: number
  /** A peer that sends heartbeats but has received none for this long receives none, for people. */
  readonly unreceived: number
  /** A heartbeat of the peer that has not arrived after this long is counted as missed, for people. */
  readonly missed: number
}

/**
 * The timing of every pair.
 *
 * @category constants
 */
export const timing: Timing = {
  messageDelay: 0.5,
  peerTimeout: 2,
  stall: 1.5,
  briefStall: 1.25,
  unproven: 0.5,
  briefStallGrace: 1,
  subscription: 0.5,
  handshake: 6,
  handOver: 4,
  linkReset: 0.5,
  probe: 0.25,
  overdue: 1.1,
  right: 1.5,
  guard: 2,
  unreceived: 3,
  missed: 1.5
}

/**
 * Round trips of a handshake with keys: that of TCP, and those of CURVE.
 *
 * @category constants
 */
export const handshakeRoundTrips = 3

/**
 * By how much a timer may fire early, in milliseconds. Node's does so by up to 1.7.
 *
 * @category constants
 */
export const timerSlackMillis = 2

/** By how much the rate of a clock may differ from true time. */
const clockRate = 1 / 7

/**
 * Inequalities of the timing, each with its reason.
 *
 * @category constants
 */
export const inequalities: ReadonlyArray<{
  /** The inequality in words. */
  readonly sentence: string
  /** Whether these times keep it. */
  readonly isKept: (timing: Timing) => boolean
}> = [
  {
    sentence: "a heartbeat with the maximum delay arrives in time",
    isKept: ({ messageDelay, peerTimeout }) => 1 + messageDelay < peerTimeout
  },
  {
    sentence: "a member stops replying before its peer, which received its last heartbeat at once, may take over",
    isKept: ({ messageDelay, peerTimeout, stall }) => stall + messageDelay <= peerTimeout
  },
  {
    sentence: "one late timer is not a stall",
    isKept: ({ briefStall, stall }) => 1 < briefStall && briefStall < stall
  },
  {
    sentence:
      "heartbeats that arrived during a brief stall, and those in flight at its end, are received before silence is proven",
    isKept: ({ messageDelay, unproven }) => unproven >= messageDelay
  },
  {
    sentence: "silence is proven again before the next brief stall can be detected",
    isKept: ({ briefStall, unproven }) => unproven < briefStall
  },
  {
    sentence: "after a brief stall the peer has time for one more heartbeat, and for less than a timeout",
    isKept: ({ briefStallGrace, peerTimeout }) => briefStallGrace >= 1 && briefStallGrace < peerTimeout
  },
  {
    sentence: "the subscription of a new connection arrives, and the wait is shorter than a second heartbeat",
    isKept: ({ messageDelay, subscription }) => subscription >= messageDelay && subscription < 1
  },
  {
    sentence: "a handshake with keys ends in time at the maximum delay, with an undetected stall at each end",
    isKept: ({ handshake, messageDelay, stall }) => handshake >= handshakeRoundTrips * 2 * messageDelay + 2 * stall
  },
  {
    sentence: "a handshake that never ends does not delay a takeover by more than three timeouts",
    isKept: ({ handshake, peerTimeout }) => handshake <= 3 * peerTimeout
  },
  {
    sentence: "a peer that has to wait for a timeout takes over before the hand-over times out",
    isKept: ({ handOver, messageDelay, peerTimeout }) => handOver > peerTimeout + 2 * messageDelay
  },
  {
    sentence: "a hand-over that fails costs two timeouts",
    isKept: ({ handOver, peerTimeout }) => handOver <= 2 * peerTimeout
  },
  {
    sentence: "the link is reset, and a term may be kept, before another stall would be detected",
    isKept: ({ linkReset, probe, stall }) => linkReset + probe < stall
  },
  {
    sentence: "messages in flight at the end of a stall are received while the link is reset",
    isKept: ({ linkReset, messageDelay }) => linkReset >= messageDelay
  },
  {
    sentence: "a stall leaves time for a probe before the peer could be active",
    isKept: ({ peerTimeout, probe, stall }) => probe > 0 && stall + probe < peerTimeout
  },
  {
    sentence: "a right ends before the guard of who gave it, even if the clocks of both differ in rate by a seventh",
    isKept: ({ guard, right }) => right * (1 + clockRate) <= guard * (1 - clockRate) + Number.EPSILON
  },
  {
    sentence: "crash evidence is looked for once a heartbeat is late, and before its follower may no longer go on",
    isKept: ({ guard, overdue }) => overdue > 1 && overdue < guard
  },
  {
    sentence: "a challenger waits no longer than for a peer that is silent",
    isKept: ({ guard, peerTimeout }) => guard <= peerTimeout
  },
  {
    sentence: "a right that is renewed with each heartbeat survives an answer that takes almost half a heartbeat",
    isKept: ({ messageDelay, right }) => right >= 1 + messageDelay
  },
  {
    sentence: "a member without a right has stopped before a stall would be detected",
    isKept: ({ right, stall }) => right <= stall
  },
  {
    sentence:
      "a heartbeat is echoed within a peer timeout, and a peer that has just connected has a little longer to receive one",
    isKept: ({ messageDelay, peerTimeout, unreceived }) =>
      1 + 2 * messageDelay <= peerTimeout && unreceived > peerTimeout && unreceived <= 2 * peerTimeout
  },
  {
    sentence: "a heartbeat counts as missed once it is later than the maximum delay, and before the peer is lost",
    isKept: ({ messageDelay, missed, peerTimeout }) => missed >= 1 + messageDelay && missed < peerTimeout
  }
]

/**
 * Heartbeats in milliseconds, for a member with this peer timeout.
 *
 * @category combinators
 */
export const inMillis = ({ peerTimeoutMillis }: { readonly peerTimeoutMillis: number }, heartbeats: number): number =>
  peerTimeoutMillis * (heartbeats / timing.peerTimeout)
