/**
 * Attacks upon a pair of real processes, one after the other. The pair has to serve after each of them.
 */
import { Effect, FastCheck, Option } from "effect"
import type { Scope } from "effect"
import * as zmq from "zeromq"
import { BinaryStarClient, Frames, ZmqClientLink } from "../../../src/index.ts"
import * as proc from "../../bench/proc.ts"
import type { Role } from "../../support/processes.ts"
import { freeEndpoints, roles, socket } from "../../support/processes.ts"
import { eventTimeout } from "../../support/times.ts"
import type { Pair } from "../chaos/nodes.ts"
import { makePair, program, whole } from "../chaos/nodes.ts"
import type { Ports } from "./attacks.ts"
import { attack, carryOut, format } from "./attacks.ts"
import * as Zmtp from "./zmtp.ts"

export interface Options {
  readonly seed: number
  /** The run ends after this number of attacks, or of minutes. */
  readonly attacks: number
  readonly minutes: number
  /** The largest count within an attack, such as connections. */
  readonly most: number
}

export interface Result {
  readonly attacks: number
  /** Attacks after which the pair did not serve, and the symptom. */
  readonly faults: ReadonlyArray<string>
  /** Log lines, with numbers replaced, and how often they were written. */
  readonly lines: ReadonlyMap<string, number>
  /** MiB of each server, at the beginning and at the end. */
  readonly memory: { readonly [R in Role]: readonly [before: number, after: number] }
  readonly files: { readonly [R in Role]: readonly [before: number, after: number] }
}

/** Otherwise the C library keeps freed memory. The documentation recommends the same to operators. */
export const givesBack = { MALLOC_TRIM_THRESHOLD_: "131072" }

const heartbeat = "250 millis"

interface Target {
  readonly pair: Pair
  readonly at: { readonly [R in Role]: Ports }
}

/** A pair of proxies, which have every kind of port, and a worker that echoes requests. */
const makeTarget: Effect.Effect<Target, never, Scope.Scope> = Effect.gen(function*() {
  const backends = yield* freeEndpoints
  const moreOf = (role: Role) => ({ backend: backends[role].frontend, http: backends[role].state })
  const behind = (role: Role) => [
    ...["--backend", moreOf(role).backend, "--http", `127.0.0.1:${Zmtp.portOf(moreOf(role).http)}`],
    // So small that endless messages reach the limit.
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

const limitMillis = 60_000

/** The symptoms of a pair that does not serve. */
const examine = ({ pair }: Target, request: BinaryStarClient.BinaryStarClient["Type"]["request"], number: number) =>
  Effect.gen(function*() {
    const body = `request ${number}`
    const reply = yield* request(body).pipe(
      Effect.map(Frames.toString),
      Effect.catchAll((error) => Effect.succeed(error.message))
    )
    const isWhole = yield* whole(pair, 10, limitMillis)
    return [
      ...reply === body ? [] : [`${body} received: ${reply}`],
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

/** Connections with half a handshake are closed within this time. */
const handshakesExpired = Effect.sleep("2 seconds")

export const play = (options: Options, report: (line: string) => void = () => {}): Effect.Effect<Result> =>
  Effect.gen(function*() {
    const target = yield* makeTarget
    const { pair } = target
    yield* whole(pair, 100, limitMillis)
    const { request } = yield* BinaryStarClient.make({
      servers: roles.map((role) => pair.at[role].frontend),
      timeout: eventTimeout
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
        Effect.tap((done) => Effect.sync(() => Option.isNone(done) && report(`not done in time: ${format(drawn!)}`))),
        Effect.zipRight(examine(target, request, count)),
        Effect.map((found) =>
          faults.push(...found.map((fault) => `seed ${options.seed + count - 1}, ${role}: ${format(drawn!)}: ${fault}`))
        ),
        Effect.scoped
      )
      read()
      if (count % 100 === 0) {
        report(
          `${count} attacks, ${faults.length} faults, ${JSON.stringify(measure(pair, proc.residentMebibytes))} MiB`
        )
      }
    }
    yield* handshakesExpired
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
