/** When each server answered, and whether that was right. */
import type { Role, State } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import * as Challenge from "./challenge.ts"

/**
 * A violated property.
 *
 * - `DualAnswer`: a server answered while the other one answered, too.
 * - `DualAccept`: both servers would accept a request at one instant.
 * - `Ended`: a server ended because of a message of its peer.
 * - `WrongReply`: a client received a reply that does not belong to its request.
 * - `ExecutedTwice`: a request that must not be sent twice was executed twice, although the network doubles nothing.
 * - `OldTerm`: a server served with a smaller term than one that had served before. Only with a witness.
 * - `SharedTerm`: two processes served with the same term. Only with a witness.
 * - `NoService`: no server answered although both had run on a whole network for long enough.
 * - `CommandLost`: an operator's command was neither completed nor rejected.
 *
 * @category models
 */
export interface Violation {
  readonly property:
    | "DualAnswer"
    | "DualAccept"
    | "Ended"
    | "WrongReply"
    | "ExecutedTwice"
    | "OldTerm"
    | "SharedTerm"
    | "NoService"
    | "CommandLost"
  readonly at: number
  readonly detail: string
}

interface Server extends Challenge.Challenge {
  state: State | "down"
  isPaused: boolean
}

const makeServer = (): Server => ({ state: "down", isPaused: false, ...Challenge.make() })

/**
 * The history of a run, as it is being made.
 *
 * @category models
 */
export class History {
  readonly #now: () => number
  readonly #keepLines: boolean
  readonly #servers: { readonly [R in Role]: Server } = { primary: makeServer(), backup: makeServer() }
  readonly #answered = new Set<Role>()
  #isEnforced = false
  #fingerprint = 0
  readonly violations: Array<Violation> = []
  /** How often two servers answered while that was only counted, and when that was last, in milliseconds. */
  readonly dual = { count: 0, lastAt: 0 }
  answers = 0
  takeOvers = 0
  /** Everything that has happened, a line each, if lines are kept. */
  readonly lines: Array<string> = []

  constructor(now: () => number, { keepLines }: { readonly keepLines: boolean }) {
    this.#now = now
    this.#keepLines = keepLines
  }

  /** A number that two histories have in common only if they are the same. */
  get fingerprint(): number {
    return this.#fingerprint >>> 0
  }

  note(text: string): void {
    const line = `${this.#now().toFixed(3)} ${text}`
    for (let i = 0; i < line.length; i++) {
      this.#fingerprint = Math.imul(this.#fingerprint ^ line.charCodeAt(i), 0x01000193)
    }
    if (this.#keepLines) {
      this.lines.push(line)
    }
  }

  violate(property: Violation["property"], detail: string): void {
    this.note(`VIOLATION ${property}: ${detail}`)
    this.violations.push({ property, at: this.#now(), detail })
  }

  /** A server is in another state. */
  onState(role: Role, state: State | "down"): void {
    this.note(`${role} ${state}`)
    this.takeOvers += state === "ACTIVE" ? 1 : 0
    this.#servers[role].state = state
    Challenge.reset(this.#servers[role])
  }

  onPause(role: Role, isPaused: boolean): void {
    this.note(`${role} ${isPaused ? "is paused" : "is resumed"}`)
    this.#servers[role].isPaused = isPaused
  }

  onAnswer(role: Role): void {
    this.answers++
    this.note(`${role} answers`)
    this.#answered.add(role)
  }

  /** Checks the answers since the last check. To be called when everything rests. */
  check(): void {
    for (const role of this.#answered) {
      const peerRole = peerOf(role)
      const server = this.#servers[role]
      const peer = this.#servers[peerRole]
      if (Challenge.answer(server, peer, server.state === "ACTIVE" || server.state === "PRIMARY")) {
        this.#onDual(`${role} answered before and after the ${peerRole} did`)
      }
      if (peer.state === "ACTIVE" && !peer.isPaused && server.state !== "down") {
        this.#onDual(`${role} answered while the ${peerRole} was active`)
      }
    }
    this.#answered.clear()
  }

  /** From now on two servers that answer are a violation. Before that they are only counted. */
  enforce(): void {
    this.#isEnforced = true
  }

  #onDual(detail: string): void {
    if (this.#isEnforced) {
      this.violate("DualAnswer", detail)
    } else {
      this.dual.count++
      this.dual.lastAt = this.#now()
    }
  }
}
