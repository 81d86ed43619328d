/**
 * The commands of an operator: which are possible, what they do, and what their responses mean.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import type { NodeStatus } from "../../status/Status.ts"

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

/** Only addresses of HTTP become links: an address from a server may hold anything. */
const hrefOf = (address: string | null): string | undefined => {
  if (address === null || !URL.canParse(address)) {
    return undefined
  }
  const { href, protocol } = new URL(address)
  return protocol === "http:" || protocol === "https:" ? href : undefined
}

export const panelOf = ({ peerHttp, role, state, takeoverBlock }: NodeStatus): Panel => {
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
      : `Makes the ${role} active if its peer is silent or hands over.`,
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
export const questionOf = (command: Command, role: Role): Question | undefined => {
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
        text: "It becomes active if its peer is silent or hands over.",
        confirm: "Promote"
      }
    default:
      return undefined
  }
}

export interface Result {
  readonly level: "good" | "critical"
  readonly text: string
  /** Whether the token is of no use. */
  readonly isTokenRejected: boolean
}

/** What a response to a command means. `body` is its JSON, if it has any. */
export const resultOf = (status: number, body: unknown): Result => {
  const { error, message } = (body ?? {}) as { readonly error?: string; readonly message?: string }
  switch (status) {
    case 200:
      return { level: "good", text: message ?? "Done.", isTokenRejected: false }
    case 401:
      return { level: "critical", text: "The token is wrong.", isTokenRejected: true }
    case 404:
      return {
        level: "critical",
        text: "This server accepts no commands: it was started without a token.",
        isTokenRejected: true
      }
    default:
      return {
        level: "critical",
        text: error ?? message ?? `Rejected (HTTP status ${status}).`,
        isTokenRejected: false
      }
  }
}
