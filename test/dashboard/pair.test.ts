import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import * as OperatorClient from "../../src/http/OperatorClient.ts"
import { examine } from "../../src/status/Doctor.ts"
import { judge, type Level } from "../../src/status/Health.ts"
import type { NodeStatus, PairStatus } from "../../src/status/Status.ts"
import { pairStatusOf, received, statusOf } from "./fakeStatus.ts"

/** The client of a server that reports this pair, or does not respond. */
const clientOf = (address: string, pair: PairStatus | undefined): OperatorClient.OperatorClient => {
  const unreachable = new OperatorClient.OperatorError({ reason: "Unreachable", address, detail: "no response" })
  return {
    address,
    pair: pair === undefined ? Effect.fail(unreachable) : Effect.succeed(pair),
    history: () => Effect.fail(unreachable),
    commands: Effect.fail(unreachable),
    switchover: () => Effect.fail(unreachable),
    pause: () => Effect.fail(unreachable),
    resume: Effect.fail(unreachable),
    promote: () => Effect.fail(unreachable)
  }
}

/** The pair as `bstar status --http SELF` judges it. The peer responds to the operator as it does to this server. */
const judgedByCommand = (pair: PairStatus) =>
  Effect.gen(function*() {
    const { peer, self } = pair
    const ofPeer = peer?.status == null
      ? undefined
      : { self: peer.status, peer: { status: self, error: null, ageMillis: 0 } }
    const observations = yield* OperatorClient.observe(
      [self.http],
      (address) => Effect.succeed(clientOf(address, address === self.http ? pair : ofPeer))
    )
    const findings = examine(observations)
    return { findings, health: judge(observations, findings) }
  })

const silent = (self: Partial<NodeStatus> = {}): PairStatus => ({
  self: statusOf("primary", self),
  peer: { status: null, error: "no response", ageMillis: null }
})
const alone = (self: Partial<NodeStatus> = {}): PairStatus => ({
  self: statusOf("primary", { ...self, peerHttp: null }),
  peer: null
})
const passive = { state: "PASSIVE", answers: false } as const
const active = { state: "ACTIVE", answers: true } as const
const at = "2026-01-31T12:59:50.000Z"

const cases: ReadonlyArray<readonly [name: string, pair: PairStatus, level: Level]> = [
  ["one active, one passive", pairStatusOf(), "healthy"],
  [
    "the passive one is paused",
    pairStatusOf(
      undefined,
      statusOf("backup", {
        takeoverBlock: { kind: "paused", reason: "new switch", since: at }
      })
    ),
    "degraded"
  ],
  [
    "the active one is limited",
    pairStatusOf(statusOf("primary", { takeoverBlock: { kind: "limited", until: at } })),
    "degraded"
  ],
  [
    "the passive one receives no heartbeats",
    pairStatusOf(undefined, statusOf("backup", received("ACTIVE", true))),
    "degraded"
  ],
  ["the backup is contested", pairStatusOf(undefined, statusOf("backup", { state: "CONTESTED" })), "degraded"],
  ["two policies", pairStatusOf(undefined, statusOf("backup", { policy: "classic" })), "degraded"],
  ["the peer does not respond", silent(), "degraded"],
  ["the peer is silent and does not respond", silent(received("PASSIVE", true)), "degraded"],
  ["the peer has no status server", alone(received("PASSIVE", false)), "healthy"],
  ["both passive", pairStatusOf(statusOf("primary", passive)), "no active"],
  ["handing over", pairStatusOf(statusOf("primary", { state: "HANDING_OVER", answers: false })), "no active"],
  ["alone and never connected", alone({ ...passive, ...received(null, true) }), "no active"],
  ["both active", pairStatusOf(undefined, statusOf("backup", active)), "two actives"],
  ["a peer without a status server is active, too", alone(received("ACTIVE", false)), "two actives"],
  [
    "two primaries",
    pairStatusOf(undefined, statusOf("primary", { pid: 1, http: "http://10.0.0.2:8001" })),
    "two actives"
  ]
]

describe("the judgement on the page", () => {
  for (const [name, pair, level] of cases) {
    it.effect(`${name}: ${level}, as bstar status judges it`, () =>
      Effect.gen(function*() {
        const shown = pairOf(pair, 0)
        const { findings, health } = yield* judgedByCommand(pair)
        assert.strictEqual(shown.health.level, level)
        assert.deepStrictEqual(shown.health, health)
        assert.deepStrictEqual(shown.findings, findings)
      }))
  }
})

/** The backup became active some time ago. Its copy of the status of its peer is older, or younger. */
const takenOver = (activeMillis: number, ageMillis: number, heartbeatMillis = 4000): PairStatus => ({
  self: statusOf("backup", {
    ...active,
    peer: { ...received("ACTIVE", true).peer, ageMillis: heartbeatMillis },
    since: new Date(Date.parse(statusOf("backup").now) - activeMillis).toISOString()
  }),
  peer: { status: statusOf("primary"), error: null, ageMillis }
})

describe("the judgement after a takeover", () => {
  it.effect.prop(
    "kill -9 of the active server: never two actives, as bstar status judges it",
    [
      FastCheck.integer({ min: 0, max: 999 }),
      FastCheck.integer({ min: 1, max: 1000 }),
      // By crash evidence a peer is lost although its last heartbeat has just arrived.
      FastCheck.integer({ min: 0, max: 5000 })
    ],
    ([activeMillis, moreMillis, heartbeatMillis]) =>
      Effect.gen(function*() {
        const pair = takenOver(activeMillis, activeMillis + moreMillis, heartbeatMillis)
        const shown = pairOf(pair, 0)
        assert.strictEqual(shown.health.level, "degraded")
        assert.deepInclude(shown.servers.primary, { status: undefined, problem: "its last status is outdated" })
        // The command has no status of the killed server but this copy.
        const observations = yield* OperatorClient.observe(
          [pair.self.http],
          (address) => Effect.succeed(clientOf(address, address === pair.self.http ? pair : undefined))
        )
        assert.deepStrictEqual(judge(observations, examine(observations)), shown.health)
      }),
    { fastCheck: { numRuns: 30 } }
  )

  it("a status of the peer from after the takeover counts: two actives", () => {
    assert.strictEqual(pairOf(takenOver(500, 400), 0).health.level, "two actives")
  })
})

describe("the servers on the page", () => {
  it("the peer is known by its status, or else by its heartbeats, or else not at all", () => {
    const backupOf = (pair: PairStatus) => pairOf(pair, 0).servers.backup
    assert.deepInclude(backupOf(pairStatusOf()), {
      role: "backup",
      isSelf: false,
      state: "PASSIVE",
      problem: undefined
    })
    assert.deepInclude(backupOf(silent(received("ACTIVE", false))), {
      status: undefined,
      state: "ACTIVE",
      answers: true,
      problem: "no response"
    })
    assert.deepInclude(backupOf(alone(received("ACTIVE", true))), {
      status: undefined,
      state: undefined,
      answers: false,
      problem: undefined
    })
  })

  it("a server whose peer address leads to itself has no peer status", () => {
    const self = statusOf("primary", received("PASSIVE", false))
    assert.deepInclude(pairOf(pairStatusOf(self, self), 0).servers.backup, { status: undefined, state: "PASSIVE" })
  })
})
