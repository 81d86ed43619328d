/** The state links between two simulated servers: connections whose steps take time, and crash evidence. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Batches from "../../internal/Batches.ts"
import type { PeerLink, Publication } from "../../ports/PeerLink.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import { carry, delay, type Endpoint, type Medium, type ProcessRun } from "./medium.ts"

/** The time between two attempts to connect, in milliseconds. */
export const retryMillis = 25

/** The longest time in milliseconds in which received messages reach a process after a stall. */
const arrivalMillis = 5

/** The longest handshake, in delays. */
const handshakeDelays = 5

/** The time between two probes for crash evidence, in milliseconds. */
const probeMillis = 50

/** Connects a server to its peer, step by step: TCP, handshake, subscription. Each takes its delays. */
export const connect = (medium: Medium, run: ProcessRun): void => {
  const { conditions, connections, endpoints, random, subscribed } = medium
  const { role } = run
  const id = ++medium.lastConnection
  connections[role] = id
  subscribed.delete(role)
  let peer: Endpoint | undefined
  const isCurrent = () => endpoints[role]?.run === run && connections[role] === id
  const isWhole = () => conditions.cut.size === 0 && peer !== undefined && endpoints[peerOf(role)] === peer
  const areRunning = () => isWhole() && !run.isPaused() && !peer!.run.isPaused()
  const open = () => {
    peer = endpoints[peerOf(role)]
    return isWhole()
  }
  const after = (delays: number, mayStep: () => boolean, step: () => void) =>
    stepAfter(medium, delays, isCurrent, mayStep, step)
  after(2, open, () => {
    endpoints[role]!.events.unsafeOffer("Connecting")
    after(1 + random.integer(handshakeDelays), areRunning, () => {
      endpoints[role]!.events.unsafeOffer("Connected")
      after(1, isWhole, () => {
        subscribed.add(role)
        peer!.events.unsafeOffer("Joined")
        peer!.events.unsafeOffer("PeerJoined")
      })
    })
  })
}

/** Takes a step of a connection after some delays, and retries while it is not possible. */
const stepAfter = (
  medium: Medium,
  delays: number,
  isCurrent: () => boolean,
  mayStep: () => boolean,
  step: () => void
): void => {
  const attempt = () => {
    if (!isCurrent()) {
      return
    }
    if (mayStep()) {
      step()
    } else {
      medium.time.after(retryMillis, attempt)
    }
  }
  let millis = 0
  for (let i = 0; i < delays; i++) {
    millis += delay(medium)
  }
  medium.time.after(millis, attempt)
}

/** Looks for crash evidence again and again, as long as no process of the peer runs. */
export const probe = (medium: Medium, run: ProcessRun): void => {
  const { conditions, endpoints, time } = medium
  const endpoint = endpoints[run.role]
  if (endpoint?.run === run && endpoints[peerOf(run.role)] === undefined) {
    if (conditions.cut.size === 0) {
      const asOf = time.now()
      time.after(
        delay(medium),
        () => endpoint.evidence.unsafeOffer({ _tag: "ConnectionRefused", endpoint: peerOf(run.role), asOf })
      )
    }
    time.after(probeMillis, () => probe(medium, run))
  }
}

/** The port of a member to its peer. */
export const makePort = (medium: Medium, { events, evidence, messages, run }: Endpoint): PeerLink["Type"] => {
  const { conditions, connections, endpoints, stateLinks, subscribed } = medium
  const peer = peerOf(run.role)
  const publish = ({ heartbeat, state }: Publication) =>
    Effect.sync(() => {
      if (run.isCurrent() && subscribed.has(peer) && !conditions.cut.has(run.role)) {
        for (const message of [state, heartbeat]) {
          if (message !== undefined) {
            carry(medium, stateLinks[run.role], message, () => connections[peer])
          }
        }
      }
      return true
    })
  return {
    messages: Batches.batches(messages),
    poll: Effect.zipRight(
      Effect.yieldNow(),
      Effect.map(messages.size, (size) => Option.getOrElse(size, () => 0) > 0)
    ),
    publish,
    publishFinal: publish,
    close: Effect.void,
    reset: Effect.sleep(arrivalMillis),
    events: Mailbox.toStream(events),
    hasSubscriber: Effect.sync(() => subscribed.has(peer)),
    isRefused: (timeoutMillis) =>
      Effect.gen(function*() {
        const [there, back] = [delay(medium), delay(medium)]
        yield* Effect.sleep(Math.min(there, timeoutMillis))
        const isRefused = endpoints[peer] === undefined && conditions.cut.size === 0
        yield* Effect.sleep(Math.min(back, timeoutMillis - Math.min(there, timeoutMillis)))
        return isRefused && there + back <= timeoutMillis
      }),
    peerDown: Mailbox.toStream(evidence)
  }
}
