/**
 * The commands of an operator: which are possible, what they do, and what their responses mean.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import type { NodeStatus } from "../../status/Status.ts"
import * as Warnings from "../../status/Warnings.ts"

export type Command = "switchover" | "promote" | "pause" | "resume"

export interface Panel {
  readonly isActive: boolean
  readonly isPaused: boolean
  readonly hint: string
  readonly switchoverHint: string
  /** The page of the peer, where a switchover is possible. */
  readonly switchoverLink: { readonly text: string; readonly href: string } | undefined
  readonly promoteHint: string
  readonly pauseHint: string
}

/** When a promotion succeeds. */
const conditionOf = ({ witness }: NodeStatus): string =>
  witness == null
    ? "if its peer is silent or hands over"
    : "if the witness or its peer gives it the right to serve"

/** Only addresses of HTTP become links: an address from a server may hold anything. */
const hrefOf = (address: string | null): string | undefined => {
  if (address === null || !URL.canParse(address)) {
    return undefined
  }
  const { href, protocol } = new URL(address)
  return protocol === "http:" || protocol === "https:" ? href : undefined
}

export const panelOf = (server: NodeStatus): Panel => {
  const { peerHttp, role, state, takeoverBlock } = server
  const isActive = state === "ACTIVE"
  const isPaused = takeoverBlock?.kind === "paused"
  const peer = peerOf(role)
  const href = hrefOf(peerHttp)
  return {
    isActive,
    isPaused,
    hint: `Commands are sent to this server, the ${role}.`,
    switchoverHint: isActive
      ? `Hands over to the ${peer} without losing a request.`
      : `Only the active server can switch over${href === undefined ? "." : ": see the "}`,
    switchoverLink: isActive || href === undefined ? undefined : { text: `page of the ${peer}`, href },
    promoteHint: isActive
      ? "This server is active."
      : `Makes the ${role} active ${conditionOf(server)}.`,
    pauseHint: isPaused
      ? "After resuming, votes count again."
      : `No vote makes the ${role} take over until it is resumed or restarted.`
  }
}

export interface Question {
  readonly title: string
  readonly text: string
  readonly confirm: string
}

/** What the operator has to confirm before the command is sent. */
export const questionOf = (command: Command, server: NodeStatus): Question | undefined => {
  const { role } = server
  switch (command) {
    case "switchover":
      return {
        title: "Switch over?",
        text: `The ${role} completes what it has accepted and hands over to the ${peerOf(role)}. ` +
          "Clients wait for a moment.",
        confirm: "Switch over"
      }
    case "promote":
      return {
        title: `Promote the ${role}?`,
        text: `It becomes active ${conditionOf(server)}.`,
        confirm: "Promote"
      }
    default:
      return undefined
  }
}

/** What the operator has to confirm before a server is promoted that neither the witness nor its peer gives the right to serve. */
export const overrideOf = (role: Role): Question => ({
  title: `Promote the ${role} without the witness?`,
  text:
    `Neither the witness nor the ${
      peerOf(role)
    } gives the ${role} the right to serve. If you promote it all the same, ` +
    `${Warnings.withoutWitness}.`,
  confirm: "Promote without the witness"
})

export interface Result {
  readonly level: "good" | "critical"
  readonly text: string
  /** Whether the token is of no use. */
  readonly isTokenRejected: boolean
  /** Whether a promotion was rejected for lack of a majority, which only the operator can replace. */
  readonly isMinority: boolean
}

/** What a response to a command means. `body` is its JSON, if it has any. */
export const resultOf = (status: number, body: unknown): Result => {
  const { error, message, reason } = (body ?? {}) as { readonly [F in "error" | "message" | "reason"]?: string }
  const result = (text: string, more: Partial<Result> = {}): Result => ({
    level: "critical",
    text,
    isTokenRejected: false,
    isMinority: false,
    ...more
  })
  switch (status) {
    case 200:
      return result(message ?? "Done.", { level: "good" })
    case 401:
      return result("The token is wrong.", { isTokenRejected: true })
    case 404:
      return result("This server accepts no commands: it was started without a token.", { isTokenRejected: true })
    default:
      return result(error ?? message ?? `Rejected (HTTP status ${status}).`, { isMinority: reason === "NoMajority" })
  }
}
