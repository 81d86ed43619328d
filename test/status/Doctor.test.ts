import { assert, describe, it } from "@effect/vitest"
import type * as StateMachine from "effect-binary-star/StateMachine"
import { examine, type Finding, type Observation, type Seen, whyNot } from "../../src/status/Doctor.ts"
import { judge } from "../../src/status/Health.ts"
import type { NodeStatus } from "../../src/status/Status.ts"

type DeepPartial<A> = { readonly [K in keyof A]?: A[K] extends object | null ? DeepPartial<A[K]> | A[K] : A[K] }

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const merge = <A>(base: A, patch: DeepPartial<A>): A =>
  Object.fromEntries(
    Object.entries({ ...base, ...patch }).map(([key, value]) => {
      const old = (base as Record<string, unknown>)[key]
      return [key, isPlain(value) && isPlain(old) ? merge(old, value) : value]
    })
  ) as A

const now = "2026-01-31T12:00:00.000Z"

/** One of a pair in which all is well: the primary is active for an hour, on a machine of its own. */
const statusOf = (role: StateMachine.Role): NodeStatus => ({
  role,
  state: role === "primary" ? "ACTIVE" : "PASSIVE",
  answers: role === "primary",
  since: "2026-01-31T11:00:00.000Z",
  cause: "PeerBackup",
  message: "ready",
  explanation: null,
  reason: null,
  policy: "hardened",
  takeoverBlock: null,
  peer: {
    endpoint: role === "primary" ? "tcp://10.0.0.2:5004" : "tcp://10.0.0.1:5003",
    state: role === "primary" ? "PASSIVE" : "ACTIVE",
    ageMillis: 300,
    isExpired: false
  },
  counters: {
    accepted: 1,
    rejected: 0,
    failed: 0,
    limited: 0,
    heartbeats: 3600,
    malformed: 0,
    votes: 0,
    missed: 0,
    conflicts: 0,
    failovers: 0
  },
  latency: { count: 1, p50Millis: 1, p99Millis: 1 },
  config: {
    frontend: "tcp://*:5001",
    stateEndpoint: role === "primary" ? "tcp://*:5003" : "tcp://*:5004",
    peerEndpoint: role === "primary" ? "tcp://10.0.0.2:5004" : "tcp://10.0.0.1:5003",
    heartbeatMillis: 1000,
    vote: "clients",
    lone: "wait",
    crashDetection: true,
    concurrency: 16,
    timeoutMillis: 30_000,
    drainMillis: 5000,
    maxFailovers: null,
    failoverWindowMillis: 3_600_000
  },
  versions: { bstar: "0.1.0", node: "20.20.0" },
  host: role === "primary" ? "a" : "b",
  pid: 1,
  uptimeMillis: 3_700_000,
  now,
  http: role === "primary" ? "http://10.0.0.1:5011" : "http://10.0.0.2:5011",
  peerHttp: role === "primary" ? "http://10.0.0.2:5011" : "http://10.0.0.1:5011"
})

const seen = (status: NodeStatus, patch: Partial<Seen> = {}): Seen => ({
  _tag: "Seen",
  address: status.http,
  status,
  peer: undefined,
  orders: "On",
  askedAt: 5000,
  tookMillis: 10,
  ...patch
})

/** What a server with keys has refused. */
const rejectedAtState = (
  reasons: { readonly unknown?: number; readonly wrong?: number }
): NodeStatus["rejectedConnections"] => {
  const none = { unknown: 0, wrong: 0, absent: 0, malformed: 0, unfinished: 0, full: 0 }
  return { frontend: none, backend: none, state: { ...none, ...reasons } }
}

type Patch = DeepPartial<NodeStatus>

/** Both as they see each other. */
const pair = (primary: Patch = {}, backup: Patch = {}): readonly [Seen, Seen] => {
  const a = merge(statusOf("primary"), primary)
  const b = merge(statusOf("backup"), backup)
  return [seen(a, { peer: { status: b, error: null } }), seen(b, { peer: { status: a, error: null } })]
}

