/** Rules about the witness, the rights that it gives, and what the promise of a pair with a witness depends on. */
import type { Hosts } from "../Hosts.ts"
import { receivesHeartbeats, stateMillis } from "../Observation.ts"
import { span } from "../Span.ts"
import type { Witness } from "../Status.ts"
import { isLoopback, isSettled, type Named, promoteAt, type Rule, times } from "./rule.ts"

type WitnessRule = Rule<[self: Named, other: Named | undefined]>

/** A rule about servers with a witness. */
const ofWitness = (
  { what, ...rule }: Omit<WitnessRule, "what"> & {
    readonly what: (witness: Witness, self: Named, other: Named | undefined) => string | undefined
  }
): WitnessRule => ({
  ...rule,
  what: (self, other) => self.status.witness == null ? undefined : what(self.status.witness, self, other)
})

const silenceOf = ({ answeredMillisAgo, endpoint, problem }: Witness): string =>
  `the witness at ${endpoint} does not answer (${problem ?? "no answer yet"}; ${
    answeredMillisAgo === null
      ? "it has not answered since the start"
      : `the last answer was ${span(answeredMillisAgo)} ago`
  })`

const isSilent = (witness: Witness, self: Named): boolean =>
  !witness.isUp && (witness.problem !== null || isSettled(self))

const areAll = (addresses: ReadonlyArray<string>, isSo: (address: string) => boolean): boolean =>
  addresses.length > 0 && addresses.every(isSo)

const isOwn = (address: string, { own }: Hosts): boolean => isLoopback(address) || own.includes(address)

const isOfPeer = (address: string, { peer }: Hosts): boolean => !isLoopback(address) && peer.includes(address)

/** The witness is lost with a machine on which half of its cluster runs. */
const dependence = (hosts: Hosts, isOn: typeof isOwn, endpoint: string, machine: string): string | undefined => {
  const count = hosts.witness.filter((address) => isOn(address, hosts)).length
  if (count === 0 || 2 * count < hosts.witness.length) {
    return undefined
  }
  const which = count === hosts.witness.length
    ? `the witness at ${endpoint} runs`
    : `half or more of the members of the witness at ${endpoint} run`
  return `${which} on ${machine}: if that is lost, two of the three are, and the other server cannot take over`
}

const availability: ReadonlyArray<WitnessRule> = [
  ofWitness({
    severity: "warning",
    check: "witness",
    what: (witness, self) =>
      isSilent(witness, self) && receivesHeartbeats(self.status)
        ? `${self.name}: ${
          silenceOf(witness)
        }: the pair goes on without it, but if the host of a server is lost now, the other ` +
          "one must not take over"
        : undefined,
    remedy: () => "start the witness, or mend the network to it: bstar witness status"
  }),
  ofWitness({
    severity: "error",
    check: "witness",
    what: (witness, self) => {
      if (!isSilent(witness, self) || receivesHeartbeats(self.status)) {
        return undefined
      }
      return self.status.answers
        ? `${self.name} is alone: ${silenceOf(witness)}, nor does its peer; it serves as long as ${
          reasonToServe(witness)
        }`
        : `${self.name} rejects every request: ${
          silenceOf(witness)
        }, nor does its peer, and one of three must not decide alone`
    },
    remedy: (self) =>
      "start the witness or the other server" + (self.status.answers
        ? ""
        : `; if the other server certainly does not run: ${promoteAt(self.address)} --without-witness`)
  }),
  {
    severity: "warning",
    check: "witness",
    what: (self, other) => {
      const { host, hosts, witness } = self.status
      if (witness == null || hosts === undefined || other?.status.host === host) {
        return undefined
      }
      return dependence(hosts, isOwn, witness.endpoint, `the machine of ${self.name}`) ??
        (other === undefined
          ? dependence(hosts, isOfPeer, witness.endpoint, `the machine of the peer of ${self.name}`)
          : undefined)
    },
    remedy: () =>
      "run the witness on a third machine, best with power and network of its own; a cluster with less than half of its members on " +
      "the machine of a server"
  }
]

const reasonToServe = ({ rights }: Witness): string => {
  const [right] = rights
  return right?.of === "operator" ? "the operator answers for that" : "the host of the peer refuses connections"
}

const differ = (a: string | null | undefined, b: string | null | undefined): boolean =>
  a != null && b != null && a !== b

