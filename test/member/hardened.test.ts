import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Handler from "../../src/member/Handler.ts"
import type { PeerLink } from "../../src/ports/PeerLink.ts"
import type { Role } from "../../src/protocol/StateMachine.ts"
import * as Frames from "../../src/wire/Frames.ts"
import type { Node, NodeOptions } from "../support/nodes.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"

const heartbeat = "1 seconds"

const hardenedPair = (options?: NodeOptions, handler: Handler.Handler = Handler.echo) =>
  makePair(handler, "hardened", options)

const other = { primary: "backup", backup: "primary" } as const

/** Our server in a role, and a foreign one in the other. Silence and words are all there is: no evidence. */
const startWithPeer = (role: Role, options: NodeOptions = {}, handler?: Handler.Handler) =>
  Effect.gen(function*() {
    const pair = yield* hardenedPair({ crashDetection: false, ...options }, handler)
    const peer = yield* foreignPeer(pair.links[other[role]])
    return { peer, node: pair[role], member: yield* pair[role].start }
  })

/** A pair whose primary is active, right after a heartbeat. */
const startPair = (options?: NodeOptions, handler?: Handler.Handler) =>
  Effect.gen(function*() {
    const { backup, cut, heal, primary } = yield* hardenedPair(options, handler)
    const members = { primary: yield* primary.start, backup: yield* backup.start }
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual(yield* members.primary.state, "ACTIVE")
    assert.strictEqual(yield* members.backup.state, "PASSIVE")
    return { primary, backup, cut, heal, members }
  })

/** Asks both servers ten times a second for some time. Gives who has answered, and fails if both have at any time. */
const askBoth = (pair: { readonly primary: Node; readonly backup: Node }, seconds: number) =>
  Effect.gen(function*() {
    const answered: Array<Role> = []
    for (let i = 0; i < 10 * seconds; i++) {
      const [primary, backup] = [yield* pair.primary.ask("x"), yield* pair.backup.ask("x")]
      assert.isFalse(primary === "x" && backup === "x", "both have answered")
      answered.push(...primary === "x" ? ["primary" as const] : [], ...backup === "x" ? ["backup" as const] : [])
      yield* TestClock.adjust("100 millis")
    }
    return answered
  })

/** A handler whose requests are answered when the test says so, but for `"now"`. */
const gated = () => {
  const gates = new Map<string, Deferred.Deferred<void>>()
  const gate = (text: string) => {
    const found = gates.get(text) ?? Effect.runSync(Deferred.make<void>())
    gates.set(text, found)
    return found
  }
  const handler: Handler.Handler = ({ body }) => {
    const text = Frames.toString(body)
    return text === "now" ? body : Effect.as(Deferred.await(gate(text)), body)
  }
  return { handler, finish: (text: string) => Effect.zipRight(Deferred.succeed(gate(text), undefined), settle) }
}

const stoodStill = "this process stood still for too long to know who is active, "
const peerGone = (role: Role) => `the peer is down (connection to the ${role} in memory refused)`

describe("H1: a primary", () => {
  it.scoped("that is alone refuses for two heartbeats, and then becomes active with the next request", () =>
    Effect.gen(function*() {
      const { primary } = yield* hardenedPair({ crashDetection: false })
      const member = yield* primary.start
      assert.strictEqual(yield* primary.ask("at once"), undefined)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* primary.ask("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual(yield* primary.ask("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.strictEqual(primary.said.at(-1), "no heartbeat from backup, ready as active")
    }))

  it.scoped("answers sooner when the backup's process is known to be gone", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      yield* Scope.extend(foreignPeer(links.backup), scope)
      yield* primary.start
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* primary.ask("too early"), undefined)
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(yield* primary.ask("now"), "now")
      assert.deepStrictEqual(primary.said.slice(1), [peerGone("backup"), "no heartbeat from backup, ready as active"])
    }))

  it.scoped("answers as soon as it has heard a backup that waits, and never one that is active", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("2")
      assert.strictEqual(yield* node.ask("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      const second = yield* startWithPeer("primary")
      yield* second.peer.says("3")
      assert.strictEqual(yield* second.node.ask("now"), undefined)
      assert.strictEqual(yield* second.member.state, "PASSIVE")
    }))

  it.scoped("that comes back while the backup is active never answers beside it", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.primary.kill
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(yield* pair.backup.ask("x"), "x")
      const again = yield* pair.primary.start
      assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set(["backup"]))
      assert.strictEqual(yield* again.state, "PASSIVE")
      assert.strictEqual(yield* pair.members.backup.state, "ACTIVE")
    }))

  for (const pause of [0, 50, 950, 1999]) {
    it.scoped(`that is restarted within ${pause} ms never answers beside the backup`, () =>
      Effect.gen(function*() {
        const pair = yield* startPair({ crashDetection: false })
        yield* TestClock.adjust("300 millis")
        yield* pair.primary.kill
        yield* TestClock.adjust(pause)
        const again = yield* pair.primary.start
        const answers = yield* askBoth(pair, 5)
        assert.isAbove(answers.length, 0)
        assert.sameMembers([yield* again.state, yield* pair.members.backup.state], ["ACTIVE", "PASSIVE"])
      }))
  }
})

