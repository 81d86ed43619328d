/** A process of a pair with a witness: the core in a plain loop, its timers, its questions and its messages. */
import * as Core from "../../member/Member.ts"
import type { Heartbeat } from "../../protocol/Heartbeat.ts"
import type * as Rights from "../../protocol/Rights.ts"
import * as StateMachine from "../../protocol/StateMachine.ts"
import * as Term from "../../protocol/Term.ts"
import { printOutput } from "./coreTrace.ts"
import {
  chance,
  delay,
  heartbeatMillis,
  localNow,
  other,
  plan,
  type Process,
  roles,
  type Side,
  trace,
  upTo,
  type World
} from "./coreWitnessWorld.ts"

/** Local milliseconds until something happens, in the time of the world. */
const planLocally = (world: World, process: Process, millis: number, run: () => void): void =>
  plan(world, Math.max(0, millis) / process.rate, () => receive(world, process, run))

/** Something reaches a process: at once, once it runs again, or never. */
export const receive = (_world: World, process: Process, run: () => void): void => {
  if (process.status === "running") {
    run()
  } else if (process.status === "paused") {
    process.backlog.push(run)
  }
}

/** Gives an input to a process with its next turn of the event loop. */
export const give = (world: World, process: Process, input: Core.Input): void =>
  receive(world, process, () => {
    process.inputs.push(input)
    planTurn(world, process)
  })

const planTurn = (world: World, process: Process): void => {
  if (!process.isTurnPlanned) {
    process.isTurnPlanned = true
    plan(world, chance(world, 0.7) ? 0 : upTo(world, 0.01), () => {
      process.isTurnPlanned = false
      receive(world, process, () => turn(world, process))
    })
  }
}

/** Performs what is to be done, then processes what has arrived. */
export const turn = (world: World, process: Process): void => {
  while (performAll(world, process) && process.inputs.length > 0) {
    step(world, process, process.inputs.splice(0))
  }
}

const isAble = ({ isBlocked, status }: Process): boolean => status === "running" && !isBlocked

const performAll = (world: World, process: Process): boolean => {
  while (isAble(process) && process.pending.length > 0) {
    if (process.outputsLeft-- <= 0) {
      pause(world, process)
      return false
    }
    perform(world, process, process.pending.shift()!)
  }
  return isAble(process)
}

export const pause = (world: World, process: Process): void => {
  process.status = "paused"
  process.outputsLeft = Number.POSITIVE_INFINITY
  trace(world, process.side, `is paused for ${process.pauseMillis.toFixed(0)} ms`)
  plan(world, process.pauseMillis, () => resume(world, process))
}

export const resume = (world: World, process: Process): void => {
  if (process.status === "paused") {
    trace(world, process.side, "is resumed")
    process.status = "running"
    process.outputsLeft = Number.POSITIVE_INFINITY
    process.backlog.splice(0).forEach((run) => receive(world, process, run))
    planTurn(world, process)
  }
}

export const end = (world: World, process: Process, how: string): void => {
  trace(world, process.side, how)
  process.status = "down"
  process.isBound = false
}

const printRights = (member: Core.Member, now: number): string => {
  const { rights } = member
  if (rights === undefined) {
    return ""
  }
  const { guardUntil, isActive, isOwn, observed, request, term, until } = rights
  const left = (at: number) => at <= now ? "-" : (at - now).toFixed(0)
  return `${member.protocol.state}${isActive ? " ACTIVE" : ""} ${member.phase._tag} term ${
    term === undefined ? "?" : Term.format(term)
  }${isOwn ? " own" : ""}, witness ${left(until.witness)} peer ${left(until.peer)} evidence ${
    left(until.evidence)
  }, guard ${left(guardUntil)}, follows ${left(rights.followsUntil)}, observed ${
    observed === undefined ? "nothing" : `${observed.seen?.version} for ${(now - observed.since).toFixed(0)}`
  }${
    request === undefined
      ? ""
      : `, asks ${request.swap === undefined ? "look" : request.swap.isTake ? "TAKE" : "renew"}`
  }`
}

