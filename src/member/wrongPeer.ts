/** Warnings of a peer that cannot be that of a pair. No decision depends on them. */
import * as StateMachine from "../protocol/StateMachine.ts"
import type { Draft, Input } from "./data.ts"

const flagOf = { primary: "-p", backup: "-b" } as const

/** The state that a server of each role reports first, and only it. */
const startOf = { primary: "PRIMARY", backup: "BACKUP" } as const satisfies {
  readonly [R in StateMachine.Role]: StateMachine.PeerState
}

/** What a digit means to a server that numbers its states from 0. */
const fromZero = { PRIMARY: "1 is BACKUP", BACKUP: "2 is ACTIVE" } as const

/**
 * The peer reports the role of this member. A state without an identity has to repeat, and not while this member starts: the identity may
 * follow.
 */
const problemOf = (
  { member: { peer, startedAt }, now, rules: { life, peerEndpoint, peerTimeoutMillis, role, stateEndpoint } }: Draft,
  { heartbeat, state }: Extract<Input, { _tag: "PeerHeartbeat" }>
): string | undefined => {
  if (heartbeat?.life === life) {
    return `the peer at ${peerEndpoint} is this server itself, which publishes at ${stateEndpoint}: give --peer the --state of the other server`
  }
  const start = startOf[role]
  const isRepeated = peer?.state === start && peer.heartbeat === undefined && now - startedAt > peerTimeoutMillis
  if (state !== start || heartbeat === undefined && !isRepeated) {
    return undefined
  }
  const other = StateMachine.peerOf(role)
  const problem = `the peer at ${peerEndpoint} is a ${role}, too: start one of the two as the ${other} (${
    flagOf[other]
  })`
  return heartbeat === undefined
    ? `${problem}; if it is the ${other} already, its states are numbered from 0, where ${
      fromZero[start]
    }: use one that sends 1 to 4`
    : problem
}

/** Warns of a peer that has the role of this member, or is this member. */
export const warnOfSameRole = (draft: Draft, input: Extract<Input, { _tag: "PeerHeartbeat" }>): void => {
  const message = problemOf(draft, input)
  if (message !== undefined) {
    draft.outputs.push({
      _tag: "Log",
      level: "Warning",
      once: input.heartbeat === undefined ? "SameState" : "SameRole",
      message
    })
  }
}

/** Warns of a malformed message. It is an error if the peer has sent no other. */
export const warnOfMalformed = ({ member, outputs, rules }: Draft, problem: string): void => {
  const { peerEndpoint } = rules
  outputs.push(
    member.peer === undefined
      ? {
        _tag: "Log",
        level: "Error",
        once: "OnlyMalformed",
        message:
          `the peer at ${peerEndpoint} has sent nothing but malformed state messages, so it counts as silent: ${problem}; ` +
          `check --peer: a server that can be a peer sends one digit, as the Guide's in C, C++, Go and Python do`
      }
      : {
        _tag: "Log",
        level: "Warning",
        once: "Malformed",
        message: `malformed state message from the peer at ${peerEndpoint} ignored: ${problem}`
      }
  )
}
