/**
 * Members with a witness, as far as their futures differ, with their reactions, computed once for each member and stimulus.
 * Everything is relative: times to now, terms to the number of the record, lives to this one, versions to the current one.
 */
import * as Dialogue from "../../member/Dialogue.ts"
import * as Production from "../../member/Member.ts"
import type { Heartbeat, Question } from "../../protocol/Heartbeat.ts"
import { stateOnly } from "../../protocol/Heartbeat.ts"
import type * as Rights from "../../protocol/Rights.ts"
import type * as Term from "../../protocol/Term.ts"
import * as Stimuli from "./witnessStimuli.ts"
import type { RelativeRecord, RelativeTerm, Said, Stimulus } from "./witnessStimuli.ts"
import * as Words from "./witnessWords.ts"

/** The functions that a model explores. */
export type Core = Pick<typeof Production, "start" | "step">

/** The time between two ticks in milliseconds: half a heartbeat of a second. */
export const tickMillis = 500

/** The number of the record's term. */
const recordNumber = 1000

/** As many as the packed states can tell apart. */
const maxNodes = 1 << 20

const never = Number.NEGATIVE_INFINITY
export const ownLife = "this life"
const otherLife = "another life"
const currentVersion = "current"
const staleVersion = "stale"

/** What follows from a stimulus. */
export interface Reaction {
  readonly node: Node
  readonly isEffective: boolean
  /** Whether the question that was heard is promised. */
  readonly isPromised: boolean
  /** Whether promises of heartbeats that were sent before count no more. */
  readonly voids: boolean
  /** Whether a question to the witness was given up. */
  readonly forgets: boolean
  /** Whether a question to the witness was asked, with the version of now. */
  readonly asks: "no" | "current" | "stale"
  /** The final heartbeat, as a word; 0 if there was none. */
  readonly final: number
  readonly logs: ReadonlyArray<string>
}

/** What a swap puts into the record. */
export interface Put {
  readonly isTake: boolean
  readonly step: number
  readonly isReleased: boolean
}

export interface Options {
  readonly rules: Production.Rules & { readonly rights: Rights.Rules }
  readonly core: Core
}

/** All nodes that were found so far. */
export class Graph {
  readonly options: Options
  readonly rightTicks: number
  readonly guardTicks: number
  readonly nodes: Array<Node> = []
  readonly #byKey = new Map<string, Node>()
  readonly #base: Production.Member
  readonly #started: Node

  constructor(options: Options) {
    this.options = options
    this.rightTicks = options.rules.rights.rightMillis / tickMillis
    this.guardTicks = options.rules.rights.guardMillis / tickMillis
    this.#base = options.core.start(options.rules, 0).member
    this.#started = this.nodeOf(this.#base, 0, 0)
  }

  get started(): Node {
    return this.#started
  }

  /** The node of a member. `raise` is by how much the number of the record has grown since. */
  nodeOf(member: Production.Member, now: number, raise: number, isStale = false): Node {
    const form = this.#normal(member, now, raise, isStale)
    const key = JSON.stringify(
      form,
      (_, value: unknown) => value === never ? "-I" : value === Number.POSITIVE_INFINITY ? "+I" : value
    )
    const known = this.#byKey.get(key)
    if (known !== undefined) {
      return known
    }
    if (this.nodes.length === maxNodes) {
      throw new RangeError("the members of this model have too many states")
    }
    const node = new Node(this, this.nodes.length, this.#memberOf(form))
    this.nodes.push(node)
    this.#byKey.set(key, node)
    return node
  }

  #normal({ phase, protocol, rights }: Production.Member, now: number, raise: number, isStale: boolean) {
    const isServing = protocol.state === "ACTIVE"
    return {
      state: isServing || protocol.state === "HANDING_OVER" ? protocol.state : "REJOINING" as const,
      phase: phase._tag,
      handsOver: (phase._tag === "Draining" || phase._tag === "EndingTerm") && phase.handOver !== undefined,
      rights: this.#rights(rights!, now, raise, isStale)
    }
  }

