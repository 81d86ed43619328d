/** Prints inputs and outputs of the core, one line each. */
import type * as Core from "../../member/Member.ts"

/** An instant relative to now, in milliseconds to the microsecond. */
export const relative = (at: number, now: number): string => {
  const millis = Number((at - now).toFixed(3))
  return millis < 0 ? `${millis}` : `+${millis}`
}

export const quoted = (text: string | undefined): string => text === undefined ? "" : ` "${text}"`

const printLog = ({ level, message, once, transition }: Extract<Core.Output, { _tag: "Log" }>): string =>
  `${level}${once === undefined ? "" : ` (${once})`}: ${message}${transition === undefined ? "" : " [transition]"}`

const printTransition = ({ cause, explanation, from, reason, to }: Core.Transition): string =>
  `${from} -> ${to} because of ${cause}${explanation === undefined ? "" : `, ${explanation}`}${
    reason === undefined ? "" : `, reason${quoted(reason)}`
  }`

/** The text of an output. Instants are relative to now, in milliseconds. */
export const printOutput = (output: Core.Output, now: number): string => {
  switch (output._tag) {
    case "Publish":
      return `publish ${output.state}${output.isFinal ? " (final)" : ""}${output.isHeartbeat ? " (heartbeat)" : ""}`
    case "Reply":
      return `reply ${output.heartbeat.state}`
    case "AskWitness":
      return `ask the witness ${output.request.swap === undefined ? "for the record" : "to swap"}`
    case "Probe":
      return "probe"
    case "ReadLink":
      return "read link"
    case "ResetLink":
      return `reset link, epoch ${output.epoch}`
    case "BeginTerm":
      return "begin term"
    case "EndTerm":
      return `end term${output.isSilent ? " (silent)" : ""}: ${printTransition(output.transition)}`
    case "Transitioned":
      return `transitioned ${printTransition(output.transition)}`
    case "FailedOver":
      return `failed over, ${Number(output.silentMillis.toFixed(3))} ms after the last heartbeat`
    case "Conflict":
      return `conflict: both report ${output.state}`
    case "Leased":
      return `leased until ${relative(output.until, now)}`
    case "WakeAt":
      return `wake at ${relative(output.at, now)}`
    case "Complete":
      return `complete command ${output.id}: ${output.rejection ?? "done"}`
    case "Log":
      return printLog(output)
    case "Abort":
      return `abort: ${output.reason}`
    case "Exit":
      return "exit"
  }
}

/** The text of inputs. */
export const printInputs = (inputs: ReadonlyArray<Core.Input>): string =>
  inputs.map((input) => input._tag === "PeerHeartbeat" ? `peer ${input.state}` : input._tag).join(" & ")

/** The fields of a member that its next decision depends on. */
export const printMember = ({ lastHeartbeatAt, phase, protocol, wait }: Core.Member, now: number): string =>
  `= ${protocol.state} ${phase._tag}${wait === undefined ? "" : `, awaits ${wait._tag}`}, last heartbeat ${
    (lastHeartbeatAt - now).toFixed(3)
  }, peer deadline ${(protocol.peerDeadline - now).toFixed(3)}, connection deadline ${
    (protocol.connectionDeadline - now).toFixed(3)
  }, link ${protocol.link}`