describe("H2 and H3: nobody ends because of what the peer says", () => {
  it.scoped("an active primary stays when the peer is active, an active backup answers no more and steps down", () =>
    Effect.gen(function*() {
      const primary = yield* startWithPeer("primary")
      yield* primary.peer.says("2")
      yield* primary.peer.says("3")
      assert.strictEqual(yield* primary.member.state, "ACTIVE")
      assert.strictEqual(yield* primary.node.ask("x"), "x")

      const backup = yield* startWithPeer("backup")
      yield* backup.peer.says("3")
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* backup.node.ask("x"), "x")
      yield* backup.peer.says("3")
      assert.strictEqual(yield* backup.member.state, "CONTESTED")
      yield* TestClock.adjust("2 seconds")
      yield* backup.peer.says("3")
      assert.strictEqual(yield* backup.node.ask("x"), undefined)
      assert.strictEqual(yield* backup.member.state, "CONTESTED")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.node.ask("x"), undefined)
      assert.strictEqual(yield* backup.member.state, "PASSIVE")
      assert.deepStrictEqual(backup.node.said.slice(-2), [
        "both are active, waiting for primary to step down",
        "both are active, ready as passive"
      ])
    }))

  it.scoped("F6: an active primary whose peer stays active logs an error once a burst", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("2")
      const errors = () => node.said.filter((line) => line.startsWith("two servers are active"))
      for (let i = 0; i < 9; i++) {
        yield* peer.says("3")
        yield* TestClock.adjust("1 seconds")
      }
      assert.strictEqual(errors().length, 1)
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* TestClock.adjust("11 seconds")
      yield* peer.says("3")
      assert.strictEqual(errors().length, 2)
    }))

  it.scoped("a backup that has stepped down keeps the replies that it had begun to itself", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { member, node, peer } = yield* startWithPeer("backup", {}, handler)
      yield* peer.says("3")
      yield* TestClock.adjust("2001 millis")
      const [one, two] = [yield* node.request("one"), yield* node.request("two")]
      yield* peer.says("3")
      assert.strictEqual(yield* member.state, "CONTESTED")
      yield* finish("one")
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* node.ask("now"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* node.ask("now"), "now")
      yield* finish("two")
      assert.deepStrictEqual([[...one], [...two]], [[], []])
    }))

  it.scoped("a passive primary becomes active when the peer is passive, a passive backup stays", () =>
    Effect.gen(function*() {
      const primary = yield* startWithPeer("primary")
      yield* primary.peer.says("3")
      yield* primary.peer.says("4")
      assert.strictEqual(yield* primary.member.state, "ACTIVE")
      assert.strictEqual(primary.node.said.at(-1), "both are passive, ready as active")

      const backup = yield* startWithPeer("backup")
      yield* backup.peer.says("3")
      yield* backup.peer.says("4")
      assert.strictEqual(yield* backup.member.state, "PASSIVE")
      assert.strictEqual(yield* backup.node.ask("x"), undefined)
    }))

  for (const role of ["primary", "backup"] as const) {
    it.scoped(`a ${role} goes on whatever it hears, in whatever order`, () =>
      Effect.gen(function*() {
        const { member, node, peer } = yield* startWithPeer(role)
        const words = ["1", "2", "3", "4", "junk"]
        // Every word after every pair of words.
        for (const one of words) {
          for (const two of words) {
            for (const three of words) {
              yield* Effect.forEach([one, two, three], (word) => peer.publish([Buffer.from(word)]))
              yield* settle
            }
          }
          yield* node.ask("x")
        }
        yield* TestClock.adjust("2001 millis")
        assert.strictEqual(yield* node.ask("x"), "x")
        assert.strictEqual(yield* member.state, "ACTIVE")
        assert.deepInclude(yield* member.counters, { heartbeats: 300, malformed: 75 })
      }))
  }
})

