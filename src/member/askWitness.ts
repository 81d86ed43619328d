/** What a member with a witness asks of it, and what it makes of the answers. */
import * as Rights from "../protocol/Rights.ts"
import type { Draft, Member, WitnessAnswer } from "./data.ts"

/** The rights of a member with a witness. Every other member has none. */
export const withRights = (draft: Draft, use: (rules: Rights.Rules, rights: Rights.Rights) => void): void => {
  const { member, rules } = draft
  if (rules.rights !== undefined && member.rights !== undefined) {
    use(rules.rights, member.rights)
  }
}

export const ask = (draft: Draft, rights: Rights.Rights & { readonly request: Rights.Request }): void => {
  draft.member = { ...draft.member, rights }
  draft.outputs.push({
    _tag: "AskWitness",
    request: rights.request,
    expected: rights.request.swap === undefined ? undefined : rights.observed?.seen?.version
  })
}

/** Asks what is due: to record the term, for a term, or for the record. */
export const askWitness = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    const { dialogue } = draft.member
    if (rights.isActive && rights.term !== undefined && rights.observed !== undefined) {
      ask(draft, Rights.renew(rules, rights, rights.term, draft.now))
    } else if (rights.isActive && Rights.mayTake(rules, rights, draft.now)) {
      ask(draft, Rights.take(rules, rights, dialogue.sequence, draft.now))
    } else {
      ask(draft, Rights.look(rights, draft.now))
    }
  })

/** Tells the witness that the term is given up. */
export const release = (draft: Draft): void =>
  withRights(draft, (rules, rights) => {
    if (rights.term !== undefined && rights.observed !== undefined) {
      ask(draft, Rights.renew(rules, rights, rights.term, draft.now))
    }
  })

const warnOfWitness = (draft: Draft, problem: string): void => {
  draft.outputs.push({
    _tag: "Log",
    level: "Warning",
    once: "Witness",
    message:
      `the witness at ${draft.rules.witnessEndpoint} does not answer (${problem}); a healthy pair goes on without it`
  })
}

export const noteAnswer = (
  draft: Draft,
  answer: WitnessAnswer,
  fingerprint = draft.member.witness.fingerprint
): void => {
  const { witness } = draft.member
  if (answer._tag === "NoAnswer") {
    draft.member = { ...draft.member, witness: { ...witness, problem: answer.problem } }
    return warnOfWitness(draft, answer.problem)
  }
  if (witness.answeredAt === undefined || witness.problem !== undefined) {
    draft.outputs.push({
      _tag: "Log",
      level: "Info",
      once: "WitnessBack",
      message: `the witness at ${draft.rules.witnessEndpoint} answers`
    })
  }
  draft.member = { ...draft.member, witness: { answeredAt: draft.now, problem: undefined, fingerprint } }
}

export const rightsAfter = (
  rules: Rights.Rules,
  rights: Rights.Rights,
  answer: WitnessAnswer,
  now: number
): Rights.Rights => {
  const { request } = rights
  switch (answer._tag) {
    case "Seen":
    case "Conflict":
      return Rights.seen(rights, answer.seen, now)
    case "Swapped":
      return request?.swap === undefined
        ? rights
        : Rights.swapped(rules, rights, { ...request, swap: request.swap }, { now, version: answer.version })
    case "NoAnswer":
      return Rights.unanswered(rights)
  }
}

/**
 * Whether the peer's witness is another one, or has another name there: each server would have a majority of its own. A record of
 * the peer's term that was there before the question must be in the answer.
 */
const hasOtherWitness = ({ peer, rights, witness }: Member, askedAt: number): boolean => {
  const heartbeat = peer?.heartbeat
  if (heartbeat === undefined || rights === undefined) {
    return false
  }
  const isMissing = rights.observed !== undefined && rights.observed.seen === undefined && heartbeat.isRecorded &&
    peer!.receivedAt <= askedAt
  return isMissing ||
    (heartbeat.witness !== undefined && witness.fingerprint !== undefined && heartbeat.witness !== witness.fingerprint)
}

/** Logs that the witnesses differ, as the answer to a question shows. */
export const warnOfOtherWitness = ({ member, outputs, rules }: Draft, askedAt: number): void => {
  if (hasOtherWitness(member, askedAt)) {
    outputs.push({
      _tag: "Log",
      level: "Error",
      once: "OtherWitness",
      message:
        `the peer at ${rules.peerEndpoint} has another witness than ${rules.witnessEndpoint}, or another name there: ` +
        "both can be active; give both servers the same --witness"
    })
  }
}
