/** The runbooks, step by step: commands are taken from the page, and a shell runs them as an operator does. */
import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import { commandsIn, section } from "../support/documents.ts"
import { assertNoLine, kill, start as startServer, untilAnswered } from "../support/pair.ts"
import type { Endpoints, Process, Role } from "../support/processes.ts"
import { freeAddresses, freeEndpoints, other } from "../support/processes.ts"
import type { Shell } from "../support/shell.ts"
import { makeShell } from "../support/shell.ts"
import { makeSteadyClient } from "../support/steadyClient.ts"
import { safeHeartbeatMillis } from "../support/times.ts"
import { temporaryFile } from "./readme.ts"

const page = "src/docs/operate/runbooks.md"

const active = /ready as active/
const passive = /ready as passive/

interface Place extends Shell {
  readonly at: Endpoints
  readonly http: { readonly [R in Role]: string }
  /** The file with the token of the servers. */
  readonly token: string
}

/** Addresses, a token, and a shell of an operator. */
const makePlace = Effect.gen(function*() {
  const token = "the-token-of-this-test"
  const place: Place = {
    at: yield* freeEndpoints,
    http: yield* freeAddresses,
    token: yield* temporaryFile("token", `${token}\n`),
    ...yield* makeShell({ BSTAR_HTTP_TOKEN: token })
  }
  return place
})

const start = (role: Role, { at, http, token }: Place): Effect.Effect<Process, unknown, Scope.Scope> =>
  startServer(role, at, safeHeartbeatMillis, {
    args: ["--http", http[role], "--peer-http", http[other(role)], "--http-token-file", token]
  })

/** Starts a pair of which the primary is active. */
const startPair = (place: Place) =>
  Effect.gen(function*() {
    const primary = yield* start("primary", place)
    const backup = yield* start("backup", place)
    yield* primary.waitForLine(active)
    yield* backup.waitForLine(passive)
    return { primary, backup }
  })

/** Stops a server, as `systemctl stop` does. */
const stop = (server: Process) =>
  Effect.gen(function*() {
    yield* server.kill("SIGTERM")
    assert.deepStrictEqual(yield* server.exit, { code: 0, signal: null }, server.stdout() + server.stderr())
  })

/** The only command of a runbook that begins so, for an operator who sends it to one of the servers. */
const commandOf = (title: string, beginning: string, http: string): string => {
  const [command, another] = commandsIn(section(page, title)).filter((command) => command.startsWith(beginning))
  assert.isTrue(command !== undefined && another === undefined, `${title}: one command that begins with ${beginning}`)
  return command!.replace(/ H(?= |$)/, ` ${http}`)
}

const status = (http: string) => commandOf("First look", "bstar status", http)