describe("H11: of two that became active while the link was cut", () => {
  it.scoped("a primary that was by silence alone stands by, and the backup that holds the service stays", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.primary.kill
      yield* settle
      assert.strictEqual(yield* pair.backup.ask("x"), "x")
      yield* pair.cut
      const primary = yield* pair.primary.start
      yield* TestClock.adjust("2501 millis")
      assert.strictEqual(yield* pair.primary.ask("x"), "x")
      assert.deepStrictEqual([yield* primary.state, yield* pair.members.backup.state], ["ACTIVE", "ACTIVE"])
      yield* pair.heal
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set(["backup"]))
      assert.deepStrictEqual([yield* primary.state, yield* pair.members.backup.state], ["PASSIVE", "ACTIVE"])
      assert.strictEqual(pair.primary.said.at(-1), "backup has been active for longer, ready as passive")
      assert.notInclude(pair.backup.said, "both are active, ready as passive")
    }))

  it.scoped("a primary that was active all along stays, and the backup stands by", () =>
    Effect.gen(function*() {
      const pair = yield* startPair()
      yield* pair.cut
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* pair.backup.ask("x"), "x")
      assert.strictEqual(yield* pair.primary.ask("x"), "x")
      yield* pair.heal
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set(["primary"]))
      const states = [yield* pair.members.primary.state, yield* pair.members.backup.state]
      assert.deepStrictEqual(states, ["ACTIVE", "PASSIVE"])
      assert.deepStrictEqual(pair.backup.said.slice(-2), [
        "both are active, waiting for primary to step down",
        "both are active, ready as passive"
      ])
    }))
})

describe("H12: a lone backup", () => {
  it.scoped("F1: that refuses votes while it receives nothing warns once a burst, and says what to do", () =>
    Effect.gen(function*() {
      const { backup } = yield* hardenedPair()
      yield* backup.start
      const warnings = () => backup.said.filter((line) => line.startsWith("votes are rejected"))
      for (let i = 0; i < 10; i++) {
        assert.strictEqual(yield* backup.ask("x"), undefined)
        yield* TestClock.adjust("1 seconds")
      }
      assert.deepStrictEqual(warnings(), [
        "votes are rejected: no heartbeat from the primary at tcp://localhost:5003 for 3 s, waiting for it; " +
        "start the primary, or bstar promote"
      ])
    }))

  it.scoped("that has received from its primary and lost it takes over after two heartbeats and two more", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("backup")
      yield* peer.says("1")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* node.ask("too early"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.ask("still too early"), undefined)
      assert.strictEqual(yield* member.state, "REJOINING")
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* node.ask("now"), "now")
      assert.deepStrictEqual(node.said.slice(-2), [
        "primary was lost before it became active, rejoining",
        "failover successful, ready as active"
      ])
    }))

  for (const lone of ["wait", "serve"] as const) {
    it.scoped(`that never has received from it ${lone === "serve" ? "serves" : "waits"} where it is to ${lone}`, () =>
      Effect.gen(function*() {
        const { backup } = yield* hardenedPair({ lone })
        const member = yield* backup.start
        yield* TestClock.adjust("2001 millis")
        assert.strictEqual(yield* backup.ask("too early"), undefined)
        assert.strictEqual(yield* member.state, lone === "serve" ? "REJOINING" : "BACKUP")
        yield* TestClock.adjust("2001 millis")
        assert.strictEqual(yield* backup.ask("now"), lone === "serve" ? "now" : undefined)
      }))
  }

  it.scoped("that is to serve refuses while a subscriber is connected, and tells why once a burst", () =>
    Effect.gen(function*() {
      const { member, node } = yield* startWithPeer("backup", { lone: "serve" })
      for (let i = 0; i < 9; i++) {
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(yield* node.ask("x"), undefined)
      }
      assert.strictEqual(yield* member.state, "BACKUP")
      const warnings = node.said.filter((line) => line.startsWith("votes are rejected"))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "a subscriber is connected to")
    }))
})

