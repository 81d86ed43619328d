/** A network in memory for the servers and clients of a simulated pair. */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type { PCGRandom } from "effect/Utils"
import * as Batches from "../../internal/Batches.ts"
import type { ClientLink, Connection } from "../../ports/ClientLink.ts"
import type { Frontend } from "../../ports/Frontend.ts"
import type { LinkEvent, PeerLink } from "../../ports/PeerLink.ts"
import { type CrashEvidence, peerOf, type Role } from "../../protocol/StateMachine.ts"
import * as Envelope from "../../wire/Envelope.ts"
import * as Frames from "../../wire/Frames.ts"
import * as Medium from "./medium.ts"
import * as PeerLinks from "./peerLinks.ts"
import type { VirtualTime } from "./VirtualTime.ts"

export type { Conditions, ProcessRun } from "./medium.ts"

/**
 * A network for one pair.
 *
 * @category models
 */
export interface Network {
  /** The two ports of a server process, until it leaves. */
  readonly join: (run: Medium.ProcessRun) => Effect.Effect<{
    readonly frontend: Frontend["Type"]
    readonly link: PeerLink["Type"]
  }>
  /** A server process has ended. */
  readonly leave: (run: Medium.ProcessRun) => void
  /** The port of a client. Servers are named by their role. */
  readonly clientLink: ClientLink["Type"]
  /** All messages that are under way are lost. */
  readonly clear: () => void
}

/** The capacity of a mailbox; further messages are dropped, as ZeroMQ does at its high-water mark. */
const options = { capacity: 1000, strategy: "dropping" } as const

/**
 * Makes a network. `onReply` is called for every reply that leaves a server.
 *
 * @category constructors
 */
export const make = (
  time: VirtualTime,
  random: PCGRandom,
  conditions: Medium.Conditions,
  onReply: (role: Role) => void
): Network => {
  const medium = Medium.make(time, random, conditions)
  return {
    join: (run) =>
      Effect.gen(function*() {
        const endpoint: Medium.Endpoint = {
          run,
          requests: yield* Mailbox.make<Frames.Frames>(options),
          messages: yield* Mailbox.make<Frames.Frames>(options),
          evidence: yield* Mailbox.make<CrashEvidence>(options),
          events: yield* Mailbox.make<LinkEvent>(options),
          clients: new Map()
        }
        medium.endpoints[run.role] = endpoint
        PeerLinks.connect(medium, run)
        time.after(Medium.delay(medium), () => PeerLinks.probe(medium, run))
        return { frontend: makeFrontend(medium, endpoint, onReply), link: PeerLinks.makePort(medium, endpoint) }
      }),
    leave: (run) => leave(medium, run),
    clientLink: { connect: (server) => connectClient(medium, server.includes("primary") ? "primary" : "backup") },
    clear: () => {
      medium.epoch++
    }
  }
}

const makeFrontend = (
  medium: Medium.Medium,
  { clients, requests, run }: Medium.Endpoint,
  onReply: (role: Role) => void
): Frontend["Type"] => {
  const reply = (replies: ReadonlyArray<Frames.Frames>) =>
    Effect.sync(() => {
      for (const [client, ...message] of run.isCurrent() ? replies : []) {
        if (Envelope.isFromActive(Envelope.parseReply(message)?.status)) {
          onReply(run.role)
        }
        const link = clients.get(String(client))?.replies
        if (link !== undefined) {
          Medium.carry(medium, link, message)
        }
      }
    })
  return {
    run: (onBatch) => Batches.serve(requests, onBatch, reply),
    reply,
    connections: Effect.sync(() => ({ open: clients.size, rejected: 0, resets: 0 }))
  }
}

const leave = (medium: Medium.Medium, { role }: Medium.ProcessRun): void => {
  const { endpoints, subscribed, time } = medium
  for (const { disconnect } of endpoints[role]?.clients.values() ?? []) {
    time.after(Medium.delay(medium), disconnect)
  }
  delete endpoints[role]
  subscribed.delete(role)
  const peer = endpoints[peerOf(role)]
  if (peer !== undefined) {
    subscribed.delete(peer.run.role)
    time.after(Medium.delay(medium), () => {
      peer.events.unsafeOffer("Lost")
      PeerLinks.probe(medium, peer.run)
      if (endpoints[peer.run.role] === peer) {
        PeerLinks.connect(medium, peer.run)
      }
    })
  }
}

const connectClient = (medium: Medium.Medium, role: Role): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { endpoints, time } = medium
    const identity = Frames.make(String(++medium.lastConnection))[0]!
    const received = yield* Mailbox.make<Frames.Frames>(options)
    const events = yield* Mailbox.make<"connected" | "lost">()
    let endpoint: Medium.Endpoint | undefined
    let isClosed = false
    const requests = Medium.makeLink((message) => endpoint?.requests.unsafeOffer([identity, ...message]))
    const replies = Medium.makeLink((message) => received.unsafeOffer(message))
    const connect = () => {
      const found = endpoints[role]
      if (isClosed) {
        return
      }
      if (found === undefined || found.run.isPaused()) {
        time.after(PeerLinks.retryMillis, connect)
        return
      }
      endpoint = found
      found.clients.set(String(identity), { replies, disconnect })
      events.unsafeOffer("connected")
    }
    const disconnect = () => {
      endpoint = undefined
      events.unsafeOffer("lost")
      time.after(PeerLinks.retryMillis, connect)
    }
    time.after(Medium.delay(medium), connect)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
        endpoint?.clients.delete(String(identity))
      })
    )
    return {
      send: (message) => Effect.sync(() => Medium.carry(medium, requests, message)),
      sendNow: (message) => Medium.carry(medium, requests, message),
      run: (onBatch) => Batches.run(received, onBatch),
      events: Mailbox.toStream(events)
    }
  })
