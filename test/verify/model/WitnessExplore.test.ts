import { assert, describe, it } from "@effect/vitest"
import * as WitnessExplore from "../../../src/verify/model/WitnessExplore.ts"
import * as Model from "../../../src/verify/model/WitnessModel.ts"
import * as Nodes from "../../../src/verify/model/witnessNode.ts"
import * as Stimuli from "../../../src/verify/model/witnessStimuli.ts"
import * as WitnessTrace from "../../../src/verify/model/WitnessTrace.ts"
import * as World from "../../../src/verify/model/witnessWorld.ts"
import { yieldAfterEach } from "./explorations.ts"
import { alone, before, paired, search, short, withRights } from "./witnessed.ts"

yieldAfterEach()

describe("two members with a witness, whatever is cut, late or lost", () => {
  for (const budgets of [{}, { kills: 2 }, { kills: 1, pauses: 1 }, { kills: 1, handovers: 1, stops: 1 }]) {
    it(`no property is violated in the first 50000 states: ${JSON.stringify(budgets)}`, () => {
      const { services, states, violations } = search({ ...budgets, maxStates: 50_000 })
      assert.deepStrictEqual(violations, [])
      assert.isAtLeast(states, 50_000)
      assert.strictEqual(services.length, 6)
    })

    it(`nor in 50000 that follow from a pair that serves: ${JSON.stringify(budgets)}`, () => {
      const { services, violations } = search({ ...budgets, maxStates: 50_000, first: paired })
      assert.deepStrictEqual(violations, [])
      for (const { refusals, situation, starts, worstTicks } of services) {
        assert.isAtMost(worstTicks, Model.serviceTicks, situation)
        assert.isAbove(starts - refusals, 0, situation)
      }
    })
  }

  it("only one of three refuses", () => {
    const { services } = search({ kills: 1, maxStates: 20_000 })
    const refusing = services.filter(({ refusals }) => refusals > 0).map(({ situation }) => situation)
    assert.deepStrictEqual(refusing, ["the witness and one process are dead"])
  })

  it("a budget that is too large is rejected", () => {
    assert.throws(() => Model.make({ kills: Model.maxBudget + 1 }), RangeError)
  })
})

describe("a counterexample", () => {
  const options = {
    core: before((member) =>
      withRights(
        member,
        (rights) =>
          rights.observed === undefined
            ? rights
            : { ...rights, observed: { ...rights.observed, since: Number.NEGATIVE_INFINITY } }
      )
    ),
    ticks: short
  }

  it("leads from the first state to two that serve", () => {
    const [violation] = search(options).violations
    const setup = Model.make(options)
    const state = World.initial()
    for (const move of violation!.trace) {
      assert.isTrue(WitnessExplore.apply(setup, state, move), JSON.stringify(move))
    }
    assert.strictEqual(World.check(setup, state), "two-serve")
  })

  it("is told in words", () => {
    const [violation] = search({ ...options, first: alone }).violations
    const lines = WitnessTrace.linesOf(Model.make(options), violation!).map(({ subject, text }) => `${subject} ${text}`)
    assert.include(lines, "primary starts")
    assert.include(lines, "witness executes what the primary asked: term 1.0")
    assert.include(lines, "primary receives the answer of the witness, becomes active with term 1.0")
    assert.match(lines.at(-2)!, /^primary answers a client in term/)
    assert.match(lines.at(-1)!, /^backup answers a client in term/)
  })

  it("of a service that never comes names the situation", () => {
    const never = before((member) => withRights(member, (rights) => ({ ...rights, guardUntil: 1e9 })))
    const found = search({ core: never, maxStates: 2000 }).violations
    assert.deepStrictEqual(found.map(({ property }) => property.name), ["no-answer"])
    const last = WitnessTrace.linesOf(Model.make({ core: never }), found[0]!).at(-1)!
    assert.match(last.text, /none answers for longer than 6 ticks$/)
  })
})

describe("packed states", () => {
  it("are the same with their sides swapped, and unpack to one of both", () => {
    const setup = Model.make({ kills: 1 })
    const state = World.initial()
    for (const move of [...paired, { name: "kill", side: 0 } as const]) {
      WitnessExplore.apply(setup, state, move)
      const [packed, other] = [new Uint32Array(World.packedLength), new Uint32Array(World.packedLength)]
      const isSwapped = World.pack(state, packed)
      World.pack(World.swapSides(state), other)
      assert.deepStrictEqual(packed, other)
      const unpacked = World.initial()
      World.unpack(packed, 0, unpacked)
      assert.deepStrictEqual(unpacked, isSwapped ? World.swapSides(state) : state)
    }
  })
})

/** Everything that can happen to a member whose peer says one of these words. */
const reactionCodes = (words: ReadonlyArray<number>): ReadonlyArray<number> => [
  ...Object.values(Stimuli.code),
  ...words.filter((word) => word !== 0).flatMap((word) => [Stimuli.hear(word), Stimuli.promised(word)]),
  Stimuli.beat(0),
  Stimuli.beat(Stimuli.recordCode(0, false, 0)),
  Stimuli.conflict(Stimuli.recordCode(0, false, 0))
]

describe("roles", () => {
  it("a backup has the reactions of a primary", () => {
    const { graph } = Model.make({})
    const { options } = graph
    const rules = {
      ...options.rules,
      role: "backup" as const,
      rights: { ...options.rules.rights, role: "backup" as const }
    }
    const backups = new Nodes.Graph({ ...options, rules })
    const pairs: Array<readonly [Nodes.Node, Nodes.Node]> = []
    const seen = new Set<number>()
    const reach = (primary: Nodes.Node, backup: Nodes.Node) => {
      assert.strictEqual(primary.word, backup.word)
      assert.strictEqual(primary.seekingWord, backup.seekingWord)
      assert.strictEqual(primary.serves, backup.serves)
      assert.deepStrictEqual(primary.put, backup.put)
      if (!seen.has(primary.id)) {
        seen.add(primary.id)
        pairs.push([primary, backup])
      }
    }
    const react = (primary: Nodes.Node, backup: Nodes.Node, code: number) => {
      const [a, b] = [primary.on(code), backup.on(code)]
      assert.deepStrictEqual({ ...a, node: 0, logs: [] }, { ...b, node: 0, logs: [] }, `stimulus ${code}`)
      reach(a.node, b.node)
    }
    const words = new Set<number>()
    reach(graph.started, backups.started)
    for (let i = 0; i < pairs.length && i < 500; i++) {
      const [primary, backup] = pairs[i]!
      words.add(primary.word).add(primary.seekingWord)
      reactionCodes([...words]).forEach((code) => react(primary, backup, code))
      reach(primary.afterTick(), backup.afterTick())
      if (primary.put !== undefined) {
        const [a, b] = primary.put.isTake ? [primary.older(), backup.older()] : [primary.stale(), backup.stale()]
        react(a, b, Stimuli.swapped(true))
      }
    }
    assert.isAbove(pairs.length, 100)
  })
})
