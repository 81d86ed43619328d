/** What a member with a witness asks of its peer with each heartbeat. */
import type { Question } from "../protocol/Heartbeat.ts"
import * as Rights from "../protocol/Rights.ts"
import * as Term from "../protocol/Term.ts"
import type { Member, Rules } from "./data.ts"

/** Guards for which the backup leaves it to the primary to seek a promise. */
const backupWait = 2

/** Whether the peer's promise is sought: the witness does not answer, and this member is not in its guard (R8). */
const seeksPromise = ({ rights: rules, role }: Rules, { rights, wish, witness }: Member, now: number): boolean => {
  const wait = role === "primary" || rules === undefined ? 0 : backupWait * rules.guardMillis
  return wish !== undefined && witness.problem !== undefined && rights !== undefined &&
    Rights.mayStand(rights, now - wait)
}

/** Whether the peer knows this very term, as far as it has reported: it does not promise to resume any other. */
const isKnownToPeer = ({ peer }: Member, term: Term.Term): boolean =>
  peer?.heartbeat?.term !== undefined && Term.compare(peer.heartbeat.term, term) === 0

export const questionOf = (rules: Rules, member: Member, now: number): Question | undefined => {
  const { protocol, rights } = member
  if (rights === undefined || protocol.state === "HANDING_OVER") {
    return undefined
  }
  if (rights.isActive) {
    return "Serve"
  }
  const term = rights.isOwn && !Rights.isBehind(rights) ? rights.term : undefined
  if (seeksPromise(rules, member, now) && !(term !== undefined && isKnownToPeer(member, term))) {
    return "Stand"
  }
  return term === undefined ? undefined : "Resume"
}
