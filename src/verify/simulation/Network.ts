/**
 * A network in memory for the servers and clients of a simulated pair, as good or bad as it is told to be.
 *
 * What is sent on one connection arrives in order and, while the network is sound, within `delayMillis`. A network that is
 * not sound loses, doubles, reorders and delays.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type { PCGRandom } from "effect/Utils"
import * as Batches from "../../internal/Batches.ts"
import type { ClientLink } from "../../ports/ClientLink.ts"
import type { Frontend } from "../../ports/Frontend.ts"
import type { LinkEvent, PeerLink } from "../../ports/PeerLink.ts"
import type { CrashEvidence, Role } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import * as Envelope from "../../wire/Envelope.ts"
import * as Frames from "../../wire/Frames.ts"
import type { VirtualTime } from "./VirtualTime.ts"

/**
 * How the network is at the moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Weather {
  /** How long anything is under way at most while the network is sound. */
  readonly delayMillis: number
  /** Whether it may lose, double and reorder, and delay ten times as long. */
  isWild: boolean
  /** The directions of the state link that are cut, by who speaks. */
  readonly cut: Set<Role>
}

/**
 * One life of a server: from the start of its process to its end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Life {
  readonly role: Role
  /** Whether its process is there. Whatever one that is not sends goes nowhere. */
  readonly isThere: () => boolean
  /** Whether its process stands still: the system accepts connections for it, but nobody greets. */
  readonly isPaused: () => boolean
}

/** What the network knows of a server that is there. */
interface Station {
  readonly life: Life
  readonly requests: Mailbox.Mailbox<Frames.Frames>
  readonly words: Mailbox.Mailbox<Frames.Frames>
  readonly evidence: Mailbox.Mailbox<CrashEvidence>
  readonly events: Mailbox.Mailbox<LinkEvent>
  readonly clients: Map<string, { readonly answers: Line; readonly lost: () => void }>
}

/** One direction of a connection, which keeps the order. */
interface Line {
  busyUntil: number
  readonly take: (message: Frames.Frames) => void
}

/**
 * A network for one pair.
 *
 * @since 0.1.0
 * @category models
 */
export interface Network {
  /** The two ports of a server, from now until it leaves. */
  readonly join: (life: Life) => Effect.Effect<{
    readonly frontend: Frontend["Type"]
    readonly link: PeerLink["Type"]
  }>
  /** A server's process is gone. */
  readonly leave: (life: Life) => void
  /** The port of a client. Servers are called by their role. */
  readonly clientLink: ClientLink["Type"]
  /** What is under way gets nowhere. */
  readonly clear: () => void
}

/** Messages kept for one who does not read; later ones are dropped, as ZeroMQ does at its high-water mark. */
const capacity = 1000

/** How often somebody who has no connection tries again, in milliseconds. */
const retryMillis = 25

/** How long, in milliseconds, what has arrived takes to come in. */
const arrivalMillis = 5

/** A handshake takes up to so many delays. */
const handshakeDelays = 5

/** How often the process of a peer that is not there is looked for, in milliseconds. */
const probeMillis = 50