describe("the runbooks", () => {
  it.scopedLive("Upgrade: the passive server, a switchover, the other server: clients go on, and the pair is healthy", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const { http, succeed, untilSuccess } = place
      const { backup, primary } = yield* startPair(place)
      const client = yield* makeSteadyClient(place.at)
      yield* untilSuccess(commandOf("Upgrade", "bstar status", http.backup))
      yield* client.continues

      yield* stop(backup)
      const newBackup = yield* start("backup", place)
      yield* newBackup.waitForLine(passive)
      yield* untilSuccess(status(http.backup))
      yield* client.continues

      // Either server may be asked, also the one that stands by.
      assert.match(
        yield* succeed(commandOf("Upgrade", "bstar switchover", http.backup)),
        /clients waited for \d+ ms\n.*backup.* is active now\n$/
      )
      yield* client.continues
      yield* stop(primary)
      yield* client.continues
      const newPrimary = yield* start("primary", place)
      yield* newPrimary.waitForLine(passive)
      yield* untilSuccess(status(http.primary))

      yield* succeed(commandOf("Upgrade", "bstar switchover", http.primary))
      yield* newPrimary.waitForLine(active)
      yield* client.continues
      yield* untilSuccess(status(http.primary))
    }))

  it.scopedLive("Upgrade: a longer maintenance: no takeover between pause and resume, although the active server is lost", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const { http, succeed, untilSuccess } = place
      const { backup, primary } = yield* startPair(place)
      const client = yield* makeSteadyClient(place.at)
      yield* succeed(commandOf("Upgrade", "bstar pause", http.primary).replace(" R", " maintenance"))
      yield* client.continues

      yield* kill(primary)
      // The client's requests are votes. No server answers them.
      yield* backup.waitForLine(
        "W: votes are rejected although the peer is silent: paused by an operator (maintenance)"
      )
      yield* untilSuccess(`${status(http.backup)}; test $? -eq 2`)
      assertNoLine(backup, active)
      const resume = yield* place.start(commandOf("Upgrade", "bstar resume", http.backup))
      // The other server is down, so that not both resume.
      assert.strictEqual((yield* resume.exit).code, 1)
      assert.match(resume.stdout(), /^backup .*: resumed/)
      yield* backup.waitForLine(active)
      yield* client.continues
      const again = yield* start("primary", place)
      yield* again.waitForLine(passive)
      yield* untilSuccess(status(http.primary))
      yield* client.continues
    }))

  it.scopedLive("Key rotation: the token is replaced on both servers: clients go on, and commands need the new one", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const { http, succeed, token, untilSuccess } = place
      const { backup, primary } = yield* startPair(place)
      const client = yield* makeSteadyClient(place.at)
      yield* client.continues

      fs.writeFileSync(token, "another-token-of-this-test\n")
      yield* stop(backup)
      const newBackup = yield* start("backup", place)
      yield* newBackup.waitForLine(passive)
      yield* untilSuccess(status(http.backup))
      yield* client.continues
      yield* stop(primary)
      yield* newBackup.waitForLine(active)
      const newPrimary = yield* start("primary", place)
      yield* newPrimary.waitForLine(passive)
      yield* client.continues
      yield* untilSuccess(status(http.primary))

      const switchover = commandOf("Upgrade", "bstar switchover", http.primary)
      const withOldToken = yield* place.start(switchover)
      assert.strictEqual((yield* withOldToken.exit).code, 1)
      assert.match(withOldToken.stderr(), /token/)
      yield* succeed(`${switchover} --token-file ${token}`)
      yield* newPrimary.waitForLine(active)
      yield* client.continues
      yield* untilSuccess(status(http.primary))
      yield* untilSuccess(`${commandOf("First look", "bstar doctor", http.primary)} --token-file ${token}`)
    }))

  it.scopedLive("Double failure: both servers are started: the pair is healthy again", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const pair = yield* startPair(place)
      const client = yield* makeSteadyClient(place.at)
      yield* client.continues
      yield* Effect.forEach(
        [pair.primary, pair.backup],
        (server) => Effect.zipRight(server.kill("SIGKILL"), server.exit)
      )
      yield* start("backup", place)
      yield* start("primary", place)
      yield* client.continues
      yield* place.untilSuccess(status(place.http.backup))
    }))

  it.scopedLive("Double failure: only the primary can be started: it answers", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      yield* start("primary", place)
      yield* untilAnswered(place.at.primary.frontend)
    }))

  it.scopedLive("Double failure: only the backup can be started: it answers when it is promoted, and the primary stands by later", () =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const backup = yield* start("backup", place)
      const client = yield* makeSteadyClient(place.at)
      yield* backup.waitForLine(/votes are rejected/)
      yield* place.succeed(commandOf("Double failure", "bstar promote", place.http.backup))
      yield* client.continues
      const primary = yield* start("primary", place)
      yield* primary.waitForLine(passive)
      yield* client.continues
      yield* place.untilSuccess(status(place.http.backup))
    }))

  it.scopedLive("It fails over again and again: pause stops takeovers, history has their causes, and resume allows them", () =>
    Effect.gen(function*() {
      const title = "It fails over again and again"
      const place = yield* makePlace
      const { http, succeed, untilSuccess } = place
      const { backup, primary } = yield* startPair(place)
      const client = yield* makeSteadyClient(place.at)
      yield* client.continues
      yield* primary.kill("SIGKILL")
      yield* backup.waitForLine(active)
      yield* primary.exit
      const again = yield* start("primary", place)
      yield* again.waitForLine(passive)
      yield* client.continues
      yield* untilSuccess(status(http.primary))

      yield* succeed(commandOf(title, "bstar pause", http.primary))
      yield* client.continues
      assert.include(yield* succeed(commandOf(title, "bstar history", http.primary)), "the peer is down")
      yield* succeed(commandOf(title, "bstar resume", http.primary))
      yield* untilSuccess(status(http.primary))
      yield* backup.kill("SIGKILL")
      yield* again.waitForLine(active)
      yield* client.continues
    }))
})
