/** Drives a request table as the session does, in virtual time, against two servers and a network with faults. */
import { assert } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as RequestTable from "../../src/client/requestTable.ts"
import * as Term from "../../src/protocol/Term.ts"
import type { Reply, ReplyStatus } from "../../src/wire/Envelope.ts"
import { isFromActive } from "../../src/wire/Envelope.ts"
import * as Frames from "../../src/wire/Frames.ts"

export const timeoutMillis = 10_000
export const retryAfterMillis = 1000

/** The longest interval between two votes. */
const voteMillis = 50

/**
 * What a server does with a request. `Reply`, `Failed`, `TimedOut`, `Interrupted` and `Executed` execute it; `Executed` and
 * `Dropped` send nothing, as an implementation without statuses does.
 */
export type Behaviour = "Reply" | ReplyStatus | "Executed" | "Dropped"

const behaviours: ReadonlyArray<Behaviour> = [
  ...["Reply", "NotActive", "Interrupted", "Failed", "TimedOut", "Busy", "Executed", "Dropped"] as const
]

export type Action =
  | { readonly _tag: "Request"; readonly resend: boolean }
  | { readonly _tag: "Advance"; readonly millis: number }
  | { readonly _tag: "Behave"; readonly index: 0 | 1; readonly behaviour: Behaviour; readonly delayMillis: number }
  | { readonly _tag: "Activate" | "Connect" | "Lose" | "Fill" | "Drain"; readonly index: 0 | 1 }
  | { readonly _tag: "DelaySends" | "Stall"; readonly millis: number }
  | { readonly _tag: "Cancel" | "Redeliver"; readonly nth: number }

const index = FastCheck.constantFrom(0 as const, 1 as const)

export const actions: FastCheck.Arbitrary<ReadonlyArray<Action>> = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 4,
      arbitrary: FastCheck.record({ _tag: FastCheck.constant("Request" as const), resend: FastCheck.boolean() })
    },
    {
      weight: 4,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Advance" as const),
        millis: FastCheck.constantFrom(0, 1, 4, 5, 20, 21, 199, 201, retryAfterMillis, timeoutMillis / 2)
      })
    },
    {
      weight: 3,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constant("Behave" as const),
        index,
        behaviour: FastCheck.constantFrom(...behaviours),
        delayMillis: FastCheck.constantFrom(0, 1, 15, 100, 2000)
      })
    },
    {
      weight: 3,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constantFrom(...(["Activate", "Connect", "Lose", "Fill", "Drain"] as const)),
        index
      })
    },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constantFrom(...(["DelaySends", "Stall"] as const)),
        millis: FastCheck.constantFrom(0, 1, 30, 300, 2 * timeoutMillis)
      })
    },
    {
      weight: 1,
      arbitrary: FastCheck.record({
        _tag: FastCheck.constantFrom(...(["Cancel", "Redeliver"] as const)),
        nth: FastCheck.nat(20)
      })
    }
  ),
  { maxLength: 60 }
)

interface Peer {
  readonly server: RequestTable.Server
  behaviour: Behaviour
  delayMillis: number
  isFull: boolean
  /** Its fencing token; none as a server of another implementation. */
  token: number | undefined
  /** Number of the connection: messages of an earlier one are lost. */
  connection: number
}

interface Message {
  readonly id: string
  readonly peer: Peer
  readonly attempt: number
  readonly at: number
}

export class Rig {
  now = 0
  readonly table = RequestTable.make<undefined>(["tcp://a:1", "tcp://b:1"], retryAfterMillis)
  readonly peers: ReadonlyArray<Peer> = this.table.servers.map((server) => ({
    ...{ server, behaviour: "Reply", delayMillis: 1, isFull: false, token: undefined, connection: 0 }
  }))
  readonly sent: Array<Message> = []
  readonly replies: Array<[Peer, Reply]> = []
  readonly executions = new Map<string, number>()
  readonly requests: Array<RequestTable.Request<undefined>> = []
  readonly outcomes = new Map<string, { readonly outcome: RequestTable.Outcome | "Cancelled"; readonly at: number }>()
  /** Timers that were due before this instant may be late. */
  private stalledUntil = 0
  /** Number of `NotActive` statuses received, by request. */
  private readonly dropCounts = new Map<string, number>()
  /** Time between the decision to send a message and sending it. */
  sendDelayMillis = 0
  /** The largest token given, and the largest received. */
  lastToken = 0
  private receivedToken = 0
  private events: Array<{ readonly at: number; readonly run: () => void }> = []
  private nextVoteAt = Number.POSITIVE_INFINITY

