/** Durations of tests. Those of a pair have the default heartbeat of one second, and are for virtual time. */

export const heartbeat = "1 seconds"

/** The peer is expired strictly after two heartbeats. */
export const beforePeerTimeout = "2 seconds"
export const afterPeerTimeout = "2001 millis"

/** After this time without a heartbeat the peer is expired also on a connection that was just made (H10). */
export const afterConnectionTimeout = "2501 millis"

/** Longer than one and a half heartbeats, shorter than the peer timeout. */
export const stallTime = "1600 millis"

/** Real time: how long a test waits for an event. A busy machine may take long for what usually takes milliseconds. */
export const eventTimeout = "40 seconds"

/** Real time: a heartbeat longer than `eventTimeout`. What is awaited with it cannot be caused by a heartbeat or a peer timeout. */
export const longHeartbeatMillis = 60_000

/** Real time: the shortest heartbeat with which a busy machine rarely stalls a process for one and a half heartbeats. */
export const steadyHeartbeatMillis = 400

/** Real time: the default heartbeat, with which even a very busy machine does not stall a process for one and a half heartbeats. */
export const safeHeartbeatMillis = 1000
