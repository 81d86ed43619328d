/** What a member with a witness asks of its peer with each heartbeat. */
import type { Question } from "../protocol/Heartbeat.ts"
import * as Rights from "../protocol/Rights.ts"
import type { Member, Rules } from "./data.ts"

/** Guards for which the backup leaves it to the primary to seek a promise. */
const backupPatience = 2

/** Whether the peer's promise is sought: the witness does not answer, and this member is not in its guard (R8). */
const seeksPromise = ({ rights: rules, role }: Rules, { rights, wish, witness }: Member, now: number): boolean => {
  const patience = role === "primary" || rules === undefined ? 0 : backupPatience * rules.guardMillis
  return wish !== undefined && witness.problem !== undefined && rights !== undefined &&
    Rights.mayStand(rights, now - patience)
}

export const questionOf = (rules: Rules, member: Member, now: number): Question | undefined => {
  const { protocol, rights } = member
  if (rights === undefined || protocol.state === "HANDING_OVER") {
    return undefined
  }
  if (rights.isActive) {
    return "Serve"
  }
  if (rights.isOwn && rights.term !== undefined) {
    return "Resume"
  }
  return seeksPromise(rules, member, now) ? "Stand" : undefined
}