  request(resend: boolean): RequestTable.Request<undefined> {
    const request = RequestTable.add(this.table, undefined, resend, this.now)
    this.requests.push(request)
    this.after(timeoutMillis, () => {
      if (this.table.pending.has(request)) {
        this.end([RequestTable.timeOut(this.table, request)])
      }
    })
    this.nextVoteAt = Math.min(this.nextVoteAt, this.now + RequestTable.voteAfterMillis)
    const server = RequestTable.preferredServer(this.table)
    this.send(server === undefined ? [] : [{ request, server }])
    return request
  }

  reasonOf(request: RequestTable.Request<undefined>): string | undefined {
    const outcome = this.outcomes.get(request.id)?.outcome
    return typeof outcome === "object" && outcome._tag === "Failed" ? outcome.reason : outcome && "Replied"
  }

  sentTo(request: RequestTable.Request<undefined>): ReadonlyArray<number> {
    return this.sent.filter(({ id }) => id === request.id).map(({ peer }) => this.peers.indexOf(peer))
  }

  connect(index: 0 | 1): void {
    RequestTable.onConnected(this.peers[index]!.server)
    this.vote()
  }

  lose(index: 0 | 1): void {
    const peer = this.peers[index]!
    peer.connection++
    this.end(RequestTable.onLost(this.table, peer.server))
    this.vote()
  }

  behave(index: 0 | 1, behaviour: Behaviour, delayMillis = 1): void {
    Object.assign(this.peers[index]!, { behaviour, delayMillis })
  }

  /** A server becomes active, with a term that a witness has recorded. */
  activate(index: 0 | 1): void {
    this.lastToken += 65_536
    this.peers[index]!.token = this.lastToken
  }

  receive(peer: Peer, reply: Reply): void {
    this.replies.push([peer, reply])
    const isStale = reply.token !== undefined && Term.isStale(reply.token, this.receivedToken) &&
      isFromActive(reply.status)
    this.receivedToken = Math.max(this.receivedToken, isFromActive(reply.status) ? reply.token ?? 0 : 0)
    if (reply.status === "NotActive") {
      this.dropCounts.set(reply.id, (this.dropCounts.get(reply.id) ?? 0) + 1)
    }
    const { activated, ended, sends } = RequestTable.onReplies(this.table, peer.server, [reply], this.now)
    this.end(ended)
    this.send(sends)
    assert.isFalse(
      isStale &&
        (activated !== undefined ||
          ended.some(({ outcome, request }) =>
            outcome._tag === "Replied" || outcome.reason !== "Unanswered" || request.resend
          )),
      "a stale server answers"
    )
    assert.strictEqual(activated ?? this.table.activeServer, this.table.activeServer)
  }

  advance(millis: number): void {
    const until = this.now + millis
    for (;;) {
      const first = this.events.reduce((first, { at }) => Math.min(first, at), this.nextVoteAt)
      if (first > until) {
        break
      }
      this.now = Math.max(this.now, first)
      if (first === this.nextVoteAt) {
        this.vote()
      } else {
        const event = this.events.splice(this.events.findIndex(({ at }) => at === first), 1)[0]!
        event.run()
      }
      this.check()
    }
    this.now = until
  }

  run(action: Action): void {
    switch (action._tag) {
      case "Request":
        this.request(action.resend)
        break
      case "Advance":
        this.advance(action.millis)
        break
      case "Behave":
        this.behave(action.index, action.behaviour, action.delayMillis)
        break
      case "Activate":
        this.activate(action.index)
        break
      case "Connect":
        this.connect(action.index)
        break
      case "Lose":
        this.lose(action.index)
        break
      case "Stall":
        this.now += action.millis
        this.stalledUntil = this.now
        break
      case "DelaySends":
        this.sendDelayMillis = action.millis
        break
      case "Fill":
      case "Drain":
        this.peers[action.index]!.isFull = action._tag === "Fill"
        break
      case "Cancel":
        this.cancel(action.nth)
        break
      case "Redeliver":
        this.replies.slice(action.nth, action.nth + 1).forEach(([peer, reply]) => this.receive(peer, reply))
    }
    this.check()
  }

