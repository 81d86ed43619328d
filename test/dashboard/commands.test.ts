import { assert, describe, it } from "@effect/vitest"
import { overrideOf, panelOf, questionOf, resultOf } from "../../src/dashboard/page/commands.ts"
import * as Warnings from "../../src/status/Warnings.ts"
import { statusOf, witnessedStatusOf } from "./fakeStatus.ts"

describe("commands", () => {
  it("the active server can switch over, the other one can be promoted", () => {
    const active = panelOf(statusOf("primary"))
    assert.isTrue(active.isActive)
    assert.isUndefined(active.switchoverLink)
    const passive = panelOf(statusOf("backup"))
    assert.isFalse(passive.isActive)
    assert.deepStrictEqual(passive.switchoverLink, { text: "page of the primary", href: "http://10.0.0.1:8001/" })
  })

  it("an address that is not HTTP is no link", () => {
    for (const peerHttp of ["javascript:alert(1)", "data:text/html,x", "", "10.0.0.1:8001", null]) {
      assert.isUndefined(panelOf(statusOf("backup", { peerHttp })).switchoverLink)
    }
  })

  it("a paused server can be resumed, a limited one cannot", () => {
    const at = "2026-01-31T12:59:50.000Z"
    const paused = { kind: "paused", reason: "new switch", since: at } as const
    assert.isTrue(panelOf(statusOf("primary", { takeoverBlock: paused })).isPaused)
    assert.isFalse(panelOf(statusOf("primary", { takeoverBlock: { kind: "limited", until: at } })).isPaused)
  })

  it("what changes the active server is confirmed first", () => {
    const isConfirmed = (["switchover", "promote", "pause", "resume"] as const).map((command) =>
      questionOf(command, statusOf("primary")) !== undefined
    )
    assert.deepStrictEqual(isConfirmed, [true, true, false, false])
  })

  it("with a witness a promotion depends on the right to serve, not on the silence of the peer", () => {
    const silent = /if its peer is silent or hands over\.$/
    assert.match(panelOf(statusOf("backup")).promoteHint, silent)
    assert.match(questionOf("promote", statusOf("backup"))!.text, silent)
    const right = /if the witness or its peer gives it the right to serve\.$/
    assert.match(panelOf(witnessedStatusOf("backup")).promoteHint, right)
    assert.match(questionOf("promote", witnessedStatusOf("backup"))!.text, right)
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
})
