/**
 * Every fraction of a heartbeat that a decision depends on, with the inequalities that it must keep. All values are in
 * heartbeats: the time between two heartbeats of a member, which is the same on both servers of a pair.
 */

/**
 * The timing of a pair, in heartbeats.
 *
 * @category models
 */
export interface Timing {
  /** The longest time that a message is assumed to be under way, from one event loop to the other. */
  readonly messageDelay: number
  /** A peer that sent nothing for so long counts as lost (the Guide). */
  readonly peerTimeout: number
  /** A process that did not run for so long has stalled: its peer may be about to take over (H4). */
  readonly stall: number
  /** A heartbeat that is late by so much is a brief stall: what the peer sent may not have been received yet. */
  readonly briefStall: number
  /** For so long after a brief stall, silence of the peer proves nothing. */
  readonly unproven: number
  /** After a brief stall the peer is given at least so long to be received (H4). */
  readonly briefStallGrace: number
  /** A subscription, and the first message for it, may take so long in addition to the peer timeout (H10). */
  readonly subscription: number
  /** The handshake of a connection to the peer may take so long (H10). */
  readonly handshake: number
  /** A member that hands over gives its peer so long to become active, and once more (H9). */
  readonly handOver: number
  /** After a stall, what the peer sent meanwhile is received for at most so long. */
  readonly linkReset: number
  /** A probe of the peer's state port after a stall may take so long. */
  readonly probe: number
  /** A heartbeat of the peer that is overdue by so much counts as missed, for people. */
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
  missed: 1.5
}

/**
 * Round trips of a handshake with keys: TCP's own, and those of CURVE.
 *
 * @category constants
 */
export const handshakeRoundTrips = 3

/**
 * What the timing must keep, and why.
 *
 * @category constants
 */
export const inequalities: ReadonlyArray<{
  readonly sentence: string
  readonly isKept: (timing: Timing) => boolean
}> = [
  {
    sentence: "a heartbeat that arrives late by the longest delay is in time",
    isKept: ({ messageDelay, peerTimeout }) => 1 + messageDelay < peerTimeout
  },
  {
    sentence: "a member stops replying before its peer, which received its last heartbeat at once, may take over",
    isKept: ({ messageDelay, peerTimeout, stall }) => stall + messageDelay <= peerTimeout
  },
  {
    sentence: "a member that runs in time is not taken for stalled by one late timer",
    isKept: ({ briefStall, stall }) => 1 < briefStall && briefStall < stall
  },
  {
    sentence:
      "what had arrived during a brief stall, and what was under way at its end, is received before silence counts again",
    isKept: ({ messageDelay, unproven }) => unproven >= messageDelay
  },
  {
    sentence: "silence counts again before the next brief stall could be noticed",
    isKept: ({ briefStall, unproven }) => unproven < briefStall
  },
  {
    sentence: "after a brief stall the peer has time for one more heartbeat, and for no more than a timeout",
    isKept: ({ briefStallGrace, peerTimeout }) => briefStallGrace >= 1 && briefStallGrace < peerTimeout
  },
  {
    sentence: "the subscription of a new connection arrives, and no second heartbeat is waited for",
    isKept: ({ messageDelay, subscription }) => subscription >= messageDelay && subscription < 1
  },
  {
    sentence: "a handshake with keys ends in time at the longest delay, with an unnoticed stall at each end",
    isKept: ({ handshake, messageDelay, stall }) => handshake >= handshakeRoundTrips * 2 * messageDelay + 2 * stall
  },
  {
    sentence: "a handshake that never ends does not delay a takeover by more than three timeouts",
    isKept: ({ handshake, peerTimeout }) => handshake <= 3 * peerTimeout
  },
  {
    sentence: "a peer that may have to wait for a timeout takes over before a member that hands over gives up",
    isKept: ({ handOver, messageDelay, peerTimeout }) => handOver > peerTimeout + 2 * messageDelay
  },
  {
    sentence: "a hand-over that fails costs two timeouts",
    isKept: ({ handOver, peerTimeout }) => handOver <= 2 * peerTimeout
  },
  {
    sentence: "the link is reset, and a term may be kept, before another stall would be noticed",
    isKept: ({ linkReset, probe, stall }) => linkReset + probe < stall
  },
  {
    sentence: "what was under way at the end of a stall is received while the link is reset",
    isKept: ({ linkReset, messageDelay }) => linkReset >= messageDelay
  },
  {
    sentence:
      "a stall that is noticed as late as its first heartbeat leaves time for a probe before a peer could be active",
    isKept: ({ peerTimeout, probe, stall }) => probe > 0 && stall + probe < peerTimeout
  },
  {
    sentence: "a heartbeat counts as missed once it is later than the longest delay, and before the peer is lost",
    isKept: ({ messageDelay, missed, peerTimeout }) => missed >= 1 + messageDelay && missed < peerTimeout
  }
]

/**
 * So many heartbeats in milliseconds, for a member whose peer timeout is `peerTimeoutMillis`.
 *
 * @category combinators
 */
export const inMillis = ({ peerTimeoutMillis }: { readonly peerTimeoutMillis: number }, heartbeats: number): number =>
  peerTimeoutMillis * (heartbeats / timing.peerTimeout)