  #rights(rights: Rights.Rights, now: number, raise: number, isStale: boolean): Rights.Rights {
    const { guardMillis, rightMillis } = this.options.rules.rights
    const { evidence, operator, peer, witness } = rights.until
    const left = (at: number) => at <= now ? never : at - now
    const last = left(Math.max(evidence, operator, peer, witness))
    const older = <T extends Term.Term>(term: T): T => ({
      ...term,
      number: Math.max(term.number - raise, recordNumber - Words.oldest)
    })
    const { observed, request } = rights
    return {
      isActive: rights.isActive,
      term: rights.term && older(rights.term),
      isOwn: rights.isOwn,
      until: rights.isActive
        ? { witness: last, peer: never, evidence: never, operator: never }
        : { witness: left(witness), peer: left(peer), evidence: left(evidence), operator: never },
      guardUntil: rights.isActive ? never : left(rights.guardUntil),
      followsUntil: rights.isOwn ? never : left(rights.followsUntil),
      evidenceAfter: -1,
      promisesAfter: 0,
      observed: observed === undefined
        ? undefined
        : isStale || observed.seen?.version === staleVersion
        ? { seen: stale, since: 0 }
        : { seen: observed.seen, since: Math.max(observed.since - now, -guardMillis) },
      request: request?.swap === undefined ? undefined : {
        id: 1,
        askedAt: Math.max(request.askedAt - now, -rightMillis),
        swap: { isTake: request.swap.isTake, record: older(numbered(request.swap.record)) }
      },
      requestCount: 1
    }
  }

  #memberOf(
    { handsOver, phase, rights, state }: {
      readonly state: Production.Member["protocol"]["state"]
      readonly phase: Production.Phase["_tag"]
      readonly handsOver: boolean
      readonly rights: Rights.Rights
    }
  ): Production.Member {
    const base = this.#base
    const handOver = handsOver ? { id: 1, reason: "" } : undefined
    return {
      ...base,
      rights,
      protocol: { ...base.protocol, state, peerDeadline: Number.POSITIVE_INFINITY },
      phase: phase === "Draining"
        ? { _tag: phase, since: 0, until: Number.POSITIVE_INFINITY, handOver }
        : phase === "EndingTerm"
        ? { _tag: phase, since: 0, end: 0, handOver }
        : { _tag: phase },
      dialogue: { ...Dialogue.empty, sequence: 1 },
      endCount: phase === "EndingTerm" ? 0 : -1
    }
  }
}

/** The first term of all, in a record that does not exist yet, follows the number of the record like every other. */
const numbered = (record: Rights.TermRecord): Rights.TermRecord =>
  record.number === 1 ? { ...record, number: recordNumber + 1 } : record

const stale: Rights.Seen = {
  version: staleVersion,
  record: { number: 0, step: 0, holder: "primary", life: otherLife, isReleased: false }
}

const absoluteOf = (term: RelativeTerm | undefined): Term.Term | undefined =>
  term && { number: recordNumber - term.behind, step: term.step }

const relativeOf = (term: Term.Term | undefined): RelativeTerm | undefined =>
  term && { behind: recordNumber - term.number, step: term.step }

const seenOf = (record: RelativeRecord | undefined): Rights.Seen | undefined =>
  record && {
    version: currentVersion,
    record: {
      number: recordNumber,
      step: record.step,
      holder: "primary",
      life: record.isOwn ? ownLife : otherLife,
      isReleased: record.isReleased
    }
  }

/** A member as far as its future depends on it. */
export class Node {
  readonly id: number
  readonly member: Production.Member
  readonly rights: Rights.Rights
  /** Whether it serves clients, as long as its process runs. */
  readonly serves: boolean
  readonly isActive: boolean
  /** Whether it is active without a right, and ceases to be once it runs. */
  readonly isLapsed: boolean
  /** Whether its state port is closed. */
  readonly isClosed: boolean
  readonly term: RelativeTerm | undefined
  /** The last term that it had or followed. */
  readonly known: RelativeTerm | undefined
  readonly put: Put | undefined
  readonly evidenceTicks: number
  readonly #graph: Graph
  readonly #reactions = new Map<number, Reaction>()
  #afterTick: Node | undefined
  #stale: Node | undefined
  #older: Node | undefined
  readonly phase: Production.Phase["_tag"]
  readonly isHandingOver: boolean
  /** The heartbeat that it publishes, as a word; 0 for one that asks nothing. If it seeks a promise, it stands where it may. */
  readonly word: number
  readonly seekingWord: number