const unseen: Observation = { _tag: "Unseen", address: "http://10.0.0.2:5011", error: "connection refused" }

const told = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> =>
  findings.map(({ check, severity }) => `${severity} ${check}`)

const levelOf = (observations: ReadonlyArray<Observation>) => judge(observations, examine(observations)).level

describe("doctor", () => {
  it("finds nothing where all is well", () => {
    assert.deepStrictEqual(examine(pair()), [])
    assert.deepStrictEqual(judge(pair(), []), {
      level: "healthy",
      message: "primary is active, backup stands by"
    })
  })

  const cases: ReadonlyArray<
    readonly [name: string, observations: ReadonlyArray<Observation>, expected: ReadonlyArray<string>, what?: RegExp]
  > = [
    [
      "a lone backup that serves when a client asks",
      [seen(merge(statusOf("backup"), { state: "BACKUP", peer: { state: null }, config: { lone: "serve" } }))],
      ["error active", "warning reachable"],
      /serves when a client asks, unless a subscriber is connected/
    ],
    ["a server that is not there", [pair()[0], unseen], ["error reachable"], /10\.0\.0\.2:5011: connection refused/],
    ["one that is not known", [pair()[0]], ["warning reachable"], /only one server/],
    ["one that is given twice", [pair()[0], pair()[0]], ["error reachable"], /lead to the same server/],
    [
      "two primaries",
      pair({}, { role: "primary", http: "http://10.0.0.2:5011" }),
      ["error roles"],
      /both servers are primaries/
    ],
    ["two backups", pair({ role: "backup" }), ["error roles"], /both servers are backups/],
    ["policies", pair({ policy: "classic" }), ["error settings"], /policy is not the same: classic on primary/],
    ["heartbeats", pair({ config: { heartbeatMillis: 500 } }), ["error settings"], /500ms on primary, 1s on backup/],
    ["votes", pair({ config: { vote: "self" } }), ["warning settings"], /self on primary/],
    ["crash detection", pair({}, { config: { crashDetection: false } }), ["warning settings"], /off on backup/],
    [
      "timeouts",
      pair({}, { config: { timeoutMillis: null } }),
      ["warning settings"],
      /30s on primary, no limit on backup/
    ],
    ["damping", pair({ config: { maxFailovers: 3 } }), ["warning settings"], /3 in 1h on primary, none on backup/],
    ["the Guide's policy", pair({ policy: "classic" }, { policy: "classic" }), ["info classic"]],
    [
      "ports that do not meet",
      pair({ config: { peerEndpoint: "tcp://10.0.0.2:5005" } }),
      ["error endpoints"],
      /primary listens to tcp:\/\/10\.0\.0\.2:5005, but backup publishes on tcp:\/\/\*:5004/
    ],
    [
      "a peer on one's own machine",
      pair({}, { config: { peerEndpoint: "tcp://localhost:5003" } }),
      ["error endpoints"],
      /its own machine, but backup runs on b, primary on a/
    ],
    [
      "a state that nobody else can reach",
      pair({ config: { stateEndpoint: "tcp://127.0.0.1:5003" } }),
      ["error endpoints"],
      /nobody else can reach/
    ],
    [
      "addresses that may be those of others",
      pair({}, { config: { stateEndpoint: "tcp://10.0.0.3:5004" } }),
      ["warning endpoints"],
      /same machine\?/
    ],
    [
      "a socket file that the other one does not have",
      pair({ config: { peerEndpoint: "ipc:///run/x" } }),
      ["error endpoints"],
      /ipc:\/\/\/run\/x/
    ],
    [
      "two pairs crossed",
      pair({ peer: { state: "ACTIVE" } }),
      ["error crossed"],
      /primary hears a peer that says ACTIVE, but backup is PASSIVE for 1h/
    ],
    [
      "one that is heard although it is silent",
      pair({}, { state: "HANDING_OVER", peer: { state: "ACTIVE" } }),
      ["error crossed"]
    ],
    [
      "one that is not heard",
      pair({ peer: { isExpired: true, ageMillis: 9000 } }),
      ["error link"],
      /primary does not hear backup, which runs: no word for 9s/
    ],
    ["one that never was heard", pair({ peer: { state: null, ageMillis: null } }), ["error link"], /no word yet/],
    [
      "clocks",
      pair({}, { now: "2026-01-31T12:00:03.000Z" }),
      ["warning clock"],
      /the clock of primary is 3s behind that of backup/
    ],
    ["versions", pair({ versions: { bstar: "0.2.0" } }), ["warning versions"], /bstar is 0\.2\.0 on primary/],
    ["versions of Node", pair({ versions: { node: "22.0.0" } }), ["info versions"]],
    ["a server that does not know the other's status", pair({ peerHttp: null }), ["warning peer-http"]],
    [
      "one that cannot reach it",
      [seen(statusOf("primary"), { peer: { status: null, error: "connection refused" } }), pair()[1]],
      ["warning peer-http"],
      /of primary \(http:\/\/10\.0\.0\.2:5011\) does not lead to backup: connection refused/
    ],
    [
      "one that reaches somebody else",
      [seen(statusOf("primary"), { peer: { status: { ...statusOf("backup"), host: "c" }, error: null } }), pair()[1]],
      ["error peer-http"],
      /leads to a backup on c, which is not backup/
    ],
    [
      "another token",
      [{ ...pair()[0], orders: "Denied" }, pair()[1]],
      ["error token"],
      /primary does not accept the token/
    ],
    ["a token that one has", [pair()[0], { ...pair()[1], orders: "Off" }], ["warning token"], /backup has no token/],
    ["no token", pair().map((one) => ({ ...one, orders: "Off" as const })), ["info token"]],
    ["a conflict", pair({ counters: { conflicts: 1 } }), ["warning conflicts"], /primary has heard once/],
    ["nonsense", pair({}, { counters: { malformed: 2 } }), ["warning malformed"], /backup has received 2 messages/],
    [
      "keys that one has",
      pair({ rejectedConnections: rejectedAtState({}) }),
      ["error settings"],
      /keys on primary, no keys on backup/
    ],
    [
      "keys that do not match",
      pair({ rejectedConnections: rejectedAtState({ unknown: 1, wrong: 1 }) }, {
        rejectedConnections: rejectedAtState({}),
        peer: { state: null, ageMillis: null, isExpired: true }
      }),
      ["error link", "warning keys"],
      /state port of primary has refused somebody's key 2 times, maybe that of backup/
    ],
    [
      "keys of strangers",
      pair({ rejectedConnections: rejectedAtState({ unknown: 3 }) }, { rejectedConnections: rejectedAtState({}) }),
      []
    ],
    [
      "a pause",
      pair({}, { takeoverBlock: { kind: "paused", reason: "new disk", since: now } }),
      ["warning takeover-block"],
      /backup is paused since .* \(new disk\)/
    ],
    [
      "damping that holds",
      pair({}, { takeoverBlock: { kind: "limited", until: now } }),
      ["error takeover-block"],
      /too often/
    ],
    [
      "two that are active",
      pair({ peer: { state: "ACTIVE" } }, { state: "ACTIVE", answers: true }),
      ["error active"],
      /both servers are active/
    ],
    [
      "nobody who is active",
      [
        seen(merge(statusOf("backup"), { peer: { isExpired: true } })),
        { ...unseen, address: "http://10.0.0.1:5011" }
      ],
      ["error reachable", "error active"],
      /backup takes over with the next request/
    ],
    [
      "a lone backup",
      [
        seen(merge(statusOf("backup"), { state: "BACKUP", peer: { state: null, ageMillis: null, isExpired: true } })),
        { ...unseen, address: "http://10.0.0.1:5011" }
      ],
      ["error reachable", "error lone-backup", "error active"],
      /has not met its primary/
    ]
  ]
  for (const [name, observations, expected, what] of cases) {
    it(`finds: ${name}`, () => {
      const findings = examine(observations)
      assert.deepStrictEqual(told(findings), expected)
      assert.isTrue(findings.every(({ remedy }) => remedy.length > 0))
      if (what !== undefined) {
        assert.match(findings.map(({ what }) => what).join("\n"), what)
      }
    })
  }

  it("tells the worst first", () => {
    assert.deepStrictEqual(
      told(examine(pair({ versions: { bstar: "2", node: "22" } }, { config: { heartbeatMillis: 10 } }))),
      ["error settings", "warning versions", "info versions"]
    )
  })

  it("gives the lone backup's remedy with its address", () => {
    const [finding] = examine([seen(merge(statusOf("backup"), { state: "BACKUP", peer: { state: null } }))])
    assert.include(finding!.remedy, "bstar promote --http http://10.0.0.2:5011 --reason")
  })

  it("does not take for crossed what has just changed", () => {
    assert.deepStrictEqual(
      examine(pair({ peer: { state: "BACKUP", ageMillis: 900 } }, { since: "2026-01-31T11:59:58.500Z" })),
      []
    )
  })

  it("does not complain about servers that have just started", () => {
    const young = { uptimeMillis: 1500, since: "2026-01-31T11:59:58.500Z", peer: { state: null, ageMillis: null } }
    assert.deepStrictEqual(
      told(examine(pair({ ...young, state: "PRIMARY", answers: false }, { ...young, state: "BACKUP" }))),
      ["error active"]
    )
  })

  it("takes into account when each clock was read", () => {
    const [a, b] = pair({}, { now: "2026-01-31T12:00:03.000Z" })
    assert.deepStrictEqual(examine([a, { ...b, askedAt: b.askedAt + 3000 }]), [])
    assert.deepStrictEqual(examine([a, { ...b, tookMillis: 5000 }]), [])
  })

  it("compares no port that the system has chosen", () => {
    assert.deepStrictEqual(examine(pair({}, { config: { stateEndpoint: "tcp://*:*" } })), [])
  })

  it("compares loopback on one machine", () => {
    assert.deepStrictEqual(
      examine(pair(
        { config: { stateEndpoint: "tcp://127.0.0.1:5003", peerEndpoint: "tcp://localhost:5004" } },
        { host: "a", pid: 2, config: { stateEndpoint: "tcp://127.0.0.1:5004", peerEndpoint: "tcp://127.0.0.1:5003" } }
      )),
      []
    )
  })
})

