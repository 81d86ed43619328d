/**
 * Drives the core with inputs at random, as a runtime would that is free to answer late and together with other inputs, and
 * asserts after every step what has to hold of any.
 */
import { assert } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { isDeepStrictEqual } from "node:util"
import type { Input, Member, Output, Rules } from "../../src/member/Member.ts"
import * as Core from "../../src/member/Member.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import * as StateMachine from "../../src/protocol/StateMachine.ts"

/** An input, but for what only the rig knows. */
export type Draft = (rig: Rig) => Input

export interface Action {
  /** How long nothing has happened before. */
  readonly millis: number
  /** Whether this process ran meanwhile, so that its heartbeats were due in time. */
  readonly isRunning: boolean
  readonly drafts: ReadonlyArray<Draft>
  /** How many questions of the core are answered. */
  readonly answers: number
  /** Whether the answers come in one batch with the other inputs. */
  readonly isOneBatch: boolean
}

/** An output with a result, and its time. */
interface Question {
  readonly output: Output
  readonly at: number
}

/** The same as `deepStrictEqual` of chai, several times as fast. */
const assertSame = (actual: unknown, expected: unknown, message: string): void =>
  assert.isTrue(isDeepStrictEqual(actual, expected), message)

const heartbeatMillis = 1000

const heartbeat: Draft = () => ({ _tag: "HeartbeatDue" })

const answerTo = (rig: Rig, { at, output }: Question): Input => {
  switch (output._tag) {
    case "Publish":
      return { _tag: "HeartbeatSent", startedAt: at, isPortOpen: true }
    case "ReadLink":
      return { _tag: "LinkRead", at, hasSubscriber: rig.now % 2 === 1 }
    case "ResetLink":
      rig.epoch = output.epoch
      // Sometimes the peer's port is refused, a moment before.
      return { _tag: "LinkReset", refusal: rig.now % 3 === 0 ? { triedAt: at, knownAt: at } : undefined }
    case "EndTerm":
      return { _tag: "TermEnded", end: output.end }
    default:
      throw new Error(`${output._tag} has no answer`)
  }
}

const isQuestion = (output: Output): boolean =>
  output._tag === "ReadLink" || output._tag === "ResetLink" || output._tag === "EndTerm" ||
  (output._tag === "Publish" && output.isHeartbeat)

const isActive = (state: StateMachine.State): boolean => state === "ACTIVE" || state === "CONTESTED"

const isEnd = ({ _tag }: Output): boolean => _tag === "Exit" || _tag === "Abort"

const isSilentEnd = (output: Output): boolean => output._tag === "EndTerm" && output.isSilent

export class Rig {
  readonly rules: Rules
  member: Member
  now = 0
  epoch = 0
  lastId = 0
  /** The last command to pause or to resume. */
  lastPause: Input | undefined
  readonly questions: Array<Question> = []
  readonly completed = new Set<number>()
  /** What has happened, to know that it is tried at all. */
  readonly seen = new Set<string>()
  isTermRunning = false
  isOver = false
  /** The state as of the last notification. */
  state: StateMachine.State

  constructor(rules: Rules) {
    this.rules = rules
    const { member, outputs } = Core.start(rules, 0)
    this.member = member
    this.state = member.protocol.state
    this.check(outputs)
  }

  run({ answers, drafts, isOneBatch, isRunning, millis }: Action): void {
    const until = this.now + millis
    while (isRunning && until - this.now > heartbeatMillis) {
      this.now += heartbeatMillis
      this.step([heartbeat(this)])
    }
    this.now = until
    const isDue = isRunning && until - this.member.lastHeartbeatAt >= heartbeatMillis
    const inputs = [...(isDue ? [heartbeat] : []), ...drafts].map((draft) => draft(this))
    const answered = this.questions.splice(0, answers).map((question) => answerTo(this, question))
    if (isOneBatch) {
      this.step([...inputs, ...answered])
    } else {
      this.step(inputs)
      answered.forEach((input) => this.step([input]))
    }
  }