  constructor(graph: Graph, id: number, member: Production.Member) {
    const rights = member.rights!
    this.#graph = graph
    this.id = id
    this.member = member
    this.rights = rights
    const { rules } = graph.options
    const isServing = member.protocol.state === "ACTIVE"
    this.serves = isServing &&
      (Production.admission(rules, member, 0) === "Accept" || Production.mayReply(rules, member, 0))
    this.isActive = rights.isActive
    this.isLapsed = rights.isActive && rights.until.witness <= 0
    this.isClosed = rights.guardUntil === Number.POSITIVE_INFINITY
    this.term = relativeOf(Production.termOf(member))
    this.known = relativeOf(rights.term)
    const swap = rights.request?.swap
    this.put = swap && { isTake: swap.isTake, step: swap.record.step, isReleased: swap.record.isReleased }
    this.evidenceTicks = Math.max(0, rights.until.evidence / tickMillis)
    this.phase = member.phase._tag
    this.isHandingOver = member.protocol.state === "HANDING_OVER"
    this.word = wordOf(graph, member)
    // A wish, while the witness does not answer.
    const witness = { ...member.witness, problem: "no answer" }
    const seeking = wordOf(graph, { ...member, wish: { voter: "", at: 0 }, witness })
    this.seekingWord = seeking === this.word ? 0 : seeking
  }

  afterTick(): Node {
    return this.#afterTick ??= this.#graph.nodeOf(this.member, tickMillis, 0)
  }

  /** The same member after the record has got another version. */
  stale(): Node {
    return this.#stale ??= this.#graph.nodeOf(this.member, 0, 0, true)
  }

  /** The same member after the number of the record has grown. */
  older(): Node {
    return this.#older ??= this.#graph.nodeOf(this.member, 0, 1, true)
  }