describe("health", () => {
  it("is degraded when nobody would take over", () => {
    for (
      const observations of [
        [pair()[0]],
        [pair()[0], unseen],
        pair({}, { state: "REJOINING" }),
        pair({}, { peer: { isExpired: true } }),
        pair({ takeoverBlock: { kind: "paused", reason: "maintenance", since: now } }),
        pair({}, { takeoverBlock: { kind: "limited", until: now } }),
        pair({ policy: "classic" })
      ]
    ) {
      assert.strictEqual(levelOf(observations), "degraded")
    }
  })

  it("is healthy in spite of warnings", () => {
    assert.strictEqual(levelOf(pair({ peerHttp: null, counters: { conflicts: 1 } })), "healthy")
  })

  it("is that of nobody, and of two", () => {
    assert.strictEqual(levelOf([unseen]), "no active")
    assert.strictEqual(levelOf(pair({ state: "PASSIVE", answers: false })), "no active")
    assert.strictEqual(levelOf(pair({}, { state: "ACTIVE", answers: true })), "two actives")
  })

  describe("without the status of the peer", () => {
    const active: Patch = { state: "ACTIVE", answers: true }
    const hears = (state: StateMachine.PeerState, ageMillis = 300, isExpired = false): Patch => ({
      peer: { state, ageMillis, isExpired }
    })
    const of = (role: StateMachine.Role, ...patches: ReadonlyArray<Patch>) =>
      seen(patches.reduce<NodeStatus>((status, patch) => merge(status, patch), statusOf(role)), { peer: null })

    it("F6 two actives: heartbeats of the peer count, while they are fresh", () => {
      for (const observations of [[of("backup", active, hears("ACTIVE"))], [of("primary", hears("ACTIVE")), unseen]]) {
        assert.strictEqual(levelOf(observations), "two actives")
        const finding = examine(observations).find(({ check }) => check === "active")
        assert.strictEqual(finding?.severity, "error")
        assert.match(finding?.what ?? "", /both servers are active.*by its heartbeats/)
        assert.match(finding?.remedy ?? "", /stop one of them/)
      }
      assert.deepStrictEqual(judge([of("primary", hears("ACTIVE"))], []), {
        level: "two actives",
        message: "primary and backup (by its heartbeats) are both active"
      })
      for (const stale of [hears("ACTIVE", 2001), hears("ACTIVE", 300, true), hears("PASSIVE")]) {
        assert.strictEqual(levelOf([of("primary", stale)]), "degraded")
      }
    })

    it("F6 two actives: a status of the peer counts for more than its last heartbeat", () => {
      assert.strictEqual(levelOf(pair(hears("ACTIVE"), { since: "2026-01-31T11:59:59.900Z" })), "healthy")
    })

    it("F32 one active: a server stands by for a peer that it receives ACTIVE from", () => {
      const standby = [of("backup")]
      assert.deepStrictEqual(judge(standby, examine(standby)), {
        level: "healthy",
        message: "primary (by its heartbeats) is active, backup stands by"
      })
      assert.isUndefined(examine(standby).find(({ check }) => check === "active"))
      assert.strictEqual(levelOf([of("backup"), unseen]), "degraded")
      assert.strictEqual(levelOf([of("backup", hears("ACTIVE", 2001))]), "no active")
      assert.strictEqual(levelOf([of("backup", hears("ACTIVE", 300, true))]), "no active")
    })
  })

  it("H11 contested: one of two that were active decides which stays", () => {
    const contested: Patch = { state: "CONTESTED", answers: false, since: "2026-01-31T11:59:59.000Z" }
    const observations = pair({ peer: { state: "ACTIVE" } }, contested)
    assert.deepStrictEqual(judge(observations, examine(observations)), {
      level: "degraded",
      message: "primary is active, but backup is CONTESTED"
    })
    assert.match(
      whyNot({ name: "it", status: merge(statusOf("backup"), contested) }),
      /was active when its peer was, and decides within two heartbeats/
    )
  })

  it("takes one server that is given twice for one", () => {
    assert.strictEqual(levelOf([pair()[0], pair()[0]]), "degraded")
  })

  it("says why nobody is active", () => {
    const why = (patch: Patch) => whyNot({ name: "it", status: merge(statusOf("backup"), patch) })
    const gone = { peer: { isExpired: true } }
    assert.strictEqual(why(gone), "it takes over with the next request")
    assert.strictEqual(why({ state: "HANDING_OVER" }), "it is handing over")
    const never = { state: "BACKUP", peer: { state: null, isExpired: true } } as const
    assert.strictEqual(why(never), "it has not met its primary and refuses every request")
    assert.strictEqual(
      why({ ...never, config: { lone: "serve" } }),
      "it has not met its primary and serves when a client asks, unless a subscriber is connected to its state port"
    )
    assert.strictEqual(why({ state: "BACKUP", ...gone }), "it has lost its primary and takes over when a client asks")
    assert.strictEqual(
      why({ state: "BACKUP", policy: "classic", ...gone }),
      "it has not met its primary and refuses every request"
    )
    assert.strictEqual(why({ state: "BACKUP", peer: { state: "PRIMARY" } }), "it waits for its primary")
    assert.strictEqual(why({ state: "PRIMARY" }), "it waits for its backup")
    assert.strictEqual(why({}), "it is PASSIVE")
    assert.match(
      why({ ...gone, takeoverBlock: { kind: "limited", until: now } }),
      /does not take over by itself, because it is limited/
    )
  })
})
