import { assert, describe, it } from "@effect/vitest"
import { checkOf, overrideOf, panelOf, questionOf, resultOf } from "../../src/dashboard/page/commands.ts"
import { peerPageOf } from "../../src/dashboard/page/links.ts"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import type { PairStatus } from "../../src/status/Status.ts"
import * as Warnings from "../../src/status/Warnings.ts"
import { pairStatusOf, statusOf, witnessedStatusOf } from "./fakeStatus.ts"

const at = "2026-01-31T12:59:50.000Z"
const paused = { kind: "paused", reason: "new switch", since: at } as const

const buttonsOf = (status: PairStatus) => panelOf(pairOf(status, 0), true).buttons

/** The pair as the backup sees it. */
const fromBackup = (self = statusOf("backup")) => pairStatusOf(self, statusOf("primary"))

describe("commands", () => {
  it("a switchover is sent to the active server: at once, or by this one", () => {
    assert.deepInclude(buttonsOf(pairStatusOf()).switchover, {
      target: "primary",
      path: "./switchover",
      isEnabled: true,
      hint: "The primary hands over to the backup without losing a request."
    })
    assert.deepInclude(buttonsOf(fromBackup()).switchover, {
      target: "primary",
      path: "./peer/switchover",
      isEnabled: true
    })
    const byHeartbeats = { self: statusOf("backup"), peer: { status: null, error: "no response", ageMillis: null } }
    assert.deepInclude(buttonsOf(byHeartbeats).switchover, { path: "./peer/switchover", isEnabled: true })
  })

  it("without an active server, or without its address, there is no switchover", () => {
    assert.deepInclude(buttonsOf({ self: statusOf("backup", { peerHttp: null }), peer: null }).switchover, {
      isEnabled: false,
      hint: "The primary is active, and this server does not know its address (--peer-http)."
    })
    const passive = statusOf("primary", { state: "PASSIVE", answers: false })
    assert.deepInclude(buttonsOf(pairStatusOf(passive)).switchover, {
      isEnabled: false,
      hint: "No server is active."
    })
  })

  it("a server that is not active can be promoted", () => {
    assert.isFalse(buttonsOf(pairStatusOf()).promote.isEnabled)
    assert.deepInclude(buttonsOf(fromBackup()).promote, { target: "backup", path: "./promote", isEnabled: true })
  })

  it("the server that would take over is paused, and a paused one resumed", () => {
    assert.deepInclude(buttonsOf(pairStatusOf()).pause, { target: "backup", path: "./peer/pause", isShown: true })
    assert.deepInclude(buttonsOf(fromBackup()).pause, { target: "backup", path: "./pause", isShown: true })
    assert.isFalse(buttonsOf(pairStatusOf()).resume.isShown)

    const pausedBackup = buttonsOf(pairStatusOf(undefined, statusOf("backup", { takeoverBlock: paused })))
    assert.isFalse(pausedBackup.pause.isShown)
    assert.deepInclude(pausedBackup.resume, { target: "backup", path: "./peer/resume", isShown: true })

    const pausedPrimary = buttonsOf(pairStatusOf(statusOf("primary", { takeoverBlock: paused })))
    assert.isTrue(pausedPrimary.pause.isShown)
    assert.deepInclude(pausedPrimary.resume, { target: "primary", path: "./resume", isShown: true })

    const limited = buttonsOf(pairStatusOf(statusOf("primary", { takeoverBlock: { kind: "limited", until: at } })))
    assert.isFalse(limited.resume.isShown)
  })

  it("the active server is paused itself if the status of its peer is not known", () => {
    const alone = { self: statusOf("primary"), peer: { status: null, error: "no response", ageMillis: null } }
    assert.deepInclude(buttonsOf(alone).pause, { target: "primary", path: "./pause" })
  })

  it("no command is possible while the connection is lost", () => {
    for (const status of [pairStatusOf(), fromBackup()]) {
      const { buttons, hint } = panelOf(pairOf(status, 0), false)
      assert.deepStrictEqual(Object.values(buttons).filter(({ isEnabled }) => isEnabled), [])
      assert.match(hint, /no commands while the connection is lost/)
    }
  })

  it("what changes the active server is confirmed first", () => {
    const isConfirmed = (["switchover", "promote", "pause", "resume"] as const).map((command) =>
      questionOf(command, "primary", statusOf("primary")) !== undefined
    )
    assert.deepStrictEqual(isConfirmed, [true, true, false, false])
  })

  it("with a witness a promotion depends on the right to serve, not on the silence of the peer", () => {
    const silent = /if its peer is silent or hands over\.$/
    assert.match(buttonsOf(fromBackup()).promote.hint, silent)
    assert.match(questionOf("promote", "backup", statusOf("backup"))!.text, silent)
    const right = /if the witness or its peer gives it the right to serve\.$/
    assert.match(buttonsOf(fromBackup(witnessedStatusOf("backup"))).promote.hint, right)
    assert.match(questionOf("promote", "backup", witnessedStatusOf("backup"))!.text, right)
  })

  it("a promotion without the witness is offered with the warning of the command, where a majority is missing", () => {
    assert.include(overrideOf("backup").text, Warnings.withoutWitness)
    assert.isTrue(resultOf(409, { _tag: "Conflict", error: "not promoted", reason: "NoMajority" }).isMinority)
    assert.isFalse(resultOf(409, { _tag: "Conflict", error: "not promoted", reason: "PeerAlive" }).isMinority)
    assert.isFalse(resultOf(200, { message: "this server is active" }).isMinority)
  })

  it("a response of 401 or 404 makes the page forget the token", () => {
    assert.deepStrictEqual(resultOf(200, { message: "paused" }), {
      level: "good",
      text: "paused",
      isTokenRejected: false,
      isMinority: false
    })
    assert.deepInclude(resultOf(401, { error: "no" }), { text: "The token is wrong.", isTokenRejected: true })
    assert.deepInclude(resultOf(404, null), { level: "critical", isTokenRejected: true })
    assert.deepInclude(resultOf(409, { error: "the peer is silent" }), {
      text: "the peer is silent",
      isTokenRejected: false
    })
    assert.deepInclude(resultOf(500, null), { text: "Rejected (HTTP status 500)." })
  })

  it("a token is accepted if the server finds fault with the body alone", () => {
    assert.isUndefined(checkOf(400, { error: "body" }))
    assert.deepInclude(checkOf(401, { error: "no" }), { level: "critical", text: "The token is wrong." })
    assert.match(checkOf(404, null)!.text, /accepts no commands/)
    assert.strictEqual(checkOf(403, { error: "commands of a page at x are rejected" })?.level, "critical")
  })

  it("an address that is not HTTP is no link", () => {
    assert.deepStrictEqual(peerPageOf(statusOf("backup")), { role: "primary", href: "http://10.0.0.1:8001/" })
    for (const peerHttp of ["javascript:alert(1)", "data:text/html,x", "", "10.0.0.1:8001", null]) {
      assert.isUndefined(peerPageOf(statusOf("backup", { peerHttp })))
    }
  })
})
