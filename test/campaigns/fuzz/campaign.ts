/**
 * Attacks upon a pair of real processes, one after the other. After each of them the pair has to serve as before.
 */
import { Effect, FastCheck, Option } from "effect"
import type { Scope } from "effect"
import * as zmq from "zeromq"
import { BinaryStarClient, Frames, ZmqClientLink } from "../../../src/index.ts"
import * as proc from "../../bench/proc.ts"
import type { Role } from "../../support/processes.ts"
import { freeEndpoints, roles, socket } from "../../support/processes.ts"
import type { Pair } from "../chaos/nodes.ts"
import { makePair, program, whole } from "../chaos/nodes.ts"
import type { Ports } from "./attacks.ts"
import { attack, carryOut, tell } from "./attacks.ts"
import * as Zmtp from "./zmtp.ts"

export interface Options {
  readonly seed: number
  /** Ends after so many attacks, or after so long. */
  readonly attacks: number
  readonly minutes: number
  /** Of what there may be several in an attack, as many at the most. */
  readonly most: number
}

export interface Result {
  readonly attacks: number
  /** What must not be: which attack, and what came of it. */
  readonly faults: ReadonlyArray<string>
  /** Lines of the logs by how often they were written; numbers in them are left out. */
  readonly lines: ReadonlyMap<string, number>
  /** MiB before and in the end, of each server. */
  readonly memory: { readonly [R in Role]: readonly [before: number, after: number] }
  readonly files: { readonly [R in Role]: readonly [before: number, after: number] }
}

/** Otherwise the C library keeps for itself what it was given back. README tells operators the same. */
export const givesBack = { MALLOC_TRIM_THRESHOLD_: "131072" }

const heartbeat = "250 millis"

interface Target {
  readonly pair: Pair
  readonly at: { readonly [R in Role]: Ports }
}

/** A pair of proxies, which have every port that there is, and a worker that answers with what it was asked. */
const makeTarget: Effect.Effect<Target, never, Scope.Scope> = Effect.gen(function*() {
  const backends = yield* freeEndpoints
  const moreOf = (role: Role) => ({ backend: backends[role].frontend, http: backends[role].state })
  const behind = (role: Role) => [
    ...["--backend", moreOf(role).backend, "--http", `127.0.0.1:${Zmtp.portOf(moreOf(role).http)}`],
    // Little enough that endless messages come to it.
    ...["--handshake-timeout", "500 millis", "--ping", "1 second", "--max-memory", "128"]
  ]
  const pair = yield* makePair({
    policy: "hardened",
    heartbeat,
    program,
    network: undefined,
    before: ["proxy"],
    env: givesBack,
    behind: { primary: behind("primary"), backup: behind("backup") }
  })
  const worker = yield* socket(() => new zmq.Reply({ linger: 0 }))
  roles.forEach((role) => worker.connect(moreOf(role).backend))
  const work = async () => {
    for await (const body of worker) {
      await worker.send(body)
    }
  }
  work().catch((error: unknown) => {
    if (!worker.closed) {
      throw error
    }
  })
  const at = (role: Role): Ports => ({ ...pair.at[role], ...moreOf(role) })
  return { pair, at: { primary: at("primary"), backup: at("backup") } }
})

const limitMillis = 20_000

/** What is wrong with a pair, if anything is. */
const examine = ({ pair }: Target, request: BinaryStarClient.BinaryStarClient["Type"]["request"], number: number) =>
  Effect.gen(function*() {
    const body = `request ${number}`
    const reply = yield* request(body).pipe(
      Effect.map(Frames.toString),
      Effect.catchAll((error) => Effect.succeed(error.message))
    )
    const isWhole = yield* whole(pair, 10, limitMillis)
    return [
      ...reply === body ? [] : [`${body} got: ${reply}`],
      ...isWhole ? [] : ["the pair is not whole"],
      ...pair.takeExits().map(({ how, role, stderr }) => `${role} has ended: ${how} ${stderr}`)
    ]
  })

const measure = (pair: Pair, figure: (pid: number) => number) => ({
  primary: figure(pair.nodes.primary.pid()),
  backup: figure(pair.nodes.backup.pid())
})

const between = (before: { readonly [R in Role]: number }, after: { readonly [R in Role]: number }) => ({
  primary: [before.primary, after.primary] as const,
  backup: [before.backup, after.backup] as const
})

/** Lets out what has to go within the time that half a handshake may take. */
const settled = Effect.sleep("2 seconds")

export const play = (options: Options, note: (line: string) => void = () => {}): Effect.Effect<Result> =>
  Effect.gen(function*() {
    const target = yield* makeTarget
    const { pair } = target
    yield* whole(pair, 100, limitMillis)
    const { request } = yield* BinaryStarClient.make({
      servers: roles.map((role) => pair.at[role].frontend),
      timeout: "20 seconds"
    }).pipe(Effect.provide(ZmqClientLink.layer), Effect.orDie)
    const faults: Array<string> = []
    const lines = new Map<string, number>()
    const read = () =>
      pair.takeLines().forEach(({ text }) => {
        const line = text.replaceAll(/\d+/g, "N")
        lines.set(line, (lines.get(line) ?? 0) + 1)
        if (/\n|^\s+at /.test(text)) {
          faults.push(`a log entry of several lines: ${text}`)
        }
      })
    faults.push(...yield* examine(target, request, 0))
    const [memory, files] = [measure(pair, proc.residentMebibytes), measure(pair, proc.openFiles)]
    const until = performance.now() + options.minutes * 60_000
    let count = 0
    while (count < options.attacks && performance.now() < until && faults.length === 0) {
      const [drawn] = FastCheck.sample(attack(options.most), { seed: options.seed + count, numRuns: 1 })
      const role = roles[(options.seed + count++) % 2]!
      yield* carryOut(drawn!, target.at[role]).pipe(
        Effect.timeoutOption("30 seconds"),
        Effect.tap((done) => Effect.sync(() => Option.isNone(done) && note(`not done in time: ${tell(drawn!)}`))),
        Effect.zipRight(examine(target, request, count)),
        Effect.map((found) =>
          faults.push(...found.map((fault) => `seed ${options.seed + count - 1}, ${role}: ${tell(drawn!)}: ${fault}`))
        ),
        Effect.scoped
      )
      read()
      if (count % 100 === 0) {
        note(`${count} attacks, ${faults.length} faults, ${JSON.stringify(measure(pair, proc.residentMebibytes))} MiB`)
      }
    }
    yield* settled
    faults.push(...yield* examine(target, request, count + 1))
    read()
    return {
      attacks: count,
      faults,
      lines,
      memory: between(memory, measure(pair, proc.residentMebibytes)),
      files: between(files, measure(pair, proc.openFiles))
    }
  }).pipe(Effect.scoped)
