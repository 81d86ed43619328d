import { assert, describe, it } from "@effect/vitest"
import { examine } from "../../../src/status/Doctor.ts"
import { judge } from "../../../src/status/Health.ts"
import { hostsOfWitness } from "../../../src/status/Hosts.ts"
import type { Observation } from "../../../src/status/Observation.ts"
import { now, pair, type Patch, statusOf, unreached, witnessed, witnessedPair } from "../observations.ts"

const summary = (observations: ReadonlyArray<Observation>): ReadonlyArray<string> =>
  examine(observations).map(({ check, severity }) => `${severity} ${check}`)

const silent: Patch = { witness: { isUp: false, problem: "no answer within 1s", answeredMillisAgo: 5000 } }

const lost: Patch = { peer: { isExpired: true, ageMillis: 9000 } }

/** The primary, whose peer cannot be reached. */
const alone = (primary: Patch): ReadonlyArray<Observation> => [witnessedPair(primary)[0], unreached]

/** The backup, whose primary cannot be reached. */
const minority = (backup: Patch): ReadonlyArray<Observation> => [
  witnessedPair({}, { ...backup, state: "BACKUP", answers: false })[1],
  { ...unreached, address: "http://10.0.0.1:5011" }
]

describe("the doctor of a pair with a witness", () => {
  it("healthy pair with a witness: there are no findings", () => {
    assert.deepStrictEqual(examine(witnessedPair()), [])
    assert.strictEqual(judge(witnessedPair(), []).level, "healthy")
  })

  it("statuses without the new fields: there are no findings", () => {
    assert.isFalse("witness" in statusOf("primary"))
    assert.deepStrictEqual(examine(pair()), [])
  })

  const cases: ReadonlyArray<
    readonly [
      name: string,
      observations: ReadonlyArray<Observation>,
      expected: ReadonlyArray<string>,
      what: RegExp,
      remedy: RegExp
    ]
  > = [
    [
      "a witness that does not answer, beside a healthy pair",
      witnessedPair(silent, silent),
      ["warning witness", "warning witness"],
      /primary: the witness at etcd:.*\(no answer within 1s; the last answer was 5 s ago\): the pair goes on without it/,
      /start the witness, or mend the network to it/
    ],
    [
      "a witness that does not answer, beside an active member that is alone",
      alone({ ...silent, ...lost, witness: { ...silent.witness, rights: [{ of: "evidence", leftMillis: 800 }] } }),
      ["error reachable", "error witness"],
      /primary is alone: .* it serves as long as the host of the peer refuses connections/,
      /start the witness or the other server$/
    ],
    [
      "a member that is a minority",
      minority({ ...silent, ...lost }),
      ["error reachable", "error witness", "error active"],
      /backup rejects every request: .* one of three must not decide alone/,
      /bstar promote --http http:\/\/10\.0\.0\.2:5011 --reason \.\.\. --without-witness/
    ],
    [
      "a witness on the machine of a member",
      witnessedPair({ hosts: { witness: ["10.0.0.2"] } }, { hosts: { witness: ["127.0.0.1", "::1"] } }),
      ["warning witness"],
      /runs on the machine of backup: if that is lost, two of the three are/,
      /a third machine/
    ],
    [
      "half of the witness's cluster on the machine of a member",
      witnessedPair({ hosts: { witness: ["10.0.0.1", "10.0.0.1", "10.0.0.3", "10.0.0.4"] } }),
      ["warning witness"],
      /half or more of the members of the witness at etcd:.* run on the machine of primary: if that is lost, two of the/,
      /less than half of its members on the machine of a server/
    ],
    [
      "most of the witness's cluster on the machine of a peer that cannot be reached",
      alone({ hosts: { witness: ["10.0.0.2", "10.0.0.2", "10.0.0.3"] } }),
      ["error reachable", "warning witness"],
      /half or more of the members of the witness at etcd:.* run on the machine of the peer of primary/,
      /a third machine/
    ],
    [
      "a witness on the machine of a peer that cannot be reached",
      alone({ hosts: { witness: ["10.0.0.2"] } }),
      ["error reachable", "warning witness"],
      /runs on the machine of the peer of primary/,
      /a third machine/
    ],
    [
      "different witnesses",
      witnessedPair({}, { witness: { endpoint: "etcd://10.0.0.4:2379/orders", fingerprint: "77aa" } }),
      ["error witness"],
      /different witnesses, .* etcd:\/\/10\.0\.0\.3:2379\/orders on primary, etcd:\/\/10\.0\.0\.4:2379\/orders on backup/,
      /the same --witness/
    ],
    [
      "different witnesses, by the heartbeats of the peer",
      alone({ witness: { peerFingerprint: "77aa" } }),
      ["error reachable", "error witness"],
      /primary and its peer use different witnesses/,
      /the same --witness/
    ],
    [
      "a witness without a record beside one with the record of the pair",
      witnessedPair({}, { witness: { fingerprint: null, peerFingerprint: "3306" } }),
      ["error witness"],
      /the witness of backup has no record of the pair, but that of its peer has: .* \(backup: etcd/,
      /the same --witness/
    ],
    [
      "a witness that one has",
      witnessedPair({}, { policy: "hardened", witness: null }),
      ["error settings", "error witness"],
      /primary has a witness, and backup has none: backup asks nobody before it serves/,
      /the same --witness/
    ],
    [
      "a peer of another implementation",
      alone({ peer: { isLegacy: true } }),
      ["error reachable", "error witness"],
      /its peer sends nothing but digits: it asks nobody/,
      /on both servers/
    ],
    [
      "a name of the peer that leads to several machines",
      witnessedPair({ hosts: { peer: ["10.0.0.2", "10.0.0.7"] } }),
      ["warning evidence"],
      /has the addresses 10\.0\.0\.2, 10\.0\.0\.7: primary takes a refused connection to any of them/,
      /--crash-detection off/
    ],
    [
      "an address of the peer that its machine does not have",
      witnessedPair({ hosts: { peer: ["10.96.0.10"] } }),
      ["warning evidence"],
      /which is no address of the machine of backup: a proxy, NAT or the address of a service/,
      /the address of the other machine itself/
    ],
    [
      "a refusal that was wrong",
      witnessedPair({ counters: { refuted: 2 } }),
      ["warning evidence"],
      /primary has found 2 times that the host of its peer refused a connection although the peer ran/,
      /drop instead of reject/
    ],
    [
      "a machine that was suspended",
      pair({ counters: { suspended: 1 }, suspension: { noticed: now, millis: 4000 } }),
      ["warning suspension"],
      /the machine of primary was suspended once, the last time for 4 s until 2026-01-31T12:00:00\.000Z/,
      /do not suspend, snapshot or pause/
    ],
    [
      "an active member without a term",
      witnessedPair({ term: null }),
      ["warning term"],
      /primary is active for 60 min without a term, .* there is no fencing token/,
      /start the witness/
    ],
    [
      "no right but the operator's",
      witnessedPair({ witness: { rights: [{ of: "operator", leftMillis: null }] } }),
      ["warning witness"],
      /primary serves because an operator answers for the witness and the peer/,
      /make sure that the other server does not run/
    ]
  ]
  for (const [name, observations, expected, what, remedy] of cases) {
    it(`finds: ${name}`, () => {
      const findings = examine(observations)
      assert.deepStrictEqual(summary(observations), expected)
      const found = findings.find((finding) => what.test(finding.what))
      assert.isDefined(found, findings.map((finding) => finding.what).join("\n"))
      assert.match(found!.remedy, remedy)
    })
  }

  it("evidence: addresses of one machine, one of each family, and those of loopback are no finding", () => {
    const both = ["10.0.0.2", "fd00::2"]
    assert.deepStrictEqual(examine(witnessedPair({ hosts: { peer: both } }, { hosts: { own: both } })), [])
    const several = ["10.0.0.2", "10.0.1.2"]
    assert.deepStrictEqual(examine(witnessedPair({ hosts: { peer: several } }, { hosts: { own: several } })), [])
    assert.deepStrictEqual(examine(witnessedPair({ hosts: { peer: ["127.0.0.1"] } })), [])
    assert.deepStrictEqual(
      examine(witnessedPair({ hosts: { peer: several }, config: { crashDetection: false } }, {
        config: { crashDetection: false }
      })),
      []
    )
  })

  it("witness: both servers on one machine is a trial, and no finding", () => {
    assert.deepStrictEqual(
      examine(witnessedPair({ hosts: { witness: ["127.0.0.1"] } }, {
        host: "a",
        pid: 2,
        hosts: { witness: ["127.0.0.1"] }
      })),
      []
    )
  })

  it("witness: one member of its cluster on the machine of a server is no finding", () => {
    assert.deepStrictEqual(examine(witnessedPair({ hosts: { witness: ["10.0.0.1", "10.0.0.3", "10.0.0.4"] } })), [])
  })

  it("term: a member that has just become active is no finding", () => {
    assert.deepStrictEqual(examine(witnessedPair({ term: null, since: "2026-01-31T11:59:55.000Z" })), [])
  })

  it("health: a minority says why it rejects, and a lone backup with a witness when it takes over", () => {
    const messageOf = (observations: ReadonlyArray<Observation>) =>
      judge(observations, examine(observations)).message.split(";")[0]
    assert.strictEqual(
      messageOf(minority({ ...silent, ...lost })),
      "backup must not take over: neither the witness nor its peer answers, and one of three must not decide alone"
    )
    assert.strictEqual(
      messageOf(minority(lost)),
      "backup takes over with a request, once the witness has seen no other server for two heartbeats"
    )
  })

  it("health: a silent witness does not degrade a healthy pair, but a member that is alone", () => {
    const healthOf = (observations: ReadonlyArray<Observation>) => judge(observations, examine(observations))
    assert.strictEqual(healthOf(witnessedPair(silent, silent)).level, "healthy")
    assert.strictEqual(
      healthOf(alone({ ...silent, ...lost })).message,
      "primary is active, but http://10.0.0.2:5011 cannot be reached; bstar doctor finds 1 error"
    )
  })

  it("hosts: those in the URL of a witness", () => {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["etcd://10.0.0.3:2379,[fd00::4]:2379/orders", ["10.0.0.3", "fd00::4"]],
      ["postgres://db.example:5432/bstar?pair=orders", ["db.example"]],
      ["postgres://someone@db.example/bstar?pair=orders", ["db.example"]],
      ["memory", []],
      ["sql", []]
    ]
    for (const [endpoint, hosts] of cases) {
      assert.deepStrictEqual(hostsOfWitness(endpoint), hosts)
    }
    assert.strictEqual(witnessed("primary").policy, "witnessed")
  })
})
