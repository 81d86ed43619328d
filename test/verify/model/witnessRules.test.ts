/** Each rule of a pair with a witness is necessary: without it two serve, or one serves with an old term. */
import { assert, describe, it } from "@effect/vitest"
import * as Core from "../../../src/member/Member.ts"
import { yieldAfterEach } from "./explorations.ts"
import { after, alone, before, lapsed, type Options, paired, short, violated, withRights } from "./witnessed.ts"

yieldAfterEach()

const never = Number.NEGATIVE_INFINITY
const hasHeartbeat = (inputs: ReadonlyArray<Core.Input>) => inputs.some(({ _tag }) => _tag === "PeerHeartbeat")

const breaks = (name: string, property: "dual-answer" | "old-term", options: Options) =>
  it(name, () => {
    assert.include(violated({ ticks: short, ...options }), property)
  })

describe("a rule of the rights that is taken away is noticed", () => {
  breaks("R1: a right that counts from the answer", "dual-answer", {
    core: before((member, _, now) =>
      withRights(
        member,
        (rights) => rights.request === undefined ? rights : { ...rights, request: { ...rights.request, askedAt: now } }
      )
    ),
    first: alone
  })

  breaks("R2: no guard after the state port was bound", "dual-answer", {
    core: {
      start: (rules, now) => {
        const { member, outputs } = Core.start(rules, now)
        return { member: withRights(member, (rights) => ({ ...rights, guardUntil: never })), outputs }
      },
      step: Core.step
    },
    kills: 1
  })

  breaks("R2: no guard after a promise", "dual-answer", {
    core: after((rights, before) =>
      before.isActive || rights.guardUntil <= before.guardUntil ? rights : { ...rights, guardUntil: before.guardUntil }
    ),
    first: alone
  })

  breaks("R2: no guard after a term: its holder takes the record again while its follower goes on", "old-term", {
    core: after((rights, before) => before.isActive && !rights.isActive ? { ...rights, guardUntil: never } : rights),
    kills: 1,
    first: paired
  })

  breaks("R3: a record that was not seen unchanged", "dual-answer", {
    core: before((member) =>
      withRights(
        member,
        (rights) =>
          rights.observed === undefined ? rights : { ...rights, observed: { ...rights.observed, since: never } }
      )
    ),
    first: alone
  })

  breaks("R4: a heartbeat counts by when it is received", "old-term", {
    core: before((member, _, now) => ({
      ...member,
      dialogue: {
        ...member.dialogue,
        sent: member.dialogue.sent.map((sent) => sent.question === undefined ? { ...sent, at: now } : sent)
      }
    })),
    kills: 1,
    first: lapsed
  })

  breaks("R5: a member that promises and goes on waiting for the term that it has asked for", "dual-answer", {
    core: after((rights, before, inputs) =>
      before.request?.swap?.isTake === true && rights.request === undefined && hasHeartbeat(inputs)
        ? { ...rights, request: before.request }
        : rights
    )
  })

  breaks("R6: evidence of before it ceased to be active", "old-term", {
    core: after((rights, before) =>
      before.isActive && !rights.isActive
        ? { ...rights, until: { ...rights.until, evidence: before.until.witness } }
        : rights
    ),
    kills: 1,
    first: [...lapsed, { name: "vote", side: 1 }, { name: "receive", side: 1 }]
  })

  breaks("R6: a member that goes on from a term of long ago", "old-term", {
    core: before((member) => withRights(member, (rights) => ({ ...rights, followsUntil: Number.POSITIVE_INFINITY }))),
    kills: 1,
    first: paired
  })

  breaks("R8: a member that stands in its guard", "old-term", {
    core: before((member, inputs) =>
      member.wish !== undefined || inputs.some((input) => input._tag === "PeerHeartbeat" && input.heartbeat?.promises)
        ? withRights(
          member,
          (rights) => rights.guardUntil === Number.POSITIVE_INFINITY ? rights : { ...rights, guardUntil: never }
        )
        : member
    ),
    kills: 1,
    first: paired
  })

  breaks("R8: a member that promises to resume a term that it does not know", "old-term", {
    core: before((member, inputs) => {
      const resumed = inputs.find((input) => input._tag === "PeerHeartbeat" && input.heartbeat?.question === "Resume")
      return resumed?._tag === "PeerHeartbeat"
        ? withRights(member, (rights) => ({ ...rights, term: resumed.heartbeat?.term, isOwn: false }))
        : member
    }),
    kills: 1,
    first: paired
  })

  breaks("R8: a member that stands and goes on with the term that it had", "old-term", {
    core: after((rights, before) =>
      !before.isActive && rights.isActive && rights.term === undefined ? { ...rights, term: before.term } : rights
    ),
    kills: 1,
    first: paired
  })

  breaks("R9: a guard that ends while the state port is closed", "dual-answer", {
    core: before((member) =>
      withRights(
        member,
        (rights) => rights.guardUntil === Number.POSITIVE_INFINITY ? { ...rights, guardUntil: never } : rights
      )
    ),
    kills: 1,
    handovers: 1,
    first: paired
  })
})
