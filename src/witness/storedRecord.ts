/** The record as an engine keeps it: JSON. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Seen, TermRecord, Version } from "../ports/Witness.ts"
import * as Term from "../protocol/Term.ts"
import * as HeartbeatMessage from "../wire/HeartbeatMessage.ts"

const Stored = Schema.parseJson(Schema.Struct({
  number: Schema.Int.pipe(Schema.between(0, Term.maxNumber)),
  step: Schema.Int.pipe(Schema.between(0, Term.stepsPerNumber - 1)),
  holder: Schema.Literal("primary", "backup"),
  life: Schema.String,
  released: Schema.Boolean,
  /** Random id of the register, kept by every swap. */
  register: Schema.String.pipe(Schema.filter(HeartbeatMessage.isFingerprint))
}))

/** A record, and the id of its register. */
export interface Content {
  readonly seen: Seen
  readonly register: string
}

const decodeStored = Schema.decodeOption(Stored)

/** The content of a register; none if it is not the record of a pair, or no heartbeat could carry it. */
export const decode = (version: Version, json: string): Option.Option<Content> =>
  Option.map(decodeStored(json), ({ register, released, ...record }) => ({
    seen: { version, record: { ...record, isReleased: released } },
    register
  }))

export const encode = ({ holder, isReleased, life, number, step }: TermRecord, register: string): string =>
  JSON.stringify({ number, step, holder, life, released: isReleased, register })

/** Whether two records are the same. */
export const isSame = (a: TermRecord, b: TermRecord): boolean => encode(a, "") === encode(b, "")
