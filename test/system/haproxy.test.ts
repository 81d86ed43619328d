import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { bstar, dealer, freeEndpoints, other, roles, run, serverArgs } from "../support/processes.ts"
import { block, canRun, temporaryFile } from "./readme.ts"

const isPossible = canRun("haproxy")

if (!isPossible) {
  // eslint-disable-next-line no-console
  console.warn("skipped: haproxy is not there (apt-get install haproxy)")
}

const addressOf = (endpoint: string): string => endpoint.slice("tcp://".length)
const portOf = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf(":") + 1)

interface Place {
  readonly at: Endpoints
  readonly http: { readonly [R in Role]: string }
  /** Where clients find HAProxy. */
  readonly front: string
}

const place = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const more = yield* freeEndpoints
  const http = { primary: addressOf(more.primary.frontend), backup: addressOf(more.backup.frontend) }
  return { at, http, front: more.primary.state } satisfies Place
})

/** HAProxy as the README has it, in front of this pair. */
const haproxy = ({ at, front, http }: Place) =>
  Effect.gen(function*() {
    const config = block("haproxy")
      .replaceAll("10.0.0.1:5001", addressOf(at.primary.frontend))
      .replaceAll("10.0.0.2:5002", addressOf(at.backup.frontend))
      .replaceAll("port 5011", `port ${portOf(http.primary)}`)
      .replaceAll("port 5012", `port ${portOf(http.backup)}`)
      .replace(":5000", addressOf(front))
    const file = yield* temporaryFile("haproxy.cfg", config)
    const check = yield* run("haproxy", ["-c", "-f", file])
    assert.deepStrictEqual(yield* check.exit, { code: 0, signal: null }, check.stderr())
    return yield* run("haproxy", ["-db", "-f", file])
  })

const start = (role: Role, { at, http }: Place): ReturnType<typeof bstar> =>
  bstar([...serverArgs(role, at, "400 millis"), "--policy", "hardened", "--http", http[role]])

/** A client that knows one address. It asks again until it has an answer, which is what any client of a pair has to do. */
const makeClient = (front: string) =>
  Effect.map(dealer(front), ({ ask, replies }) => {
    let next = 0
    return Effect.suspend(() => {
      const request = `request ${next++}`
      const isReply = ({ frames }: { readonly frames: ReadonlyArray<Buffer> }) => String(frames[1]) === request
      return Effect.raceFirst(
        replies.find(isReply, replies.entries.length),
        Effect.forever(Effect.delay(ask("", request), "50 millis"))
      )
    })
  })

const ready = { primary: /ready as active$/, backup: /ready as passive$/ } as const

describe.skipIf(!isPossible)("HAProxy in front of a pair", () => {
  it.scopedLive(
    "follows the active server: after kill -9, after SIGTERM, and to a server that was restarted",
    () =>
      Effect.gen(function*() {
        const here = yield* place
        const servers: { [R in Role]: Process } = {
          primary: yield* start("primary", here),
          backup: yield* start("backup", here)
        }
        yield* Effect.forEach(roles, (role) => servers[role].waitForLine(ready[role]))
        yield* haproxy(here)
        const ask = yield* makeClient(here.front)
        yield* ask
        let active: Role = "primary"
        for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
          yield* servers[active].kill(signal)
          yield* servers[active].exit
          // Its requests are the votes by which the other one takes over.
          yield* ask
          yield* servers[other(active)].waitForLine(/ready as active$/)
          servers[active] = yield* start(active, here)
          yield* servers[active].waitForLine(/ready as passive$/)
          yield* ask
          active = other(active)
        }
        // Nobody who came later was ever sent to the one that stands by.
        const passive = servers[other(active)]
        for (let client = 0; client < 5; client++) {
          yield* yield* makeClient(here.front)
        }
        assert.notMatch(passive.stdout(), /ready as active/)
        assert.strictEqual(yield* votesOf(here.http[other(active)]), 0)
      }),
    120_000
  )

  it.scopedLive("cuts the connections to a server that stood still and is passive", () =>
    Effect.gen(function*() {
      const here = yield* place
      const servers = { primary: yield* start("primary", here), backup: yield* start("backup", here) }
      yield* Effect.forEach(roles, (role) => servers[role].waitForLine(ready[role]))
      yield* haproxy(here)
      const ask = yield* makeClient(here.front)
      yield* ask
      // The primary stands still, and comes back as one that is passive: its connections are whole.
      yield* servers.primary.kill("SIGSTOP")
      yield* ask
      yield* servers.primary.kill("SIGCONT")
      yield* servers.primary.waitForLine(/ready as passive$/)
      yield* ask
      yield* servers.backup.waitForLine(/failover successful/)
    }), 120_000)
})

/** How many requests a server has had that it could not answer. */
const votesOf = (http: string) =>
  Effect.promise(async () => {
    const status = await (await fetch(`http://${http}/status`)).json() as { counters: { votes: number } }
    return status.counters.votes
  })