  /** Answers until the core has no question any more. */
  settle(): void {
    for (let i = 0; this.questions.length > 0 && i < 1000; i++) {
      this.step(this.questions.splice(0, 1).map((question) => answerTo(this, question)))
    }
    assert.lengthOf(this.questions, 0)
    assert.isUndefined(this.member.wait)
  }

  step(inputs: ReadonlyArray<Input>): void {
    const before = this.member
    const copy = structuredClone({ before, inputs })
    const result = Core.step(this.rules, before, inputs, this.now)
    assertSame({ before, inputs }, copy, "a step changes nothing that it was given")
    assertSame(structuredClone(result.member), result.member, "a member is plain data")
    const { member, outputs } = Core.step(this.rules, copy.before, copy.inputs, this.now)
    assertSame({ member, outputs }, { member: result.member, outputs: result.outputs }, "a step is deterministic")
    this.member = result.member
    this.seen.add(this.member.protocol.state).add(this.member.phase._tag)
    this.checkWait(before, inputs, result.outputs)
    this.checkFreshness([...inputs, ...before.wait?.deferred ?? []], result.outputs)
    this.check(result.outputs)
    this.checkAdmission()
  }

  /** While the core waits, it takes in nothing but what it waits for, and keeps the rest. */
  checkWait(before: Member, inputs: ReadonlyArray<Input>, outputs: ReadonlyArray<Output>): void {
    const { wait } = before
    if (wait !== undefined && !inputs.some(({ _tag }) => _tag === wait._tag)) {
      assert.lengthOf(outputs, 0)
      assert.deepStrictEqual(this.member, { ...before, wait: { ...wait, deferred: [...wait.deferred, ...inputs] } })
    }
    const waiting = outputs.find((output) => isSilentEnd(output) || output._tag === "ResetLink")
    assert.strictEqual(waiting !== undefined, this.member.wait !== undefined && outputs.length > 0)
  }

  /** Votes and promotions change the state only where the link has been read (H6). */
  checkFreshness(inputs: ReadonlyArray<Input>, outputs: ReadonlyArray<Output>): void {
    const isElected = outputs.some((output) =>
      output._tag === "Transitioned" && /ClientRequest|Promote/.test(output.transition.cause)
    )
    assert.isTrue(!isElected || inputs.some(({ _tag }) => _tag === "LinkRead"))
  }

  checkAdmission(): void {
    const { phase, protocol, wait } = this.member
    if (Core.admission(this.rules, this.member, this.now) === "Accept") {
      assert.isUndefined(wait)
      assert.notInclude(["EndingTerm", "Stopped"], phase._tag)
      assert.isTrue(this.isTermRunning || (this.rules.policy === Policies.classic && protocol.state === "PRIMARY"))
    }
  }

  check(outputs: ReadonlyArray<Output>): void {
    assert.isTrue(!this.isOver || outputs.length === 0, "nothing follows the end")
    for (const [index, output] of outputs.entries()) {
      const isLast = index === outputs.length - 1
      assert.isTrue(isLast || !(isEnd(output) || isSilentEnd(output)), `${output._tag} is the last output of a step`)
      if (isQuestion(output)) {
        this.questions.push({ output, at: this.now })
      }
      this.checkOutput(output, outputs.slice(index + 1))
    }
  }

  checkOutput(output: Output, rest: ReadonlyArray<Output>): void {
    this.seen.add(output._tag === "EndTerm" && output.isSilent ? "EndTerm, silent" : output._tag)
    switch (output._tag) {
      case "BeginTerm":
        assert.isFalse(this.isTermRunning, "a term begins when the one before has ended")
        this.isTermRunning = true
        break
      case "EndTerm":
        this.isTermRunning = false
        break
      case "Transitioned":
        assert.strictEqual(output.transition.from, this.state)
        this.state = output.transition.to
        break
      case "Publish": {
        const next = rest.find(({ _tag }) => _tag !== "Log")
        const isAhead = next?._tag === "Transitioned" && next.transition.to === "ACTIVE"
        assert.isTrue(output.state !== "ACTIVE" || isActive(this.state) || isAhead, "only an active member reports so")
        break
      }
      case "Complete":
        assert.isFalse(this.completed.has(output.id), "a command is completed once")
        assert.isAtMost(output.id, this.lastId)
        this.completed.add(output.id)
        break
      case "Exit":
      case "Abort":
        assert.isFalse(this.isTermRunning, "no term outlives the member")
        this.isOver = true
        break
      default:
    }
  }
}