  /** The reaction to a stimulus, by its code. */
  on(code: number): Reaction {
    let reaction = this.#reactions.get(code)
    if (reaction === undefined) {
      reaction = react(this.#graph, this, Stimuli.of(code))
      this.#reactions.set(code, reaction)
    }
    return reaction
  }
}

/** What a member publishes now, unless it asks nothing. */
const wordOf = ({ options: { core, rules } }: Graph, member: Production.Member): number => {
  const { outputs } = core.step(rules, member, [{ _tag: "SubscriberJoined" }], 0)
  const heartbeats = outputs.flatMap((output) => output._tag === "Publish" ? [output.heartbeat] : [])
  const said = saidOf(heartbeats[0])
  return said === undefined ? 0 : Words.of(said)
}

const saidOf = (heartbeat: Heartbeat | undefined): Said | undefined =>
  heartbeat === undefined || (heartbeat.question === undefined && !heartbeat.handsOver) ? undefined : {
    question: heartbeat.question,
    term: relativeOf(heartbeat.term),
    handsOver: heartbeat.handsOver
  }

/** A heartbeat of the peer that echoes one that this member sent some ticks ago. */
const heartbeatInput = (heartbeat: Partial<Heartbeat> & Pick<Heartbeat, "state">): Production.Input => ({
  _tag: "PeerHeartbeat",
  state: heartbeat.state,
  receivedAt: 0,
  linkEpoch: 0,
  heartbeat: {
    life: otherLife,
    sequence: 1,
    ...stateOnly,
    received: { life: ownLife, sequence: 1 },
    ...heartbeat
  }
})

const echoing = (member: Production.Member, age: number, question?: Question): Production.Member => ({
  ...member,
  dialogue: { ...member.dialogue, sent: [{ sequence: 1, at: -age * tickMillis, state: "PASSIVE", question }] }
})

/** The member before a stimulus, and its inputs. */
const prepare = (
  member: Production.Member,
  stimulus: Stimulus
): { readonly member: Production.Member; readonly inputs: ReadonlyArray<Production.Input> } => {
  switch (stimulus._tag) {
    case "Hear": {
      const { handsOver, question, term } = stimulus.said
      const state = question === "Serve" ? "ACTIVE" : "PASSIVE"
      return {
        member: echoing(member, stimulus.age),
        inputs: [heartbeatInput({ state, question, handsOver, term: absoluteOf(term) })]
      }
    }
    case "Promised":
      return {
        member: echoing(member, stimulus.age, stimulus.question),
        inputs: [heartbeatInput({ state: "PASSIVE", promises: true })]
      }
    case "Beat":
      return { member, inputs: [{ _tag: "HeartbeatDue" }] }
    case "Conflict":
      return {
        member,
        inputs: [{ _tag: "WitnessAnswered", id: 1, answer: { _tag: "Conflict", seen: seenOf(stimulus.record) } }]
      }
    case "Swapped": {
      const version = stimulus.isCurrent ? currentVersion : staleVersion
      return { member, inputs: [{ _tag: "WitnessAnswered", id: 1, answer: { _tag: "Swapped", version } }] }
    }
    case "NoAnswer":
      return { member, inputs: [{ _tag: "WitnessAnswered", id: 1, answer: { _tag: "NoAnswer", problem: "" } }] }
    case "Refused": {
      const evidence = { _tag: "ConnectionRefused", endpoint: "its peer", asOf: 0 } as const
      return { member, inputs: [{ _tag: "PeerDown", evidence, linkEpoch: 0 }] }
    }
    case "Vote":
      return { member, inputs: [{ _tag: "Vote", voter: "a client", hasSubscriber: false }] }
    case "Lapse":
      return { member, inputs: [{ _tag: "Woken" }] }
    case "HandOver":
      return {
        member: { ...member, peer: { state: "PASSIVE", receivedAt: 0, heartbeat: undefined } },
        inputs: [{ _tag: "HandOver", id: 1, reason: "" }]
      }
    case "Drained":
      return { member, inputs: [{ _tag: "RequestsDrained" }] }
    case "TermEnded":
      return { member, inputs: [{ _tag: "TermEnded", end: 0 }] }
    case "Leave":
      return {
        member: { ...member, protocol: { ...member.protocol, peerDeadline: never } },
        inputs: [{ _tag: "Vote", voter: "a client", hasSubscriber: false }]
      }
    case "Bound":
      return { member, inputs: [{ _tag: "HeartbeatSent", startedAt: 0, isPortOpen: true }] }
    case "Stop":
      return { member, inputs: [{ _tag: "Stop" }] }
  }
}

interface Run {
  member: Production.Member
  asked: Extract<Production.Output, { _tag: "AskWitness" }> | undefined
  isPromised: boolean
  final: Said | undefined
  readonly logs: Array<string>
}

/** Performs outputs at once, in order. A look at the record is answered at once, with the record of the stimulus. */
const drive = ({ options: { core, rules } }: Graph, start: Production.Member, stimulus: Stimulus): Run => {
  const prepared = prepare(start, stimulus)
  const run: Run = { member: prepared.member, asked: undefined, isPromised: false, final: undefined, logs: [] }
  const pending: Array<Production.Output> = []
  const give = (inputs: ReadonlyArray<Production.Input>) => {
    const { member, outputs } = core.step(rules, run.member, inputs, 0)
    run.member = member
    pending.push(...outputs)
  }
  give(prepared.inputs)
  for (let output = pending.shift(); output !== undefined; output = pending.shift()) {
    switch (output._tag) {
      case "AskWitness":
        run.asked = output
        if (output.request.swap === undefined && stimulus._tag === "Beat") {
          give([{
            _tag: "WitnessAnswered",
            id: output.request.id,
            answer: { _tag: "Seen", seen: seenOf(stimulus.record) }
          }])
        }
        break
      case "Reply":
        run.isPromised ||= output.heartbeat.promises
        break
      case "Publish":
        if (output.isFinal) {
          run.final = saidOf(output.heartbeat)
        }
        break
      case "ReadLink":
        give([{ _tag: "LinkRead", at: 0, hasSubscriber: false }])
        break
      case "EndTerm":
        if (output.isSilent) {
          give([{ _tag: "TermEnded", end: output.end }])
        } else if (stimulus._tag === "Stop") {
          give([{ _tag: "TermEnded", end: output.end }])
        }
        break
      case "WakeAt":
        if (stimulus._tag === "Stop" && run.member.phase._tag === "Draining") {
          give([{ _tag: "RequestsDrained" }])
        }
        break
      case "Log":
        run.logs.push(output.message)
        break
    }
  }
  return run
}

const react = (graph: Graph, node: Node, stimulus: Stimulus): Reaction => {
  const { asked, final, isPromised, logs, member } = drive(graph, node.member, stimulus)
  const rights = member.rights!
  const after = graph.nodeOf(member, 0, 0)
  const pending = rights.request?.swap === undefined ? undefined : rights.request
  const isNew = pending !== undefined && asked?.request.id === pending.id
  return {
    node: after,
    isEffective: after !== node || isPromised || final !== undefined || isNew,
    isPromised,
    voids: rights.promisesAfter > 0,
    forgets: node.put !== undefined && rights.request?.id !== 1,
    asks: !isNew ? "no" : asked?.expected === staleVersion ? "stale" : "current",
    final: final === undefined ? 0 : Words.of(final),
    logs
  }
}
