/** Durations of a pair with the default heartbeat of one second, for virtual time. */

export const heartbeat = "1 seconds"

/** The peer is expired strictly after two heartbeats. */
export const beforePeerTimeout = "2 seconds"
export const afterPeerTimeout = "2001 millis"

/** After this time without a heartbeat the peer is expired also on a connection that was just made (H10). */
export const afterConnectionTimeout = "2501 millis"

/** Longer than one and a half heartbeats, shorter than the peer timeout. */
export const stallTime = "1600 millis"
