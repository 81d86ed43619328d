import { assert, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import * as path from "node:path"
import { examine, type Finding } from "../../src/status/Doctor.ts"
import type { Observation } from "../../src/status/Observation.ts"
import { root } from "../support/processes.ts"
import { merge, now, pair, reached, rejectedAtState, statusOf, takenOver, unreached } from "./observations.ts"

const summary = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> =>
  findings.map(({ check, severity }) => `${severity} ${check}`)

describe("Doctor.examine", () => {
  it("healthy pair: there are no findings", () => {
    assert.deepStrictEqual(examine(pair()), [])
  })

  const cases: ReadonlyArray<
    readonly [name: string, observations: ReadonlyArray<Observation>, expected: ReadonlyArray<string>, what?: RegExp]
  > = [
    [
      "a lone backup that takes over with the next request",
      [reached(merge(statusOf("backup"), { state: "BACKUP", peer: { state: null }, config: { lone: "serve" } }))],
      ["error active", "warning reachable"],
      /takes over with the next request, unless a subscriber is connected/
    ],
    [
      "a server that cannot be reached",
      [pair()[0], unreached],
      ["error reachable"],
      /10\.0\.0\.2:5011: connection refused/
    ],
    ["a server that is not known", [pair()[0]], ["warning reachable"], /only one server/],
    [
      "a peer of another implementation",
      [reached(merge(statusOf("backup"), { peerHttp: null, peer: { isLegacy: true } }), { peer: null })],
      ["info reachable"],
      /of another implementation: nothing but its heartbeats is known/
    ],
    [
      "a peer that sends nothing but malformed messages",
      [
        reached(merge(statusOf("backup"), {
          state: "BACKUP",
          peer: { state: null, ageMillis: null, isExpired: true, malformed: "a problem" },
          counters: { malformed: 5 }
        }))
      ],
      ["error malformed", "error active", "warning reachable"],
      /nothing but malformed state messages: a problem/
    ],
    [
      "a peer of the same role, by its heartbeats",
      [reached(merge(statusOf("primary"), { state: "PRIMARY", answers: false, peer: { state: "PRIMARY" } }))],
      ["error roles", "error active", "warning reachable"],
      /primary receives PRIMARY from its peer at .*: that is a primary, too/
    ],
    ["a server that is given twice", [pair()[0], pair()[0]], ["error reachable"], /lead to the same server/],
    [
      "two primaries",
      pair({}, { role: "primary", http: "http://10.0.0.2:5011" }),
      ["error roles"],
      /both servers are primaries/
    ],
    ["two backups", pair({ role: "backup" }), ["error roles"], /both servers are backups/],
    ["policies", pair({ policy: "classic" }), ["error settings"], /policy is not the same: classic on primary/],
    [
      "heartbeats",
      pair({ config: { heartbeatMillis: 500 } }),
      ["error settings"],
      /500 ms on primary, 1000 ms on backup/
    ],
    ["votes", pair({ config: { vote: "self" } }), ["warning settings"], /self on primary/],
    ["crash detection", pair({}, { config: { crashDetection: false } }), ["warning settings"], /off on backup/],
    [
      "timeouts",
      pair({}, { config: { timeoutMillis: null } }),
      ["warning settings"],
      /30 s on primary, no limit on backup/
    ],
    [
      "limits of failovers",
      pair({ config: { maxFailovers: 3 } }),
      ["warning settings"],
      /3 in 60 min on primary, none on backup/
    ],
    ["the Guide's policy", pair({ policy: "classic" }, { policy: "classic" }), ["info classic"]],
    [
      "ports that do not meet",
      pair({ config: { peerEndpoint: "tcp://10.0.0.2:5005" } }),
      ["error endpoints"],
      /primary connects to tcp:\/\/10\.0\.0\.2:5005, but backup publishes on tcp:\/\/\*:5004/
    ],
    [
      "a peer on one's own machine",
      pair({}, { config: { peerEndpoint: "tcp://localhost:5003" } }),
      ["error endpoints"],
      /its own machine, but backup runs on b, primary on a/
    ],
    [
      "a state port on loopback",
      pair({ config: { stateEndpoint: "tcp://127.0.0.1:5003" } }),
      ["error endpoints"],
      /no other machine can reach/
    ],
    [
      "different addresses",
      pair({}, { config: { stateEndpoint: "tcp://10.0.0.3:5004" } }),
      ["warning endpoints"],
      /same machine\?/
    ],
    [
      "a socket file against a port",
      pair({ config: { peerEndpoint: "ipc:///run/x" } }),
      ["error endpoints"],
      /ipc:\/\/\/run\/x/
    ],
    [
      "two pairs crossed",
      pair({ peer: { state: "ACTIVE" } }),
      ["error crossed"],
      /primary receives ACTIVE, but backup is PASSIVE for 60 min: the heartbeats are those of another server/
    ],
    [
      "heartbeats of a server that sends none",
      pair({}, { state: "HANDING_OVER", peer: { state: "ACTIVE" } }),
      ["error crossed"]
    ],
    [
      "a link without heartbeats",
      pair({ peer: { isExpired: true, ageMillis: 9000 } }),
      ["error link"],
      /primary receives no heartbeats from backup, which runs: none for 9 s/
    ],
    [
      "a link that works one way, to a server whose status is unknown",
      [merge(pair()[0], { status: { peer: { unreceivedMillis: 4000 } } }), unreached],
      ["error reachable", "error link"],
      /the peer of primary has received none of its heartbeats for 4 s, although its own arrive/
    ],
    ["a link without a first heartbeat", pair({ peer: { state: null, ageMillis: null } }), ["error link"], /none yet/],
    [
      "clocks",
      pair({}, { now: "2026-01-31T12:00:03.000Z" }),
      ["warning clock"],
      /the clock of primary is 3 s behind that of backup/
    ],
    ["versions", pair({ versions: { bstar: "0.2.0" } }), ["warning versions"], /bstar is 0\.2\.0 on primary/],
    ["versions of Node", pair({ versions: { node: "22.0.0" } }), ["info versions"]],
    ["a server without --peer-http", pair({ peerHttp: null }), ["warning peer-http"]],
    [
      "a --peer-http without an answer",
      [
        reached(statusOf("primary"), { peer: { status: null, error: "connection refused", ageMillis: null } }),
        pair()[1]
      ],
      ["warning peer-http"],
      /of primary \(http:\/\/10\.0\.0\.2:5011\) does not lead to backup: connection refused/
    ],
    [
      "a --peer-http of another server",
      [
        reached(statusOf("primary"), {
          peer: { status: { ...statusOf("backup"), host: "c" }, error: null, ageMillis: 200 }
        }),
        pair()[1]
      ],
      ["error peer-http"],
      /leads to a backup on c, which is not backup/
    ],
    [
      "another token",
      [{ ...pair()[0], commands: "Denied" }, pair()[1]],
      ["error token"],
      /primary does not accept the given token/
    ],
    ["a token that one has", [pair()[0], { ...pair()[1], commands: "Off" }], ["warning token"], /backup has no token/],
    ["no token", pair().map((one) => ({ ...one, commands: "Off" as const })), ["info token"]],
    ["a conflict", pair({ counters: { conflicts: 1 } }), ["warning conflicts"], /primary has found once/],
    [
      "malformed messages",
      pair({}, { counters: { malformed: 2 } }),
      ["warning malformed"],
      /backup has received 2 malformed messages/
    ],
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
      /state port of primary has rejected a connection by its key 2 times, maybe that of backup/
    ],
    [
      "keys of strangers: no finding while heartbeats arrive",
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
      "a limit of failovers that is reached",
      pair({}, { takeoverBlock: { kind: "limited", until: now } }),
      ["error takeover-block"],
      /has reached the limit of failovers/
    ],
    [
      "two that are active",
      pair({ peer: { state: "ACTIVE" } }, { state: "ACTIVE", answers: true }),
      ["error active"],
      /both servers are active/
    ],
    [
      "no active server",
      [
        reached(merge(statusOf("backup"), { peer: { isExpired: true } })),
        { ...unreached, address: "http://10.0.0.1:5011" }
      ],
      ["error reachable", "error active"],
      /backup takes over with the next request/
    ],
    [
      "a lone backup",
      [
        reached(
          merge(statusOf("backup"), { state: "BACKUP", peer: { state: null, ageMillis: null, isExpired: true } })
        ),
        { ...unreached, address: "http://10.0.0.1:5011" }
      ],
      ["error reachable", "error lone-backup", "error active"],
      /has received no heartbeat from its primary/
    ]
  ]
  for (const [name, observations, expected, what] of cases) {
    it(`finds: ${name}`, () => {
      const findings = examine(observations)
      assert.deepStrictEqual(summary(findings), expected)
      assert.isTrue(findings.every(({ remedy }) => remedy.length > 0))
      if (what !== undefined) {
        assert.match(findings.map(({ what }) => what).join("\n"), what)
      }
    })
  }

  it("findings: the worst come first", () => {
    assert.deepStrictEqual(
      summary(examine(pair({ versions: { bstar: "2", node: "22" } }, { config: { heartbeatMillis: 10 } }))),
      ["error settings", "warning versions", "info versions"]
    )
  })

  it("lone-backup: the remedy has the server's address", () => {
    const [finding] = examine([reached(merge(statusOf("backup"), { state: "BACKUP", peer: { state: null } }))])
    assert.include(finding!.remedy, "bstar promote --http http://10.0.0.2:5011 --reason")
  })

  it("crossed: a heartbeat from before the latest transition proves nothing", () => {
    assert.deepStrictEqual(
      examine(pair({ peer: { state: "BACKUP", ageMillis: 900 } }, { since: "2026-01-31T11:59:58.500Z" })),
      []
    )
  })

  it("link: a server that has just started is no finding", () => {
    const young = { uptimeMillis: 1500, since: "2026-01-31T11:59:58.500Z", peer: { state: null, ageMillis: null } }
    assert.deepStrictEqual(
      summary(examine(pair({ ...young, state: "PRIMARY", answers: false }, { ...young, state: "BACKUP" }))),
      ["error active"]
    )
  })

  it("clock: the times of the requests are subtracted", () => {
    const [a, b] = pair({}, { now: "2026-01-31T12:00:03.000Z" })
    assert.deepStrictEqual(examine([a, { ...b, requestedAt: b.requestedAt + 3000 }]), [])
    assert.deepStrictEqual(examine([a, { ...b, durationMillis: 5000 }]), [])
  })

  it("endpoints: a port chosen by the system is not compared", () => {
    assert.deepStrictEqual(examine(pair({}, { config: { stateEndpoint: "tcp://*:*" } })), [])
  })

  it("endpoints: loopback addresses of one machine match", () => {
    assert.deepStrictEqual(
      examine(pair(
        { config: { stateEndpoint: "tcp://127.0.0.1:5003", peerEndpoint: "tcp://localhost:5004" } },
        { host: "a", pid: 2, config: { stateEndpoint: "tcp://127.0.0.1:5004", peerEndpoint: "tcp://127.0.0.1:5003" } }
      )),
      []
    )
  })

  it("an outdated copy of the peer's status is not examined", () => {
    assert.notInclude(summary(examine(takenOver(200, 900))), "error active")
    assert.include(summary(examine(takenOver(5000, 900))), "error active")
  })

  it("pure: a browser bundle loads neither Node nor Effect", async () => {
    const { metafile, outputFiles } = await build({
      entryPoints: ["Doctor", "Health", "Observation"].map((module) => path.join(root, "src/status", `${module}.ts`)),
      bundle: true,
      format: "esm",
      metafile: true,
      minify: true,
      outdir: "/",
      platform: "browser",
      splitting: true,
      write: false
    })
    const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs))
    assert.deepStrictEqual(
      inputs.filter(([file, { bytesInOutput }]) => /node_modules/.test(file) && bytesInOutput > 0),
      []
    )
    assert.isBelow(outputFiles.reduce((sum, { contents }) => sum + contents.length, 0), 24_000)
  })
})
