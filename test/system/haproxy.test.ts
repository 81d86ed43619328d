import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readyAsActive, readyAsPassive, start as startServer } from "../support/pair.ts"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { addressOf, dealer, freeEndpoints, other, roles, run } from "../support/processes.ts"
import { safeHeartbeatMillis } from "../support/times.ts"
import { block, canRun, temporaryFile } from "./readme.ts"

const isPossible = canRun("haproxy")

if (!isPossible) {
  // eslint-disable-next-line no-console
  console.warn("skipped: haproxy is not there (apt-get install haproxy)")
}

const portOf = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf(":") + 1)

interface Place {
  readonly at: Endpoints
  readonly http: { readonly [R in Role]: string }
  /** The endpoint of HAProxy for clients. */
  readonly front: string
}

const place = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const more = yield* freeEndpoints
  const http = { primary: addressOf(more.primary.frontend), backup: addressOf(more.backup.frontend) }
  return { at, http, front: more.primary.state } satisfies Place
})

/** HAProxy with the configuration in the documentation, in front of this pair. */
const haproxy = ({ at, front, http }: Place) =>
  Effect.gen(function*() {
    const config = block("haproxy", "src/docs/operate/haproxy.md")
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

const start = (role: Role, { at, http }: Place) =>
  startServer(role, at, safeHeartbeatMillis, { args: ["--http", http[role]] })

/** A client with one address. It repeats a request until it is answered, as every client of a pair does. */
const makeClient = (front: string) =>
  Effect.map(dealer(front), ({ replies, request }) => {
    let next = 0
    return Effect.suspend(() => {
      const body = `request ${next++}`
      const isReply = ({ frames }: { readonly frames: ReadonlyArray<Buffer> }) => String(frames[1]) === body
      return Effect.raceFirst(
        replies.find(isReply, replies.entries.length),
        Effect.forever(Effect.delay(request("", body), "50 millis"))
      )
    })
  })

const ready = { primary: readyAsActive, backup: readyAsPassive } as const

describe.skipIf(!isPossible)("HAProxy in front of a pair", () => {
  it.scopedLive(
    "HAProxy follows the active server after kill -9, after SIGTERM, and to a restarted server",
    () =>
      Effect.gen(function*() {
        const here = yield* place
        const servers: { [R in Role]: Process } = {
          primary: yield* start("primary", here),
          backup: yield* start("backup", here)
        }
        yield* Effect.forEach(roles, (role) => servers[role].waitForLine(ready[role]))
        yield* haproxy(here)
        const request = yield* makeClient(here.front)
        yield* request
        let active: Role = "primary"
        for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
          yield* servers[active].kill(signal)
          yield* servers[active].exit
          // The request is a vote.
          yield* request
          yield* servers[other(active)].waitForLine(/ready as active$/)
          servers[active] = yield* start(active, here)
          yield* servers[active].waitForLine(/ready as passive$/)
          yield* request
          active = other(active)
        }
        // No later client was connected to the passive server.
        const passive = servers[other(active)]
        for (let client = 0; client < 5; client++) {
          yield* yield* makeClient(here.front)
        }
        assert.notMatch(passive.stdout(), /ready as active/)
        assert.strictEqual(yield* votesOf(here.http[other(active)]), 0)
      })
  )

  it.scopedLive("HAProxy closes the connections to a server that is passive after a stall", () =>
    Effect.gen(function*() {
      const here = yield* place
      const servers = { primary: yield* start("primary", here), backup: yield* start("backup", here) }
      yield* Effect.forEach(roles, (role) => servers[role].waitForLine(ready[role]))
      yield* haproxy(here)
      const request = yield* makeClient(here.front)
      yield* request
      // The primary stalls and becomes passive. Its connections stay open.
      yield* servers.primary.kill("SIGSTOP")
      yield* request
      yield* servers.primary.kill("SIGCONT")
      yield* servers.primary.waitForLine(/ready as passive$/)
      yield* request
      yield* servers.backup.waitForLine(/failover successful/)
    }))
})

/** The number of votes that a server has received. */
const votesOf = (http: string) =>
  Effect.promise(async () => {
    const status = await (await fetch(`http://${http}/status`)).json() as { counters: { votes: number } }
    return status.counters.votes
  })
