import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Handler from "../../../src/member/Handler.ts"
import type { CrashEvidence } from "../../../src/protocol/StateMachine.ts"
import type { NodeOptions } from "../../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../../support/nodes.ts"
import { beforePeerTimeout } from "../../support/times.ts"
import { hardenedPair, peerDown } from "./support.ts"

describe("H7 crash evidence", () => {
  /** A passive backup and its primary, which can be made to go. */
  const startPassive = (options?: NodeOptions, policy: "classic" | "hardened" = "hardened") =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair(Handler.echo, policy, options)
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* peer.reports("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      return { backup, member, peer, links, crashPeer: Effect.zipRight(Scope.close(scope, Exit.void), settle) }
    })

  it.scoped("a passive server takes over on the next vote, not by itself", () =>
    Effect.gen(function*() {
      const { backup, member, crashPeer } = yield* startPassive()
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.request("too early"), undefined)
      yield* crashPeer
      assert.strictEqual(backup.log.at(-1), peerDown("primary"))
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(yield* backup.request("now"), "now")
      assert.strictEqual(backup.log.at(-1), "failover successful, ready as active")
    }))

  it.scoped("evidence is void once the peer sends a heartbeat again", () =>
    Effect.gen(function*() {
      const { backup, links, member, crashPeer } = yield* startPassive()
      yield* TestClock.adjust("1 millis")
      yield* crashPeer
      const again = yield* foreignPeer(links.primary)
      yield* again.reports("3")
      assert.strictEqual(yield* backup.request("x"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))

  it.scoped("evidence counts right after the peer's last heartbeat", () =>
    Effect.gen(function*() {
      const { backup, peer, crashPeer } = yield* startPassive()
      yield* TestClock.adjust("500 millis")
      yield* peer.reports("3")
      yield* crashPeer
      assert.strictEqual(backup.log.at(-1), peerDown("primary"))
      assert.strictEqual(yield* backup.request("now"), "now")
    }))

  it.scoped("evidence is void after a later heartbeat, which renews the peer's deadline", () =>
    Effect.gen(function*() {
      const { backup, links, crashPeer } = yield* startPassive()
      yield* TestClock.adjust("500 millis")
      yield* crashPeer
      yield* TestClock.adjust("1 millis")
      const again = yield* foreignPeer(links.primary)
      yield* again.reports("3")
      yield* TestClock.adjust(beforePeerTimeout)
      assert.strictEqual(yield* backup.request("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.request("now"), "now")
    }))

  it.scoped("a backup that has received nothing ignores evidence", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* backup.request("x"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      assert.notInclude(backup.log, peerDown("primary"))
    }))

  it.scoped("evidence counts only with crash detection: by default with hardened, on request with classic", () =>
    Effect.gen(function*() {
      const takesOver = (policy: "classic" | "hardened", crashDetection: boolean | undefined) =>
        Effect.gen(function*() {
          const { backup, crashPeer } = yield* startPassive({ crashDetection }, policy)
          yield* TestClock.adjust("1 millis")
          yield* crashPeer
          return (yield* backup.request("now")) === "now"
        })
      assert.isFalse(yield* takesOver("classic", undefined))
      assert.isTrue(yield* takesOver("classic", true))
      assert.isTrue(yield* takesOver("hardened", undefined))
      assert.isFalse(yield* takesOver("hardened", false))
    }))

  describe("a request that arrives while the link looks for evidence waits", () => {
    /** A passive backup that has just lost the connection to its primary. Evidence is what the test offers. */
    const startLost = Effect.gen(function*() {
      const evidence = yield* Mailbox.make<CrashEvidence>()
      const { backup, links } = yield* makePair(Handler.echo, "hardened", {}, {
        backup: { peerDown: Mailbox.toStream(evidence) }
      })
      const connected = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.primary), connected)
      const member = yield* backup.start
      yield* peer.reports("3")
      yield* TestClock.adjust("10 millis")
      yield* Scope.close(connected, Exit.void)
      yield* settle
      const replies = yield* backup.send("early")
      const { counters } = yield* member.report
      assert.strictEqual(counters.rejected, 0)
      assert.deepStrictEqual(replies, [])
      return { evidence, links, member, replies }
    })

    it.scoped("and is answered as soon as there is some", () =>
      Effect.gen(function*() {
        const { evidence, member, replies } = yield* startLost
        yield* TestClock.adjust("5 millis")
        assert.deepStrictEqual(replies, [])
        yield* evidence.offer({ _tag: "ConnectionRefused", endpoint: "the primary", asOf: 15 })
        yield* settle
        assert.deepStrictEqual(replies, ["early"])
        assert.strictEqual(yield* member.state, "ACTIVE")
      }))

    it.scoped("and is rejected if there is none in time", () =>
      Effect.gen(function*() {
        const { member } = yield* startLost
        yield* TestClock.adjust("49 millis")
        assert.strictEqual((yield* member.report).counters.rejected, 0)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* member.report).counters.rejected, 1)
        assert.strictEqual(yield* member.state, "PASSIVE")
      }))

    it.scoped("and is rejected when the peer is connected again", () =>
      Effect.gen(function*() {
        const { links, member } = yield* startLost
        yield* foreignPeer(links.primary)
        yield* settle
        assert.strictEqual((yield* member.report).counters.rejected, 1)
        assert.strictEqual(yield* member.state, "PASSIVE")
      }))
  })
})