const peer = (state: StateMachine.PeerState, ago: number, epochsAgo: number): Draft => ({ epoch, now }) => ({
  _tag: "PeerHeartbeat",
  state,
  receivedAt: now - ago,
  linkEpoch: epoch - epochsAgo
})

const down = (ago: number): Draft => ({ epoch, now }) => ({
  _tag: "PeerDown",
  evidence: { _tag: "ConnectionRefused", endpoint: "tcp://peer:5003", asOf: now - ago },
  linkEpoch: epoch
})

const command = (tag: "Promote" | "HandOver" | "Pause" | "Resume"): Draft => (rig) => {
  const id = ++rig.lastId
  const input: Input = tag === "Resume" ? { _tag: tag, id } : { _tag: tag, id, reason: `command ${id}` }
  rig.lastPause = tag === "Pause" || tag === "Resume" ? input : rig.lastPause
  return input
}

const simple = FastCheck.constantFrom<Array<Input["_tag"] & ("Woken" | "RequestsDrained" | "SubscriberJoined")>>(
  "Woken",
  "RequestsDrained",
  "SubscriberJoined"
)
const linkStep = FastCheck.constantFrom("LinkConnecting" as const, "LinkConnected" as const, "LinkLost" as const)
const commandTag = FastCheck.constantFrom(
  ...["HandOver", "HandOver", "HandOver", "Promote", "Pause", "Resume"] as const
)
const ago = FastCheck.constantFrom(0, 0, 0, 1, 100, 1000)

const draft = (stops: number): FastCheck.Arbitrary<Draft> =>
  FastCheck.oneof(
    { weight: 2, arbitrary: FastCheck.constant(heartbeat) },
    {
      weight: 8,
      arbitrary: FastCheck.tuple(
        FastCheck.constantFrom(...StateMachine.peerStates),
        ago,
        FastCheck.constantFrom(0, 0, 0, 1)
      )
        .map((
          [state, millis, epochs]
        ) => peer(state, millis, epochs))
    },
    {
      weight: 6,
      arbitrary: FastCheck.boolean().map((hasSubscriber): Draft => () => ({ _tag: "Vote", voter: "a", hasSubscriber }))
    },
    { weight: 3, arbitrary: ago.map(down) },
    { weight: 3, arbitrary: linkStep.map((_tag): Draft => () => ({ _tag })) },
    { weight: 4, arbitrary: simple.map((_tag): Draft => () => ({ _tag })) },
    { weight: 4, arbitrary: commandTag.map(command) },
    { weight: stops, arbitrary: FastCheck.constant<Draft>(() => ({ _tag: "Stop" })) }
  )

/** Random actions; the more `stops`, the sooner a stop. */
export const actions = (stops: number): FastCheck.Arbitrary<ReadonlyArray<Action>> =>
  FastCheck.array(
    FastCheck.record({
      millis: FastCheck.constantFrom(0, 0, 0, 1, 1, 50, 300, 500, 500, 700, 1000, 1300, 2001, 9000),
      isRunning: FastCheck.constantFrom(...Array.from({ length: 15 }, () => true), false),
      drafts: FastCheck.array(draft(stops), { maxLength: 4 }),
      answers: FastCheck.constantFrom(0, 1, 2, 9, 9, 9),
      isOneBatch: FastCheck.boolean()
    }),
    { minLength: 1, maxLength: 60, size: "max" }
  )