const rights: ReadonlyArray<WitnessRule> = [
  ofWitness({
    severity: "error",
    check: "witness",
    what: ({ endpoint, fingerprint, peerFingerprint }, { name }, other) =>
      other?.status.witness?.fingerprint == null && differ(fingerprint, peerFingerprint)
        ? `${name} and its peer use different witnesses, or different names there: each has a majority of its own, so both can ` +
          `be active (${name}: ${endpoint})`
        : undefined,
    remedy: () => sameWitness
  }),
  ofWitness({
    severity: "error",
    check: "witness",
    what: ({ endpoint, fingerprint, isUp, peerFingerprint }, { name, status }) =>
      isUp && fingerprint === null && peerFingerprint !== null &&
        stateMillis(status) > 3 * status.config.heartbeatMillis
        ? `the witness of ${name} has no record of the pair, but that of its peer has: they use different witnesses, or different ` +
          `names there (${name}: ${endpoint})`
        : undefined,
    remedy: () => sameWitness
  }),
  ofWitness({
    severity: "error",
    check: "witness",
    what: (_, self) =>
      self.status.peer.isLegacy === true && receivesHeartbeats(self.status) && isSettled(self)
        ? `${self.name} has a witness, but its peer sends nothing but digits: it asks nobody before it serves, so both can be active`
        : undefined,
    remedy: () => "run this version of bstar with --policy witnessed and the same --witness on both servers"
  }),
  ofWitness({
    severity: "warning",
    check: "term",
    what: (_, { name, status }) =>
      status.state === "ACTIVE" && status.term == null && stateMillis(status) > 10 * status.config.heartbeatMillis
        ? `${name} is active for ${
          span(stateMillis(status))
        } without a term, because no witness has recorded one: there is no ` +
          "fencing token, so stores that check it reject its writes"
        : undefined,
    remedy: () => "start the witness: it records a term with its first answer, and no request is lost"
  }),
  ofWitness({
    severity: "warning",
    check: "witness",
    what: ({ rights: [right, another] }, { name }) =>
      right?.of === "operator" && another === undefined
        ? `${name} serves because an operator answers for the witness and the peer: nothing but that word keeps the other server ` +
          "from serving, too"
        : undefined,
    remedy: () =>
      "make sure that the other server does not run; then start the witness, which ends this by its first answer"
  })
]

/** Whether there are several addresses of one family: a machine may have one of each. */
const areSeveral = (addresses: ReadonlyArray<string>): boolean =>
  addresses.filter((address) => address.includes(":")).length > 1 ||
  addresses.filter((address) => !address.includes(":")).length > 1

const evidence: ReadonlyArray<WitnessRule> = [
  ofWitness({
    severity: "warning",
    check: "evidence",
    what: (_, { name, status }, other) => {
      const addresses = (status.hosts?.peer ?? []).filter((address) => !isLoopback(address))
      const known = other?.status.hosts?.own ?? []
      return status.config.crashDetection && areSeveral(addresses) && !areAll(addresses, (one) => known.includes(one))
        ? `the host of ${status.config.peerEndpoint} has the addresses ${
          addresses.join(", ")
        }: ${name} takes a refused connection to any of ` +
          "them for the end of its peer"
        : undefined
    },
    remedy: () => oneAddress
  }),
  ofWitness({
    severity: "warning",
    check: "evidence",
    what: (_, { name, status }, other) => {
      const addresses = status.hosts?.peer ?? []
      const known = other?.status.hosts?.own ?? []
      return other !== undefined && status.config.crashDetection && known.length > 0 &&
          areAll(addresses, (one) => !isLoopback(one) && !known.includes(one))
        ? `${name} connects to ${status.config.peerEndpoint}, which is no address of the machine of ${other.name}: a proxy, NAT or the address ` +
          "of a service may refuse connections although the peer runs"
        : undefined
    },
    remedy: () => oneAddress
  }),
  {
    severity: "warning",
    check: "evidence",
    what: ({ name, status: { counters: { refuted = 0 } } }) =>
      refuted > 0
        ? `${name} has found ${
          times(refuted)
        } that the host of its peer refused a connection although the peer ran: a wrong ` +
          "refusal looks like a crash"
        : undefined,
    remedy: () => `let the firewall drop instead of reject, and ${oneAddress}`
  }
]

const oneAddress =
  "give --peer the address of the other machine itself, of no service, proxy or NAT, or use --crash-detection off"

export const witnessRules: ReadonlyArray<WitnessRule> = [
  ...availability,
  ...rights,
  ...evidence,
  {
    severity: "warning",
    check: "suspension",
    what: ({ name, status: { counters: { suspended = 0 }, suspension } }) =>
      suspension != null && suspended > 0
        ? `the machine of ${name} was suspended ${times(suspended)}, the last time for ${
          span(suspension.millis)
        } until ${suspension.noticed}: its clock stood still, so it may have served on when its peer had taken over`
        : undefined,
    remedy: () =>
      "do not suspend, snapshot or pause the machine of a server; look at bstar history of that time, and let the store check the " +
      "fencing token"
  }
]

const sameWitness = "give both servers the same --witness, with the same name of the pair; stop the backup until then"

/** Rules about the witnesses of both servers. */
export const witnessPairRules: ReadonlyArray<Rule<[a: Named, b: Named]>> = [
  {
    severity: "error",
    check: "witness",
    what: (a, b) => {
      const [one, another] = [a.status.witness, b.status.witness]
      return one != null && another != null && differ(one.fingerprint, another.fingerprint)
        ? `the servers use different witnesses, or different names there: ${one.endpoint} on ${a.name}, ${another.endpoint} on ` +
          `${b.name}: each has a majority of its own, so both can be active`
        : undefined
    },
    remedy: () => sameWitness
  },
  {
    severity: "error",
    check: "witness",
    what: (a, b) => {
      const [one] = [a, b].filter(({ status }) => status.witness != null)
      const [none] = [a, b].filter(({ status }) => status.witness == null)
      return one !== undefined && none !== undefined
        ? `${one.name} has a witness, and ${none.name} has none: ${none.name} asks nobody before it serves, so both can be active`
        : undefined
    },
    remedy: () => sameWitness
  }
]