describe("H4: a server that stood still", () => {
  it.scoped("drops all that its peer said meanwhile, says its number at once, and starts over", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("2")
      yield* TestClock.adjust("1 seconds")
      // At its start and to a subscriber that joins, when it became active, and with a heartbeat.
      assert.deepStrictEqual(peer.heard, ["1", "1", "3", "3"])
      yield* node.standStill
      const waiting = yield* node.request("it waits")
      for (let i = 0; i < 30; i++) {
        yield* peer.says("3")
        yield* TestClock.adjust("100 millis")
      }
      const { heartbeats } = yield* member.counters
      yield* node.goOn
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual((yield* member.counters).heartbeats, heartbeats)
      assert.deepStrictEqual(peer.heard.slice(0, 5), ["1", "1", "3", "3", "1"])
      assert.strictEqual(node.said.at(-1), `${stoodStill}waiting for backup`)
      assert.deepStrictEqual([...waiting], [])
      // From here on everything is as after a start.
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(new Set(peer.heard.slice(4)), new Set(["1"]))
      assert.strictEqual(yield* node.ask("x"), undefined)
      yield* peer.says("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(yield* node.ask("x"), undefined)
      assert.deepStrictEqual([...waiting], [])
    }))

  it.scoped("drops a word that came just before it went on and would have made it active", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("3")
      yield* node.standStill
      yield* TestClock.adjust("5 seconds")
      yield* peer.says("2")
      const waiting = yield* node.request("it waits")
      yield* node.goOn
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.deepStrictEqual([...waiting], [])
    }))

  it.scoped("starts over with a primary that goes on to be active after two silent heartbeats", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("2")
      yield* node.standStill
      yield* TestClock.adjust("1 minute")
      yield* node.goOn
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* node.ask("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.ask("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  /** A backup that was active, has stood still and goes on. */
  const resuming = Effect.gen(function*() {
    const started = yield* startWithPeer("backup")
    const { member, node, peer } = started
    yield* peer.says("3")
    yield* TestClock.adjust("2001 millis")
    assert.strictEqual(yield* node.ask("x"), "x")
    yield* TestClock.adjust(heartbeat)
    yield* node.standStill
    yield* TestClock.adjust("3 seconds")
    yield* node.goOn
    assert.strictEqual(yield* member.state, "REJOINING")
    assert.deepStrictEqual(peer.heard.slice(0, 8), ["2", "2", "4", "4", "4", "3", "3", "2"])
    // A beat was due as well.
    assert.deepStrictEqual(peer.heard.slice(8).filter((word) => word !== "4"), [])
    peer.heard.length = 0
    assert.strictEqual(node.said.at(-1), `${stoodStill}waiting for primary`)
    return started
  })

  it.scoped("as a backup publishes that it is passive, and takes over after two silent heartbeats", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* resuming
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(peer.heard, ["4", "4"])
      assert.strictEqual(yield* node.ask("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* node.ask("now"), "now")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  for (const word of ["1", "4"]) {
    it.scoped(`as a backup answers a ${word} with a 2 each time, and waits for two heartbeats more`, () =>
      Effect.gen(function*() {
        const { member, node, peer } = yield* resuming
        yield* peer.says(word)
        yield* peer.says(word)
        assert.deepStrictEqual(peer.heard, ["2", "2"])
        yield* TestClock.adjust("1500 millis")
        yield* peer.says(word)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* node.ask("too early"), undefined)
        assert.strictEqual(yield* member.state, "REJOINING")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* node.ask("now"), "now")
      }))
  }

  it.scoped("as a backup follows a primary that is active", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* resuming
      yield* peer.says("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(node.said.at(-1), "connected to primary (active), ready as passive")
    }))

  it.scoped("as a backup that never was paired waits on for its primary", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("backup")
      yield* node.standStill
      yield* TestClock.adjust("3 seconds")
      yield* node.goOn
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* node.ask("x"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      assert.deepStrictEqual(new Set(peer.heard), new Set(["2"]))
    }))

  it.scoped("drops evidence that came meanwhile", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* peer.says("3")
      yield* backup.standStill
      yield* TestClock.adjust("3 seconds")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 millis")
      yield* backup.goOn
      assert.strictEqual(yield* backup.ask("too early"), undefined)
      assert.strictEqual(yield* member.state, "REJOINING")
      assert.notInclude(backup.said, peerGone("primary"))
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* backup.ask("now"), "now")
    }))

  it.scoped("drops the replies of handlers that finished meanwhile", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { member, node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.says("2")
      const early = yield* node.request("early")
      const slow = yield* node.request("slow")
      yield* finish("early")
      assert.deepStrictEqual([...early], ["early"])
      yield* node.standStill
      yield* finish("slow")
      yield* TestClock.adjust("3 seconds")
      yield* node.goOn
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], [])
      assert.strictEqual(yield* node.ask("now"), "now")
      assert.strictEqual((yield* member.counters).failed, 0)
    }))

  it.scoped("drops the replies of handlers that it began before", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.says("2")
      const [one, two] = [yield* node.request("one"), yield* node.request("two")]
      yield* node.standStill
      yield* TestClock.adjust("3 seconds")
      yield* node.goOn
      yield* finish("one")
      yield* peer.says("2")
      assert.strictEqual(yield* node.ask("now"), "now")
      yield* finish("two")
      assert.deepStrictEqual([[...one], [...two]], [[], []])
    }))

  it.scoped("goes on as it was when that was for less than a heartbeat and a half", () =>
    Effect.gen(function*() {
      const { member, node, peer } = yield* startWithPeer("primary")
      yield* peer.says("2")
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust(heartbeat)
        yield* peer.says("4")
        yield* node.standStill
        const waiting = yield* node.request("it waits")
        yield* TestClock.adjust("1497 millis")
        yield* node.goOn
        assert.deepStrictEqual([...waiting], ["it waits"])
        assert.strictEqual(yield* member.state, "ACTIVE")
        // The beats go on from when they were due.
        yield* TestClock.adjust("500 millis")
      }
      yield* TestClock.adjust(heartbeat)
      yield* node.standStill
      yield* TestClock.adjust("1500 millis")
      yield* node.goOn
      assert.strictEqual(yield* member.state, "PRIMARY")
    }))

  /** An active server that has lost its peer, right after a heartbeat, and what runs while it is active. */
  const startLone = (role: Role, options: NodeOptions = {}, link: Partial<PeerLink["Type"]> = {}) =>
    Effect.gen(function*() {
      const { handler, finish } = gated()
      const pair = yield* makePair(handler, "hardened", options, { [role]: link })
      const peers = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(pair.links[other[role]]), peers)
      const node = pair[role]
      const member = yield* node.start
      yield* peer.says(role === "primary" ? "2" : "3")
      yield* Scope.close(peers, Exit.void)
      yield* TestClock.adjust("3 seconds")
      yield* node.ask("now")
      assert.strictEqual(yield* member.state, "ACTIVE")
      yield* TestClock.adjust("3 seconds")
      const term: Array<string> = []
      yield* member.whileActive(Effect.acquireUseRelease(
        Effect.sync(() => term.push("begins")),
        () => Effect.never,
        () => Effect.sync(() => term.push("ends"))
      )).pipe(Effect.forkScoped)
      yield* settle
      return { finish, links: pair.links, member, node, peers, term }
    })

  const keepsTerm = "this process stalled, but it has no peer (connection refused), still active"

  for (const role of ["primary", "backup"] as const) {
    it.scoped(`F23 keeps its term if it is active and the state port of its peer refuses connections (${role})`, () =>
      Effect.gen(function*() {
        const { finish, member, node, term } = yield* startLone(role)
        const pending = yield* node.request("pending")
        yield* node.standStill
        const waiting = yield* node.request("now")
        yield* finish("pending")
        // Up to two heartbeats after its last one.
        yield* TestClock.adjust(role === "primary" ? 1600 : 1997)
        yield* node.goOn
        assert.strictEqual(yield* member.state, "ACTIVE")
        assert.deepStrictEqual(term, ["begins"])
        assert.strictEqual(node.said.at(-1), keepsTerm)
        assert.deepStrictEqual([[...pending], [...waiting]], [["pending"], ["now"]])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* node.ask("now"), "now")
      }))
  }

  it.scoped("F23 keeps its term, and a peer that starts right after that stands by", () =>
    Effect.gen(function*() {
      const { links, member, node } = yield* startLone("primary")
      yield* node.standStill
      yield* TestClock.adjust("1600 millis")
      yield* node.goOn
      const peer = yield* foreignPeer(links.backup)
      yield* settle
      assert.deepStrictEqual(peer.heard, ["3"])
      yield* peer.says("4")
      assert.strictEqual(yield* member.state, "ACTIVE")
    }))

  const ends: ReadonlyArray<readonly [string, number, NodeOptions]> = [
    ["the stall is longer than two heartbeats", 1998, {}],
    ["crash detection is off", 1600, { crashDetection: false }]
  ]
  for (const [why, millis, options] of ends) {
    it.scoped(`F23 ends its term where ${why}`, () =>
      Effect.gen(function*() {
        const { member, node, term } = yield* startLone("primary", options)
        yield* node.standStill
        yield* TestClock.adjust(millis)
        yield* node.goOn
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual(term, ["begins", "ends"])
        assert.strictEqual(node.said.at(-1), `${stoodStill}waiting for backup`)
      }))
  }

  it.scoped("F23 ends its term where the state port of its peer is open, with or without a heartbeat", () =>
    Effect.gen(function*() {
      for (const word of ["4", undefined]) {
        const { links, member, node, term } = yield* startLone("primary")
        yield* node.standStill
        const peer = yield* foreignPeer(links.backup)
        yield* word === undefined ? Effect.void : peer.says(word)
        yield* TestClock.adjust("1600 millis")
        yield* node.goOn
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual(term, ["begins", "ends"])
      }
    }))

  it.scoped("F23 ends its term where its peer had not expired before the stall, also if it is gone after it", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* hardenedPair()
      const peers = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.backup), peers)
      const member = yield* primary.start
      yield* peer.says("2")
      yield* TestClock.adjust("1 second")
      yield* peer.says("4")
      yield* primary.standStill
      yield* Scope.close(peers, Exit.void)
      yield* TestClock.adjust("1600 millis")
      yield* primary.goOn
      assert.strictEqual(yield* member.state, "PRIMARY")
      assert.strictEqual(primary.said.at(-1), `${stoodStill}waiting for backup`)
    }))

  it.scoped("F23 ends its term where the refusal is late, or it stalls again after it, and answers nobody meanwhile", () =>
    Effect.gen(function*() {
      for (const [probeMillis, drainMillis] of [[401, 0], [0, 1501]] as const) {
        const { finish, member, node, term } = yield* startLone("primary", {}, {
          isRefused: () => Effect.delay(Effect.succeed(true), probeMillis),
          reset: Effect.sleep(drainMillis)
        })
        const pending = yield* node.request("pending")
        yield* node.standStill
        const waiting = yield* node.request("now")
        yield* finish("pending")
        yield* TestClock.adjust("1600 millis")
        yield* node.goOn
        assert.deepStrictEqual([[...pending], [...waiting], term], [[], [], ["begins"]])
        yield* TestClock.adjust(probeMillis + drainMillis)
        assert.strictEqual(yield* member.state, "PRIMARY")
        assert.deepStrictEqual([[...pending], [...waiting], term], [[], [], ["begins", "ends"]])
        yield* TestClock.adjust(drainMillis)
      }
    }))

  it.scoped("in a pair: the other takes over, this one follows, and never do both answer", () =>
    Effect.gen(function*() {
      for (const active of ["primary", "backup"] as const) {
        const pair = yield* startPair({ crashDetection: false })
        if (active === "backup") {
          yield* pair.primary.kill
          yield* TestClock.adjust("2500 millis")
          assert.strictEqual(yield* pair.backup.ask("x"), "x")
          yield* pair.primary.start
          yield* TestClock.adjust("2 seconds")
        }
        yield* pair[active].standStill
        const waiting = yield* pair[active].request("it waits")
        yield* TestClock.adjust("2100 millis")
        assert.strictEqual(yield* pair[other[active]].ask("x"), "x")
        yield* pair[active].goOn
        assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set([other[active]]))
        assert.deepStrictEqual([...waiting], [])
        yield* Effect.zipRight(pair.primary.stop, pair.backup.stop)
      }
    }))

  it.scoped("in a pair that nobody asked meanwhile: they pair again, and one of them answers", () =>
    Effect.gen(function*() {
      for (const sleeper of ["primary", "backup"] as const) {
        const pair = yield* startPair({ crashDetection: false })
        yield* pair[sleeper].standStill
        yield* TestClock.adjust("1 minute")
        yield* pair[sleeper].goOn
        assert.isAbove((yield* askBoth(pair, 5)).length, 20)
        yield* Effect.zipRight(pair.primary.stop, pair.backup.stop)
      }
    }))

  it.scoped("in a pair of which both stood still: they pair again, and one of them answers", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false })
      yield* pair.primary.standStill
      yield* pair.backup.standStill
      yield* TestClock.adjust("1 minute")
      yield* pair.backup.goOn
      yield* pair.primary.goOn
      assert.isAbove((yield* askBoth(pair, 6)).length, 20)
    }))

  it.scoped("as an active backup of a classic primary that is passive: that one takes over and does not end", () =>
    Effect.gen(function*() {
      const pair = yield* makePair(Handler.echo, { primary: "classic", backup: "hardened" }, { crashDetection: false })
      yield* pair.primary.start
      yield* pair.backup.start
      yield* TestClock.adjust("3 seconds")
      yield* pair.primary.kill
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(yield* pair.backup.ask("x"), "x")
      const primary = yield* pair.primary.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* primary.state, "PASSIVE")
      yield* pair.backup.standStill
      yield* TestClock.adjust("1600 millis")
      yield* pair.backup.goOn
      assert.strictEqual(yield* primary.state, "ACTIVE")
      assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set(["primary"]))
    }))

  it.scoped("by the classic rules goes on as if nothing had been", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair()
      const peer = yield* foreignPeer(links.backup)
      const member = yield* primary.start
      yield* peer.says("2")
      yield* primary.standStill
      const waiting = yield* primary.request("it waits")
      yield* TestClock.adjust("5 seconds")
      yield* primary.goOn
      assert.strictEqual(yield* member.state, "ACTIVE")
      assert.deepStrictEqual([...waiting], ["it waits"])
    }))
})