export const printHeartbeat = ({ handsOver, life, promises, question, received, sequence, state, term }: Heartbeat) =>
  `${life}#${sequence} ${state}${question === undefined ? "" : ` ${question}?`}${promises ? " PROMISES" : ""}${
    handsOver ? " HANDS OVER" : ""
  } term ${term === undefined ? "?" : Term.format(term)}, echoes ${
    received === undefined ? "nothing" : `${received.life}#${received.sequence}`
  }`

const printInput = (input: Core.Input): string => {
  switch (input._tag) {
    case "PeerHeartbeat":
      return input.heartbeat === undefined ? input.state : printHeartbeat(input.heartbeat)
    case "WitnessAnswered":
      return `witness ${JSON.stringify(input.answer)}`
    default:
      return input._tag
  }
}

export const step = (world: World, process: Process, inputs: ReadonlyArray<Core.Input>): void => {
  const now = localNow(world, process)
  const before = process.member.protocol.state
  const { member, outputs } = world.core.step(process.rules, process.member, inputs, now)
  process.member = member
  process.pending.push(...outputs)
  world.fingerprint = Math.imul(
    world.fingerprint ^ (StateMachine.states.indexOf(member.protocol.state) + 8 * process.side + Math.trunc(world.now)),
    0x01000193
  )
  if (before !== member.protocol.state && member.protocol.state === "ACTIVE") {
    world.takeOvers++
  }
  if (world.lines !== undefined) {
    trace(world, process.side, `< ${inputs.map(printInput).join(" & ")}`)
    trace(world, process.side, `  = ${printRights(member, now)}`)
  }
  if (member.phase._tag === "Draining" && !process.isDraining) {
    process.isDraining = true
    planLocally(world, process, chance(world, 0.5) ? 0 : upTo(world, 1), () => {
      process.isDraining = false
      give(world, process, { _tag: "RequestsDrained" })
    })
  }
}

const perform = (world: World, process: Process, output: Core.Output): void => {
  if (world.lines !== undefined && output._tag !== "Log") {
    const what = output._tag === "Publish" || output._tag === "Reply"
      ? `${output._tag} ${printHeartbeat(output.heartbeat)}${
        output._tag === "Publish" && output.isFinal ? " final" : ""
      }`
      : output._tag === "AskWitness"
      ? `asks ${JSON.stringify(output.request.swap?.record ?? "look")} expecting ${output.expected}`
      : printOutput(output, localNow(world, process))
    trace(world, process.side, `  > ${what}`)
  }
  switch (output._tag) {
    case "Publish":
      return publish(world, process, output)
    case "Reply":
      return process.isBound ? carry(world, process, output.heartbeat) : undefined
    case "AskWitness":
      return ask(world, process, output.request, output.expected)
    case "Probe":
      return probe(world, process)
    case "ReadLink":
      return step(world, process, [{ _tag: "LinkRead", at: localNow(world, process), hasSubscriber: false }])
    case "ResetLink":
      return unblockLater(world, process, 0.05, () => {
        process.linkEpoch = output.epoch
        return { _tag: "LinkReset", refusal: undefined }
      })
    case "EndTerm":
      return output.isSilent
        ? unblockLater(world, process, world.isWhole ? 0.05 : 2, () => ({ _tag: "TermEnded", end: output.end }))
        : planLocally(
          world,
          process,
          upTo(world, 0.5),
          () => give(world, process, { _tag: "TermEnded", end: output.end })
        )
    case "WakeAt":
      return planLocally(
        world,
        process,
        output.at - localNow(world, process),
        () => give(world, process, { _tag: "Woken" })
      )
    case "Exit":
    case "Abort":
      return end(world, process, "exits")
    case "Transitioned":
    case "BeginTerm":
    case "FailedOver":
    case "Conflict":
    case "Complete":
    case "Log":
      return
  }
}

/** Blocks a process until the result of an output, within some heartbeats. */
const unblockLater = (world: World, process: Process, heartbeats: number, result: () => Core.Input): void => {
  process.isBlocked = true
  planLocally(world, process, chance(world, 0.6) ? 0 : upTo(world, heartbeats), () => {
    process.isBlocked = false
    step(world, process, [result()])
    planTurn(world, process)
  })
}

const publish = (world: World, process: Process, output: Extract<Core.Output, { _tag: "Publish" }>): void => {
  if (output.isFinal && !process.isBound) {
    return
  }
  process.isBound = true
  carry(world, process, output.heartbeat)
  if (output.isFinal) {
    process.isBound = false
  }
  if (output.isHeartbeat) {
    step(world, process, [{ _tag: "HeartbeatSent", startedAt: localNow(world, process), isPortOpen: true }])
  }
}

/** Carries a heartbeat to whatever process the peer has when it arrives; lost, late or twice. */
const carry = (world: World, { side }: Process, heartbeat: Heartbeat): void => {
  const arrive = () => {
    const peer = world.processes[other(side)]
    if (world.cut[side] && chance(world, 0.9)) {
      return
    }
    receive(world, peer, () =>
      give(world, peer, {
        _tag: "PeerHeartbeat",
        state: heartbeat.state,
        heartbeat,
        receivedAt: localNow(world, peer),
        linkEpoch: peer.linkEpoch
      }))
  }
  if (world.isWhole) {
    return plan(world, delay(world), arrive)
  }
  for (let copies = chance(world, world.loss) ? 0 : chance(world, 0.05) ? 2 : 1; copies > 0; copies--) {
    plan(world, delay(world), arrive, true)
  }
}

/** Tries to connect to the peer's state port. The refusal may be late by any time. */
export const probe = (world: World, process: Process): void => {
  const asOf = localNow(world, process)
  const { linkEpoch, side } = process
  plan(world, delay(world), () => {
    const isCut = world.cut[0] || world.cut[1]
    if (isCut || world.processes[other(side)].isBound || !world.mayRefuse[other(side)]) {
      return
    }
    plan(world, delay(world), () =>
      give(world, process, {
        _tag: "PeerDown",
        evidence: { _tag: "ConnectionRefused", endpoint: "its peer", asOf },
        linkEpoch
      }), true)
  }, true)
}

/** Asks the witness. Question and answer may be lost or late, and the question executed long after it was given up. */
const ask = (world: World, process: Process, { id, swap }: Rights.Request, expected: string | undefined): void => {
  const { side } = process
  const answered = (answer: Core.WitnessAnswer) => () => give(world, process, { _tag: "WitnessAnswered", id, answer })
  planLocally(world, process, heartbeatMillis, answered({ _tag: "NoAnswer", problem: "no answer in time" }))
  const isLost = () => !world.isWhole && chance(world, world.cutWitness[side] ? 0.8 : world.loss)
  const execute = () => {
    const answer = look(world, swap, expected)
    if (swap !== undefined) {
      trace(world, undefined, `witness: ${roles[side]} swaps ${JSON.stringify(swap.record)}: ${answer._tag}`)
    }
    if (!isLost() && !world.isWitnessDead(side)) {
      plan(world, delay(world), answered(answer), true)
    }
  }
  if (isLost() || world.isWitnessDead(side)) {
    return
  }
  world.underWay.add(execute)
  plan(world, delay(world), () => {
    if (world.underWay.delete(execute)) {
      arrive(world, execute)
    }
  })
}

const arrive = (world: World, execute: () => void): void =>
  world.held === undefined ? execute() : void world.held.push(execute)

const look = (world: World, swap: Rights.Request["swap"], expected: string | undefined): Core.WitnessAnswer => {
  if (swap === undefined) {
    return { _tag: "Seen", seen: world.register }
  }
  if (world.register?.version !== expected) {
    return { _tag: "Conflict", seen: world.register }
  }
  const version = String(++world.versions)
  world.register = { version, record: swap.record }
  return { _tag: "Swapped", version }
}

/** Starts a process on a side that has none. */
export const start = (world: World, side: Side): void => {
  if (world.processes[side].status !== "down" || !world.mayRun[side]) {
    return
  }
  const process = makeProcess(world, side)
  world.processes[side] = process
  process.status = "running"
  process.isBound = true
  trace(world, side, `starts as ${process.rules.life}`)
  const { member, outputs } = world.core.start(process.rules, localNow(world, process))
  process.member = member
  process.pending = [...outputs]
  planHeartbeat(world, process)
  turn(world, process)
}

/** A side without a process. */
export const makeProcess = (
  world: Pick<World, "lives" | "rulesOf" | "rates" | "core">,
  side: Side
): Process => {
  const life = `${side === 0 ? "p" : "b"}${world.lives[side]++}`
  const rules = world.rulesOf(side, life)
  return {
    side,
    rules,
    rate: world.rates[side],
    offset: 1000 * side,
    status: "down",
    member: world.core.start(rules, 0).member,
    isBound: false,
    pending: [],
    inputs: [],
    isBlocked: false,
    isTurnPlanned: false,
    isDraining: false,
    linkEpoch: 0,
    outputsLeft: Number.POSITIVE_INFINITY,
    pauseMillis: 0,
    backlog: []
  }
}

const planHeartbeat = (world: World, process: Process): void =>
  planLocally(world, process, heartbeatMillis, () => {
    give(world, process, { _tag: "HeartbeatDue" })
    planHeartbeat(world, process)
  })

/** Whether a process serves clients at this instant: it accepts requests, or may send replies of its term. */
export const serves = (world: World, process: Process): boolean => {
  const { isBlocked, member, rules, status } = process
  if (status !== "running" || isBlocked || member.protocol.state !== "ACTIVE") {
    return false
  }
  const now = localNow(world, process)
  return Core.admission(rules, member, now) === "Accept" || Core.mayReply(rules, member, now)
}
