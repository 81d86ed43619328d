/**
 * The commands of an operator: which are possible, what they do, and what their responses mean.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import type { NodeStatus } from "../../status/Status.ts"
import * as Warnings from "../../status/Warnings.ts"
import type { Pair, Server } from "./pair.ts"

export type Command = "switchover" | "promote" | "pause" | "resume"

export interface Button {
  /** The server that carries the command out. */
  readonly target: Role
  /** Where the command is sent. This server forwards what its peer carries out. */
  readonly path: string
  readonly isEnabled: boolean
  readonly isShown: boolean
  readonly hint: string
}

export interface Panel {
  readonly hint: string
  readonly buttons: { readonly [C in Command]: Button }
}

/** When a promotion succeeds. */
const conditionOf = ({ witness }: NodeStatus): string =>
  witness == null
    ? "if its peer is silent or hands over"
    : "if the witness or its peer gives it the right to serve"

const isPaused = ({ status }: Server): boolean => status?.takeoverBlock?.kind === "paused"

/** The commands that are possible now, each with the server that carries it out. */
export const panelOf = ({ self, servers }: Pair, isConnected: boolean): Panel => {
  const own = servers[self.role]
  const other = servers[peerOf(self.role)]
  const knowsPeer = self.peerHttp !== null
  const active = [own, other].find(({ state }) => state === "ACTIVE")
  // A pause concerns the server that would take over.
  const standby = own.state === "ACTIVE" && other.status !== undefined && knowsPeer ? other : own
  const paused = [standby, own].find(isPaused)
  const button = (command: Command, { isSelf, role }: Server, isPossible: boolean, hint: string): Button => ({
    target: role,
    path: isSelf ? `./${command}` : `./peer/${command}`,
    isEnabled: isPossible && isConnected,
    isShown: true,
    hint
  })
  return {
    hint: isConnected
      ? `Commands are sent to this server, the ${self.role}, which forwards those for the ${other.role}.`
      : "There are no commands while the connection is lost.",
    buttons: {
      switchover: button(
        "switchover",
        active ?? own,
        active !== undefined && (active.isSelf || knowsPeer),
        switchoverHint(active, knowsPeer)
      ),
      promote: button(
        "promote",
        own,
        own.state !== "ACTIVE",
        own.state === "ACTIVE" ? "This server is active." : `Makes the ${own.role} active ${conditionOf(self)}.`
      ),
      pause: {
        ...button(
          "pause",
          standby,
          true,
          `No vote makes the ${standby.role} take over until it is resumed or restarted.`
        ),
        isShown: !isPaused(standby)
      },
      resume: {
        ...button("resume", paused ?? standby, true, `Votes make the ${(paused ?? standby).role} take over again.`),
        isShown: paused !== undefined
      }
    }
  }
}

const switchoverHint = (active: Server | undefined, knowsPeer: boolean): string => {
  if (active === undefined) {
    return "No server is active."
  }
  return active.isSelf || knowsPeer
    ? `The ${active.role} hands over to the ${peerOf(active.role)} without losing a request.`
    : `The ${active.role} is active, and this server does not know its address (--peer-http).`
}

export interface Question {
  readonly title: string
  readonly text: string
  readonly confirm: string
}

/** What the operator has to confirm before the command is sent. */
export const questionOf = (command: Command, role: Role, self: NodeStatus): Question | undefined => {
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
        text: `It becomes active ${conditionOf(self)}.`,
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

export const noResponse: Result = {
  level: "critical",
  text: "No response from this server.",
  isTokenRejected: false,
  isMinority: false
}

/** A malformed body, with which a token is checked: no server carries it out. */
export const withoutCommand = "{"

/** Why a token is not accepted, by the response to {@link withoutCommand}; `undefined` if it is. */
export const checkOf = (status: number, body: unknown): Result | undefined =>
  status === 400 ? undefined : resultOf(status, body)