describe("H5: a server that is stopped", () => {
  it.scoped("lets a passive primary take over at once", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ crashDetection: false })
      yield* primary.kill
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(yield* backup.ask("x"), "x")
      const again = yield* primary.start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* again.state, "PASSIVE")
      assert.strictEqual(yield* members.backup.state, "ACTIVE")
      yield* backup.stop
      yield* settle
      assert.strictEqual(yield* again.state, "ACTIVE")
      assert.strictEqual(yield* primary.ask("now"), "now")
      assert.deepStrictEqual(backup.said.slice(-2), ["stopped cleanly", "interrupted"])
    }))

  it.scoped("lets a passive backup take over as soon as nothing more is heard of it", () =>
    Effect.gen(function*() {
      const { backup, members, primary } = yield* startPair({ crashDetection: false })
      yield* primary.stop
      yield* settle
      assert.strictEqual(yield* members.backup.state, "REJOINING")
      assert.strictEqual(yield* backup.ask("too early"), undefined)
      yield* TestClock.adjust("2001 millis")
      assert.strictEqual(yield* backup.ask("now"), "now")
      assert.strictEqual(yield* members.backup.state, "ACTIVE")
    }))

  it.scoped("and started again at once is active again as soon as the backup has heard of it", () =>
    Effect.gen(function*() {
      const pair = yield* startPair({ crashDetection: false })
      yield* pair.primary.stop
      const again = yield* pair.primary.start
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(yield* again.state, "ACTIVE")
      assert.deepStrictEqual(new Set(yield* askBoth(pair, 4)), new Set(["primary"]))
      assert.strictEqual(yield* pair.members.backup.state, "PASSIVE")
    }))

  for (
    const [role, number, histories] of [
      ["primary", "1", [
        [[], []],
        [["2"], ["3"]],
        [["3"], ["4"]],
        [["3", "2"], ["4", "3"]]
      ]],
      ["backup", "2", [
        [[], []],
        [["3"], ["4"]],
        [["3", "2"], ["4", "3"]]
      ]]
    ] as const
  ) {
    it.scoped(`has its role's number as its last word in every state (${role})`, () =>
      Effect.gen(function*() {
        for (const [words, published] of histories) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { node, peer } = yield* startWithPeer(role)
            yield* Effect.forEach(words, (word) => peer.says(word))
            yield* node.stop
            yield* TestClock.adjust("5 seconds")
            assert.deepStrictEqual(peer.heard, [number, number, ...published, number])
          }))
        }
      }))
  }

  it.scoped("answers what it has accepted, takes nothing new, and stays active until then", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { backup, members, primary } = yield* startPair({}, handler)
      const [one, two] = [yield* primary.request("one"), yield* primary.request("two")]
      const { accepted } = yield* members.primary.counters
      const stopping = yield* Effect.fork(primary.stop)
      yield* settle
      const late = yield* primary.request("now")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* backup.ask("now"), undefined)
      yield* finish("two")
      yield* finish("one")
      yield* Fiber.join(stopping)
      yield* settle
      assert.deepStrictEqual([[...one], [...two], [...late]], [["one"], ["two"], []])
      assert.strictEqual((yield* members.primary.counters).accepted, accepted)
      assert.isTrue(primary.said.includes("stopped cleanly"))
    }))

  it.scoped("says its last word after its last reply", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", {}, handler)
      yield* peer.says("2")
      const slow = yield* node.request("slow")
      const stopping = yield* Effect.fork(node.stop)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(peer.heard, ["1", "1", "3", "3", "3"])
      yield* finish("slow")
      yield* Fiber.join(stopping)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], ["slow"])
      assert.deepStrictEqual(peer.heard, ["1", "1", "3", "3", "3", "1"])
    }))

  /** Stops a server one of whose handlers never answers, and looks whether that has ended after some time. */
  const stopsWithin = (millis: number, options: NodeOptions) =>
    Effect.gen(function*() {
      const { handler } = gated()
      const { node, peer } = yield* startWithPeer("primary", options, handler)
      yield* peer.says("2")
      yield* node.request("never")
      yield* TestClock.adjust("10 millis")
      const stopping = yield* Effect.fork(node.stop)
      yield* TestClock.adjust(millis)
      const hasStopped = (yield* Fiber.poll(stopping))._tag === "Some"
      // So that the test ends in any case.
      yield* TestClock.adjust(options.heartbeat ?? heartbeat)
      yield* TestClock.adjust(options.drain ?? "10 seconds")
      yield* Fiber.join(stopping)
      assert.strictEqual(peer.heard.at(-1), "1")
      return hasStopped
    })

  it.scoped("waits no longer than its drain, however long a heartbeat is, and says its last word then", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* stopsWithin(2999, { drain: "3 seconds" }))
      assert.isTrue(yield* stopsWithin(3001, { drain: "3 seconds" }))
      assert.isTrue(yield* stopsWithin(3001, { drain: "3 seconds", heartbeat: "1 minute" }))
      assert.isTrue(yield* stopsWithin(1, { drain: 0 }))
    }))

  it.scoped("by the classic rules drains too, and says no last word", () =>
    Effect.gen(function*() {
      const { finish, handler } = gated()
      const { links, primary } = yield* makePair(handler)
      const peer = yield* foreignPeer(links.backup)
      yield* primary.start
      yield* peer.says("2")
      const slow = yield* primary.request("slow")
      const stopping = yield* Effect.fork(primary.stop)
      yield* TestClock.adjust("1 seconds")
      yield* finish("slow")
      yield* Fiber.join(stopping)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...slow], ["slow"])
      assert.deepStrictEqual(peer.heard, ["1", "1", "3", "3"])
      assert.strictEqual(primary.said.at(-1), "interrupted")
    }))
})