/**
 * Makes a network. `replied` hears of every reply that leaves a server.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  time: VirtualTime,
  random: PCGRandom,
  weather: Weather,
  replied: (role: Role) => void
): Network => {
  const stations: { [R in Role]?: Station } = {}
  let era = 0
  let connections = 0

  const makeLine = (take: Line["take"]): Line => ({ busyUntil: 0, take })

  const delay = () => random.number() * weather.delayMillis

  /** Carries a message along a line, as the weather is. In good weather it gets only to the one to whom it was sent. */
  const carry = (line: Line, message: Frames.Frames, receiver?: () => unknown) => {
    const sentIn = era
    const sentTo = receiver?.()
    const deliver = () => {
      if (sentIn === era && (weather.isWild || receiver?.() === sentTo)) {
        line.take(message)
      }
    }
    if (!weather.isWild) {
      line.busyUntil = Math.max(line.busyUntil, time.now() + delay())
      time.after(line.busyUntil - time.now(), deliver)
      return
    }
    const copies = random.number() < 0.1 ? 0 : random.number() < 0.1 ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      time.after(delay() * (random.number() < 0.3 ? 10 : 1), deliver)
    }
  }

  /** The line on which a server's words go to its peer, whoever lives there when they arrive. */
  const words: { readonly [R in Role]: Line } = {
    primary: makeLine((message) => stations.backup?.words.unsafeOffer(message)),
    backup: makeLine((message) => stations.primary?.words.unsafeOffer(message))
  }

  /** The roles whose subscription has arrived at their peer. */
  const listening = new Set<Role>()
  /** The current connection of each server to its peer. */
  const connection: { [R in Role]: number } = { primary: 0, backup: 0 }

  /** Connects a server to its peer, step by step: TCP, handshake, subscription. Each takes its delays. */
  const connect = (life: Life) => {
    const { role } = life
    const id = ++connections
    connection[role] = id
    listening.delete(role)
    let peer: Station | undefined
    const isCurrent = () => stations[role]?.life === life && connection[role] === id
    const isWhole = () => weather.cut.size === 0 && peer !== undefined && stations[peerOf(role)] === peer
    /** Takes a step some delays later, or tries again as long as it cannot be taken. */
    const after = (delays: number, mayStep: () => boolean, step: () => void) => {
      let millis = 0
      for (let i = 0; i < delays; i++) {
        millis += delay()
      }
      const attempt = () => {
        if (!isCurrent()) {
          return
        }
        if (mayStep()) {
          step()
        } else {
          time.after(retryMillis, attempt)
        }
      }
      time.after(millis, attempt)
    }
    const areRunning = () => isWhole() && !life.isPaused() && !peer!.life.isPaused()
    const subscribe = () => {
      listening.add(role)
      peer!.events.unsafeOffer("Joined")
    }
    const greet = () => {
      stations[role]!.events.unsafeOffer("Connected")
      after(1, isWhole, subscribe)
    }
    const accept = () => {
      stations[role]!.events.unsafeOffer("Connecting")
      after(1 + random.integer(handshakeDelays), areRunning, greet)
    }
    const open = () => {
      peer = stations[peerOf(role)]
      return isWhole()
    }
    after(2, open, accept)
  }

  /** Looks again and again whether the peer's process is there, as long as it is not. */
  const probe = (life: Life) => {
    const station = stations[life.role]
    if (station?.life === life && stations[peerOf(life.role)] === undefined) {
      if (weather.cut.size === 0) {
        const evidence: CrashEvidence = { _tag: "ConnectionRefused", endpoint: peerOf(life.role), asOf: time.now() }
        time.after(delay(), () => station.evidence.unsafeOffer(evidence))
      }
      time.after(probeMillis, () => probe(life))
    }
  }

  return {
    join: (life) =>
      Effect.gen(function*() {
        const options = { capacity, strategy: "dropping" } as const
        const station: Station = {
          life,
          requests: yield* Mailbox.make<Frames.Frames>(options),
          words: yield* Mailbox.make<Frames.Frames>(options),
          evidence: yield* Mailbox.make<CrashEvidence>(options),
          events: yield* Mailbox.make<LinkEvent>(options),
          clients: new Map()
        }
        stations[life.role] = station
        connect(life)
        time.after(delay(), () => probe(life))
        const publish = (message: Frames.Frames) =>
          Effect.sync(() => {
            if (life.isThere() && listening.has(peerOf(life.role)) && !weather.cut.has(life.role)) {
              carry(words[life.role], message, () => connection[peerOf(life.role)])
            }
          })
        const link: PeerLink["Type"] = {
          messages: Batches.batches(station.words),
          poll: Effect.zipRight(
            Effect.yieldNow(),
            Effect.map(station.words.size, (size) => Option.getOrElse(size, () => 0) > 0)
          ),
          publish,
          publishFinal: publish,
          reset: Effect.sleep(arrivalMillis),
          events: Mailbox.toStream(station.events),
          hasSubscriber: Effect.sync(() => listening.has(peerOf(life.role))),
          isRefused: (timeoutMillis) =>
            Effect.gen(function*() {
              const [there, back] = [delay(), delay()]
              yield* Effect.sleep(Math.min(there, timeoutMillis))
              const isRefused = stations[peerOf(life.role)] === undefined && weather.cut.size === 0
              yield* Effect.sleep(Math.min(back, timeoutMillis - Math.min(there, timeoutMillis)))
              return isRefused && there + back <= timeoutMillis
            }),
          peerDown: Mailbox.toStream(station.evidence)
        }
        const reply = (replies: ReadonlyArray<Frames.Frames>) =>
          Effect.sync(() => {
            for (const [client, ...message] of life.isThere() ? replies : []) {
              if (Envelope.isFromActive(Envelope.parseReply(message)?.status)) {
                replied(life.role)
              }
              const line = station.clients.get(String(client))?.answers
              if (line !== undefined) {
                carry(line, message)
              }
            }
          })
        const frontend: Frontend["Type"] = {
          run: (onBatch) => Batches.serve(station.requests, onBatch, reply),
          reply,
          connections: Effect.sync(() => ({ open: station.clients.size, rejected: 0, resets: 0 }))
        }
        return { frontend, link }
      }),

    leave: (life) => {
      const role = life.role
      for (const { lost } of stations[role]?.clients.values() ?? []) {
        time.after(delay(), lost)
      }
      delete stations[role]
      listening.delete(role)
      const peer = stations[peerOf(role)]
      if (peer !== undefined) {
        listening.delete(peer.life.role)
        time.after(delay(), () => {
          peer.events.unsafeOffer("Lost")
          probe(peer.life)
          if (stations[peer.life.role] === peer) {
            connect(peer.life)
          }
        })
      }
    },

    clientLink: {
      connect: (server) =>
        Effect.gen(function*() {
          const role = server.includes("primary") ? "primary" : "backup"
          const identity = Frames.make(String(++connections))[0]!
          const replies = yield* Mailbox.make<Frames.Frames>({ capacity, strategy: "dropping" })
          const events = yield* Mailbox.make<"connected" | "lost">()
          let station: Station | undefined
          let isClosed = false
          const requests = makeLine((message) => station?.requests.unsafeOffer([identity, ...message]))
          const answers = makeLine((message) => {
            replies.unsafeOffer(message)
          })
          const connect = () => {
            const found = stations[role]
            if (isClosed) {
              return
            }
            if (found === undefined || found.life.isPaused()) {
              time.after(retryMillis, connect)
              return
            }
            station = found
            found.clients.set(String(identity), { answers, lost })
            events.unsafeOffer("connected")
          }
          const lost = () => {
            station = undefined
            events.unsafeOffer("lost")
            time.after(retryMillis, connect)
          }
          time.after(delay(), connect)
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              isClosed = true
              station?.clients.delete(String(identity))
            })
          )
          return {
            send: (message) => Effect.sync(() => carry(requests, message)),
            run: (take) => Batches.run(replies, take),
            events: Mailbox.toStream(events)
          }
        })
    },

    clear: () => {
      era++
    }
  }
}