  private cancel(nth: number): void {
    const request = this.table.pending.toArray()[nth]
    if (request !== undefined) {
      RequestTable.cancel(this.table, request)
      this.outcomes.set(request.id, { outcome: "Cancelled", at: this.now })
    }
  }

  private after(millis: number, run: () => void): void {
    this.events.push({ at: this.now + millis, run })
  }

  private vote(): void {
    const { ended, sends } = RequestTable.vote(this.table, this.now)
    this.end(ended)
    this.send(sends)
    this.nextVoteAt = this.table.pending.size > 0 ? this.now + voteMillis : Number.POSITIVE_INFINITY
  }

  private end(ended: ReadonlyArray<RequestTable.Ended<undefined>>): void {
    for (const { outcome, request } of ended) {
      assert.isFalse(this.outcomes.has(request.id), `request ${request.id} ends twice`)
      this.outcomes.set(request.id, { outcome, at: this.now })
    }
  }

  private send(sends: ReadonlyArray<RequestTable.Send<undefined>>): void {
    if (this.sendDelayMillis > 0) {
      this.after(this.sendDelayMillis, () => this.sendNow(sends))
    } else {
      this.sendNow(sends)
    }
  }

  private sendNow(sends: ReadonlyArray<RequestTable.Send<undefined>>): void {
    for (const { request, server } of sends) {
      const attempt = RequestTable.beginAttempt(this.table, { request, server }, this.now)
      const peer = this.peers.find((peer) => peer.server === server)!
      assert.isTrue(attempt === undefined || server.isConnected, "a message is sent without a connection")
      if (attempt !== undefined && peer.isFull) {
        RequestTable.undoAttempt(request, attempt)
      } else if (attempt !== undefined) {
        this.sent.push({ id: request.id, peer, attempt, at: this.now })
        const isAllowed = request.resend || this.sentTo(request).length <= 1 + (this.dropCounts.get(request.id) ?? 0)
        assert.isTrue(isAllowed, `request ${request.id} is sent twice`)
        const known = this.table.latestToken
        this.transmit(peer, () => this.serve(peer, request, attempt, known))
      }
    }
  }

  /** Messages arrive after a delay, unless the connection is lost by then. */
  private transmit(peer: Peer, run: () => void): void {
    const { connection } = peer
    this.after(peer.delayMillis, () => connection === peer.connection && run())
  }

  private serve(peer: Peer, { id, resend }: RequestTable.Request<undefined>, attempt: number, known?: number): void {
    const { token = known } = peer
    // A server that is asked for a later term rejects the request.
    const behaviour = peer.token !== undefined && Term.isStale(peer.token, known) ? "NotActive" : peer.behaviour
    if (!["NotActive", "Busy", "Dropped"].includes(behaviour)) {
      this.executions.set(id, (this.executions.get(id) ?? 0) + 1)
      assert.isTrue(resend || this.executions.get(id) === 1, `request ${id} is executed twice`)
    }
    if (behaviour !== "Executed" && behaviour !== "Dropped") {
      const status = behaviour === "Reply" ? undefined : behaviour
      this.transmit(peer, () => this.receive(peer, { id, attempt, status, token, body: Frames.make(id) }))
    }
  }

  private check(): void {
    for (const request of this.requests) {
      const end = this.outcomes.get(request.id)
      assert.strictEqual(this.table.pending.has(request), end === undefined, `request ${request.id}`)
      const deadline = Math.max(request.startedAt + timeoutMillis, this.stalledUntil)
      assert.isAtMost(end?.at ?? this.now, deadline, `request ${request.id} is late`)
    }
    for (const { answerUntil } of this.table.pending.toArray()) {
      assert.isAtMost(this.now, Math.max(answerUntil, this.stalledUntil) + voteMillis)
    }
  }
}