describe("H7: evidence that the peer is gone", () => {
  /** A passive backup and its primary, which can be made to go. */
  const startPassive = (options?: NodeOptions, policy: "classic" | "hardened" = "hardened") =>
    Effect.gen(function*() {
      const { backup, links } = yield* makePair(Handler.echo, policy, options)
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const peer = yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* peer.says("3")
      assert.strictEqual(yield* member.state, "PASSIVE")
      return { backup, member, peer, links, peerGoes: Effect.zipRight(Scope.close(scope, Exit.void), settle) }
    })

  it.scoped("makes a passive server take over with the next request, and not by itself", () =>
    Effect.gen(function*() {
      const { backup, member, peerGoes } = yield* startPassive()
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.ask("too early"), undefined)
      yield* peerGoes
      assert.strictEqual(backup.said.at(-1), peerGone("primary"))
      assert.strictEqual(yield* member.state, "PASSIVE")
      assert.strictEqual(yield* backup.ask("now"), "now")
      assert.strictEqual(backup.said.at(-1), "failover successful, ready as active")
    }))

  it.scoped("is void when the peer is heard again", () =>
    Effect.gen(function*() {
      const { backup, links, member, peerGoes } = yield* startPassive()
      yield* TestClock.adjust("1 millis")
      yield* peerGoes
      const again = yield* foreignPeer(links.primary)
      yield* again.says("3")
      assert.strictEqual(yield* backup.ask("x"), undefined)
      assert.strictEqual(yield* member.state, "PASSIVE")
    }))

  it.scoped("counts right after the peer's last word", () =>
    Effect.gen(function*() {
      const { backup, peer, peerGoes } = yield* startPassive()
      yield* TestClock.adjust("500 millis")
      yield* peer.says("3")
      yield* peerGoes
      assert.strictEqual(backup.said.at(-1), peerGone("primary"))
      assert.strictEqual(yield* backup.ask("now"), "now")
    }))

  it.scoped("is void when the peer is heard after it", () =>
    Effect.gen(function*() {
      const { backup, links, peerGoes } = yield* startPassive()
      yield* TestClock.adjust("500 millis")
      yield* peerGoes
      yield* TestClock.adjust("1 millis")
      const again = yield* foreignPeer(links.primary)
      yield* again.says("3")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* backup.ask("too early"), undefined)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* backup.ask("now"), "now")
    }))

  it.scoped("does not help a backup that never has heard its primary", () =>
    Effect.gen(function*() {
      const { backup, links } = yield* hardenedPair()
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      yield* Scope.extend(foreignPeer(links.primary), scope)
      const member = yield* backup.start
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* backup.ask("x"), undefined)
      assert.strictEqual(yield* member.state, "BACKUP")
      assert.notInclude(backup.said, peerGone("primary"))
    }))

  it.scoped("counts only where crash detection is on: with hardened unless refused, with classic when asked for", () =>
    Effect.gen(function*() {
      const takesOver = (policy: "classic" | "hardened", crashDetection: boolean | undefined) =>
        Effect.gen(function*() {
          const { backup, peerGoes } = yield* startPassive({ crashDetection }, policy)
          yield* TestClock.adjust("1 millis")
          yield* peerGoes
          return (yield* backup.ask("now")) === "now"
        })
      assert.isFalse(yield* takesOver("classic", undefined))
      assert.isTrue(yield* takesOver("classic", true))
      assert.isTrue(yield* takesOver("hardened", undefined))
      assert.isFalse(yield* takesOver("hardened", false))
    }))
})
