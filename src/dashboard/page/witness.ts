/**
 * The witness as both servers see it, and the rights that they hold.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { timing } from "../../protocol/Timing.ts"
import { receivesHeartbeats } from "../../status/Observation.ts"
import type { NodeStatus, Witness } from "../../status/Status.ts"
import type { Entries } from "./cards.ts"
import { count, latency, span } from "./format.ts"
import type { Pair } from "./pair.ts"
import { roles } from "./pair.ts"

/** A right of a server: its text, and the part of its time that is left. */
export interface Right {
  readonly text: string
  readonly part: number
}

export interface WitnessCard {
  readonly level: "good" | "warning" | "critical"
  readonly texts: { readonly [F in "place" | "state" | "duty" | "message" | "why"]: string }
  readonly figures: Entries
  readonly rights: { readonly [R in Role]: { readonly summary: string; readonly held: ReadonlyArray<Right> } }
}

interface View {
  readonly role: Role
  readonly status: NodeStatus
  readonly witness: Witness
}

const viewsOf = ({ servers }: Pair): ReadonlyArray<View> =>
  roles.flatMap((role) => {
    const { status } = servers[role]
    return status?.witness == null ? [] : [{ role, status, witness: status.witness }]
  })

const givers: { readonly [G in Witness["rights"][number]["of"]]: string } = {
  witness: "from the witness",
  peer: "from its peer",
  evidence: "because the peer's host refuses connections",
  operator: "from an operator, who answers for the others"
}

/** Tenths of a second: a right lasts for one heartbeat and a half. */
const short = (millis: number): string => millis < 10_000 ? `${(millis / 1000).toFixed(1)} s` : span(millis)

const rightsOf = (view: View | undefined): WitnessCard["rights"][Role] => {
  if (view === undefined) {
    return { summary: "not known", held: [] }
  }
  const { status: { answers, config }, witness: { guardMillis, rights } } = view
  const lasts = timing.right * config.heartbeatMillis
  return {
    summary: rights.length > 0
      ? "may serve"
      : `holds no right${
        answers || guardMillis === null || guardMillis === 0
          ? ""
          : `, and takes over by evidence only for ${short(guardMillis)}`
      }`,
    held: rights.map(({ leftMillis, of }) => ({
      text: `${givers[of]}: ${leftMillis === null ? "until one of them answers" : `${short(leftMillis)} left`}`,
      part: leftMillis === null ? 1 : Math.min(1, leftMillis / lasts)
    }))
  }
}

/** The view of the last answer. */
const freshest = (views: ReadonlyArray<View>): View | undefined => [...views].sort((a, b) => ageOf(a) - ageOf(b))[0]

const ageOf = ({ witness: { answeredMillisAgo } }: View): number => answeredMillisAgo ?? Number.POSITIVE_INFINITY

const dutyOf = (up: ReadonlyArray<View>, views: ReadonlyArray<View>): string => {
  const [one] = up
  if (one === undefined) {
    return views.length > 1 ? "answers neither server" : `does not answer the ${views[0]?.role}`
  }
  return up.length === 2 ? "answers both servers" : `answers the ${one.role}${views.length > 1 ? " only" : ""}`
}

const messageOf = ({ witness: { record } }: View): string =>
  record === null
    ? "It has recorded no term yet."
    : `It has recorded term ${record.term.text}, ${record.isReleased ? "which the" : "held by the"} ${record.holder}${
      record.isReleased ? " has given up" : ""
    }.`

/** As `bstar doctor`: a silent witness is an error once a server is alone. */
const levelOf = (views: ReadonlyArray<View>): WitnessCard["level"] => {
  const silent = views.filter(({ witness }) => !witness.isUp)
  if (silent.length === 0) {
    return "good"
  }
  return silent.every(({ status }) => receivesHeartbeats(status)) ? "warning" : "critical"
}

/** The card; `undefined` for a pair without a witness. */
export const witnessCardOf = (pair: Pair): WitnessCard | undefined => {
  const views = viewsOf(pair)
  const view = freshest(views)
  if (view === undefined) {
    return undefined
  }
  const up = views.filter(({ witness }) => witness.isUp)
  const { record, ...witness } = view.witness
  const of = (role: Role) => rightsOf(views.find((view) => view.role === role))
  return {
    level: levelOf(views),
    texts: {
      place: witness.endpoint,
      state: up.length === 0 ? "SILENT" : "UP",
      duty: dutyOf(up, views),
      message: messageOf(view),
      why: views.flatMap(({ role, witness: { problem } }) => problem === null ? [] : [`${role}: ${problem}`]).join(
        " · "
      )
    },
    figures: [
      ["Term", record?.term.text ?? "–"],
      ["Holder", record?.holder ?? "–"],
      ["Last answer", witness.answeredMillisAgo === null ? "none" : `${short(witness.answeredMillisAgo)} ago`],
      ["p50 overall", latency(witness.latency.p50Millis)],
      ["p99 overall", latency(witness.latency.p99Millis)],
      ["Conflicts", count(views.reduce((sum, one) => sum + one.witness.conflicts, 0))]
    ],
    rights: { primary: of("primary"), backup: of("backup") }
  }
}
