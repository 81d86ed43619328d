/**
 * Who answered what when, and whether that was right.
 *
 * @since 0.1.0
 */
import type { Role, State } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import * as Challenge from "./challenge.ts"

/**
 * A promise that was broken.
 *
 * - `DualAnswer`: a server answered while the other was answering too.
 * - `DualAccept`: both servers would accept a request at one instant.
 * - `Ended`: a server ended because of what it heard.
 * - `WrongReply`: a client got a reply that is not to its request.
 * - `SentTwice`: a request that must not be sent twice was executed twice, though the network doubles nothing.
 * - `NoService`: nobody answered although both servers had been well for long enough.
 * - `CommandLost`: an operator's command was neither done nor rejected.
 *
 * @since 0.1.0
 * @category models
 */
export interface Violation {
  readonly promise:
    | "DualAnswer"
    | "DualAccept"
    | "Ended"
    | "WrongReply"
    | "SentTwice"
    | "NoService"
    | "CommandLost"
  readonly at: number
  readonly detail: string
}

/**
 * The history of a run, as it is being made.
 *
 * @since 0.1.0
 * @category models
 */
export interface History {
  /** A server is in another state. */
  readonly moved: (role: Role, state: State | "down") => void
  /** A server stands still, or goes on. */
  readonly paused: (role: Role, isPaused: boolean) => void
  /** A server answers. */
  readonly answered: (role: Role) => void
  /** Something else that belongs into the history. */
  readonly note: (what: string) => void
  readonly broken: (promise: Violation["promise"], detail: string) => void
  /** To be called when everything rests: looks at the answers since the last time. */
  readonly look: () => void
  /** From now on two answers count. Before that they are only measured. */
  readonly judge: () => void
  readonly violations: ReadonlyArray<Violation>
  /** How often two answered while that did not count, and when that was last, in milliseconds. */
  readonly dual: { readonly count: number; readonly last: number }
  readonly answers: number
  readonly takeOvers: number
  /** A number that two histories have in common only if they are the same. */
  readonly fingerprint: number
  /** All that has happened, a line each, where that was asked for. */
  readonly lines: ReadonlyArray<string>
}

interface Server extends Challenge.Challenge {
  state: State | "down"
  isPaused: boolean
}

/**
 * Makes an empty history.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (now: () => number, options: { readonly keepLines: boolean }): History => {
  const server = (): Server => ({ state: "down", isPaused: false, ...Challenge.make() })
  const servers: { readonly [R in Role]: Server } = { primary: server(), backup: server() }
  const violations: Array<Violation> = []
  const lines: Array<string> = []
  const dual = { count: 0, last: 0 }
  const fresh = new Set<Role>()
  let isJudged = false
  let answers = 0
  let takeOvers = 0
  let fingerprint = 0

  const note = (what: string) => {
    const line = `${now().toFixed(3)} ${what}`
    for (let i = 0; i < line.length; i++) {
      fingerprint = Math.imul(fingerprint ^ line.charCodeAt(i), 0x01000193)
    }
    if (options.keepLines) {
      lines.push(line)
    }
  }

  const broken = (promise: Violation["promise"], detail: string) => {
    note(`BROKEN ${promise}: ${detail}`)
    violations.push({ promise, at: now(), detail })
  }

  const answersTwice = (role: Role, detail: string) => {
    if (isJudged) {
      broken("DualAnswer", `${role} answered ${detail}`)
    } else {
      dual.count++
      dual.last = now()
    }
  }

  return {
    moved: (role, state) => {
      note(`${role} ${state}`)
      takeOvers += state === "ACTIVE" ? 1 : 0
      servers[role].state = state
      Challenge.reset(servers[role])
    },
    paused: (role, isPaused) => {
      note(`${role} ${isPaused ? "stands still" : "goes on"}`)
      servers[role].isPaused = isPaused
    },
    answered: (role) => {
      answers++
      note(`${role} answers`)
      fresh.add(role)
    },
    note,
    broken,
    look: () => {
      for (const role of fresh) {
        const one = servers[role]
        const two = servers[peerOf(role)]
        if (Challenge.answer(one, two, one.state === "ACTIVE" || one.state === "PRIMARY")) {
          answersTwice(role, `before and after the ${peerOf(role)} did`)
        }
        if (two.state === "ACTIVE" && !two.isPaused && one.state !== "down") {
          answersTwice(role, `while the ${peerOf(role)} was active`)
        }
      }
      fresh.clear()
    },
    judge: () => {
      isJudged = true
    },
    violations,
    dual,
    get answers() {
      return answers
    },
    get takeOvers() {
      return takeOvers
    },
    get fingerprint() {
      return fingerprint >>> 0
    },
    lines
  }
}
