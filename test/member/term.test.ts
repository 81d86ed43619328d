import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as ActiveTerm from "../../src/member/activeTerm.ts"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import * as Handler from "../../src/member/Handler.ts"
import * as Member from "../../src/member/Member.ts"
import { NoTerm } from "../../src/member/MemberError.ts"
import type { Transition } from "../../src/member/Report.ts"
import * as Frontend from "../../src/ports/Frontend.ts"
import * as PeerLink from "../../src/ports/PeerLink.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import type * as StateMachine from "../../src/protocol/StateMachine.ts"
import * as Term from "../../src/protocol/Term.ts"
import { foreignPeer, makePair, settle } from "../support/nodes.ts"
import { makeRules } from "./rules.ts"

const first: Term.Term = { number: 0, step: 1 }

/** A backup whose primary is the test: it is passive. */
const passiveBackup = (handler?: Handler.Handler) =>
  Effect.gen(function*() {
    const { backup, links } = yield* makePair(handler, "hardened")
    const member = yield* backup.start
    const primary = yield* foreignPeer(links.primary)
    yield* primary.reports("3")
    return { backup, member, primary }
  })

describe("the term of a member", () => {
  it.scoped("exists while the member is active, and grows with each activation", () =>
    Effect.gen(function*() {
      const { member, primary } = yield* passiveBackup()
      assert.deepStrictEqual(yield* Effect.flip(member.term), new NoTerm({ reason: "NotActive" }))
      assert.isUndefined((yield* member.report).term)
      yield* primary.reports("2")
      assert.deepStrictEqual(yield* member.term, first)
      assert.deepStrictEqual((yield* member.report).term, first)
      assert.deepStrictEqual((yield* member.report).transition.term, first)
      yield* primary.reports("3")
      yield* TestClock.adjust("3 seconds")
      yield* primary.reports("3")
      assert.strictEqual((yield* Effect.flip(member.term)).reason, "NotActive")
      yield* primary.reports("2")
      assert.deepStrictEqual(yield* member.term, { number: 0, step: 2 })
      yield* member.stop
      assert.strictEqual((yield* Effect.flip(member.term)).reason, "NotActive")
    }))

  it.scoped("a handler receives it with each request", () =>
    Effect.gen(function*() {
      const terms: Array<Option.Option<Term.Term>> = []
      const { backup, primary } = yield* passiveBackup(({ body, term }) => {
        terms.push(term)
        return body
      })
      yield* primary.reports("2")
      yield* backup.request("a")
      yield* backup.request("b")
      assert.deepStrictEqual(terms, [Option.some(first), Option.some(first)])
      assert.strictEqual(terms[0], terms[1], "it is made once for each term")
    }))

  it.scoped("a classic primary that answers before it is active has none", () =>
    Effect.gen(function*() {
      const terms: Array<Option.Option<Term.Term>> = []
      const { primary } = yield* makePair(({ body, term }) => {
        terms.push(term)
        return body
      }, "classic")
      yield* primary.start
      assert.strictEqual(yield* primary.request("a"), "a")
      assert.deepStrictEqual(terms, [Option.none()])
    }))

  it.scoped("a handler may use the member that runs it", () =>
    Effect.gen(function*() {
      const frontend = yield* Frontend.makeMemory
      const links = yield* PeerLink.makeMemory
      const handler: Handler.Handler<BinaryStar.BinaryStar> = () => Effect.map(BinaryStar.term, Term.format)
      const layer: Layer.Layer<BinaryStar.BinaryStar, unknown> = BinaryStar.layer(
        { role: "primary", policy: "hardened" },
        handler
      ).pipe(Layer.provide([frontend.layer, links.primary]))
      const member = Context.get(yield* Layer.build(layer), BinaryStar.BinaryStar)
      const backup = yield* foreignPeer(links.backup)
      yield* backup.reports("2")
      assert.strictEqual(yield* member.state, "ACTIVE")
      const connection = yield* frontend.connect
      const replies: Array<string> = []
      yield* Effect.forkScoped(connection.run(async (batch) => {
        replies.push(...batch.map((frames) => Buffer.from(frames.at(-1)!).toString()))
      }))
      yield* connection.send([new Uint8Array(0), new Uint8Array(1)])
      yield* settle
      assert.deepStrictEqual(replies, ["0.1"])
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it.scoped("what runs while a server is active has it, and a layer, too", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { member, primary } = yield* passiveBackup()
      const note = (name: string) => ({ term }: BinaryStar.ActiveTerm) =>
        Effect.flatMap(term, (term) => Effect.sync(() => seen.push(`${name} ${Term.format(term)}`)))
      yield* Effect.forkScoped(member.whileActive(note("effect")))
      yield* Layer.build(
        BinaryStar.layerWhileActive((active) => Layer.effectDiscard(note("layer")(active))).pipe(
          Layer.provide(Layer.succeed(BinaryStar.BinaryStar, member))
        )
      )
      yield* primary.reports("2")
      assert.sameMembers(seen, ["effect 0.1", "layer 0.1"])
    }))

  it.scoped("a transition that begins or ends it is logged with it", () =>
    Effect.gen(function*() {
      const annotations: Array<unknown> = []
      const logger = Logger.make(({ annotations: all }) => {
        annotations.push(...all.pipe((all) => [...all].flatMap(([key, value]) => key === "term" ? [value] : [])))
      })
      yield* Effect.gen(function*() {
        const frontend = yield* Frontend.makeMemory
        const links = yield* PeerLink.makeMemory
        yield* BinaryStar.make({ role: "backup", policy: "hardened" }, Handler.echo).pipe(
          Effect.provide(yield* Layer.build(Layer.merge(frontend.layer, links.backup)))
        )
        const primary = yield* foreignPeer(links.primary)
        yield* primary.reports("3")
        yield* primary.reports("2")
        yield* primary.reports("3")
        yield* settle
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.deepStrictEqual(annotations, ["0.1", "0.1"])
    }))
})

describe("an active term", () => {
  const began: Transition = { from: "PASSIVE", to: "ACTIVE", cause: "ClientRequest", message: "", at: 0 }
  const ending: Transition = { ...began, from: "ACTIVE", to: "PASSIVE" }

  it.effect("its number is awaited, and remains after the end", () =>
    Effect.gen(function*() {
      const terms = ActiveTerm.make<never>()
      const actives: Array<BinaryStar.ActiveTerm> = []
      const fiber = yield* Effect.fork(terms.whileActive((active) => {
        actives.push(active)
        return Effect.never
      }))
      terms.begin(began)
      const number = yield* Effect.fork(Effect.flatMap(Effect.sync(() => actives[0]!), ({ term }) => term))
      yield* settle
      assert.isNull(number.unsafePoll())
      terms.onNumber(undefined)
      terms.onNumber(first)
      terms.onNumber({ number: 9, step: 9 })
      assert.deepStrictEqual(yield* Fiber.join(number), first)
      terms.end(ending)
      assert.deepStrictEqual(yield* actives[0]!.term, first)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("one that has ended without a number has no term", () =>
    Effect.gen(function*() {
      const terms = ActiveTerm.make<never>()
      const known = yield* Deferred.make<BinaryStar.ActiveTerm>()
      const fiber = yield* Effect.fork(
        terms.whileActive((active) => Effect.zipRight(Deferred.succeed(known, active), Effect.never))
      )
      terms.begin(began)
      const active = yield* Deferred.await(known)
      terms.end(ending)
      // A number that arrives too late is not that of the next term.
      terms.onNumber(first)
      assert.deepStrictEqual(yield* Effect.flip(active.term), new NoTerm({ reason: "NotActive" }))
      yield* Fiber.interrupt(fiber)
    }))
})

describe("fencing", () => {
  const active = (term: Term.Term | undefined, policy: StateMachine.Policy = Policies.hardened): Member.Member => {
    const { member } = Member.start(makeRules({ policy }), 0)
    return { ...member, protocol: { ...member.protocol, state: "ACTIVE" }, term }
  }

  it("required rejects requests of an active member without a term", () => {
    const rules = makeRules({ fencing: "required" })
    assert.strictEqual(Member.admission(rules, active(undefined), 0), "Reject")
    assert.strictEqual(Member.admission(rules, active(first), 0), "Accept")
    assert.isFalse(Member.acceptsAtOnce(rules, active(undefined), 0))
  })

  it("optional accepts them", () => {
    const rules = makeRules({ fencing: "optional" })
    assert.strictEqual(Member.admission(rules, active(undefined), 0), "Accept")
  })

  it("required leaves votes as they are", () => {
    const rules = makeRules({ fencing: "required" })
    assert.strictEqual(Member.admission(rules, Member.start(rules, 0).member, 0), "Vote")
  })

  it.scoped("required: a classic primary rejects requests until it is active", () =>
    Effect.gen(function*() {
      const { links, primary } = yield* makePair(Handler.echo, "classic", { fencing: "required" })
      const member = yield* primary.start
      assert.isUndefined(yield* primary.request("early"))
      assert.isFalse((yield* member.report).answers)
      const backup = yield* foreignPeer(links.backup)
      yield* backup.reports("2")
      assert.strictEqual(yield* primary.request("a"), "a")
      assert.isTrue((yield* member.report).answers)
    }))
})
