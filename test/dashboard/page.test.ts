import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import { pairOf } from "../../src/dashboard/page/pair.ts"
import type { PairStatus } from "../../src/status/Status.ts"
import { witnessOf } from "../status/observations.ts"
import * as audit from "./audit.ts"
import * as Browser from "./browser.ts"
import { evaluate, open, shows, textsOf, unlock } from "./browser.ts"
import { pairStatusOf, received, statusOf, witnessedStatusOf } from "./fakeStatus.ts"
import * as Fake from "./fakeStatusServer.ts"

const withPage = <A, E>(
  use: (
    fake: Effect.Effect.Success<typeof Fake.make>,
    page: Page,
    errors: Array<string>,
    browser: BrowserContext
  ) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function*() {
    const fake = yield* Fake.make
    const browser = yield* Browser.launch
    fake.sendPair(pairStatusOf())
    const { errors, page } = yield* open(browser, fake.url)
    yield* shows(page, "#link", "live")
    return yield* use(fake, page, errors, browser)
  })

const at = "2026-01-31T12:59:50.000Z"
const entry = { cause: "PeerBackup", message: "moved", explanation: null, reason: null, term: null } as const
const often = Schedule.spaced("10 millis")

describe.skipIf(Browser.isAbsent)(`the dashboard ${Browser.title}`, () => {
  it.scopedLive("shows the level, the sentence and the findings of the judgement", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const pairs: ReadonlyArray<PairStatus> = [
          pairStatusOf(),
          pairStatusOf(undefined, statusOf("backup", { state: "ACTIVE", answers: true })),
          pairStatusOf(
            undefined,
            statusOf("backup", { takeoverBlock: { kind: "paused", reason: "new switch", since: at } })
          ),
          pairStatusOf(statusOf("primary", { state: "PASSIVE", answers: false })),
          {
            self: statusOf("primary", received("PASSIVE", true)),
            peer: { status: null, error: "no response", ageMillis: null }
          },
          { self: statusOf("primary", { ...received("PASSIVE", false), peerHttp: null }), peer: null }
        ]
        for (const [i, pair] of pairs.entries()) {
          const marked = { ...pair, self: { ...pair.self, host: `host ${i}` } }
          const { findings, health } = pairOf(marked, 0)
          fake.sendPair(marked)
          yield* shows(page, "#where", new RegExp(`host ${i}$`))
          assert.deepStrictEqual(yield* textsOf(page, "#health"), [health.level])
          assert.deepStrictEqual(yield* textsOf(page, "#judgement"), [health.message])
          assert.deepStrictEqual(
            yield* textsOf(page, "#findings li"),
            findings.map(({ remedy, severity, what }) => severity + what + remedy)
          )
          assert.strictEqual(
            yield* Effect.promise(() => page.locator("#findings").isVisible()),
            findings.length > 0
          )
          assert.strictEqual(yield* Effect.promise(() => page.title()), `${health.level} · Binary Star`)
        }
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("shows both servers, their states in the state machine, and the transitions to them", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const history = [
          {
            ...entry,
            at,
            from: "PRIMARY",
            to: "ACTIVE",
            message: "ready as active",
            explanation: "heartbeat from the peer"
          },
          { ...entry, at: "2026-01-30T09:00:00.000Z", from: null, to: "PRIMARY", cause: "Start", message: "started" }
        ] as const
        fake.setHistory(history)
        yield* Effect.promise(() => page.reload())
        yield* shows(page, "[data-role=primary] .state", "ACTIVE answers clients")
        yield* shows(page, "[data-role=backup] .state", "PASSIVE stands by")
        yield* Effect.promise(() => page.locator("[data-role=primary] summary").click())
        yield* shows(page, "[data-role=primary] .counters", "1,284,120")
        yield* shows(page, "#timeline li", "ready as active")
        assert.deepStrictEqual(
          (yield* textsOf(page, "#timeline .what")).sort(),
          ["connected to primary (active), ready as passive", "ready as active", "started"]
        )
        assert.deepStrictEqual(
          yield* evaluate(page, `[...document.querySelectorAll(".box.lit")].map((box) => box.dataset.state).sort()`),
          ["ACTIVE", "PASSIVE"]
        )
        assert.strictEqual(yield* Effect.promise(() => page.locator(".edge.last.primary").count()), 1)
        assert.strictEqual(
          yield* Effect.promise(() => page.locator("#machine").getAttribute("aria-label")),
          "State machine of the policy hardened: the primary is ACTIVE, the backup is PASSIVE."
        )

        // A transition of the peer is observed, one of this server is received. Each is announced once.
        fake.sendPair(pairStatusOf(
          statusOf("primary", { now: "2026-01-31T13:00:01.000Z", uptimeMillis: 7_205_000 }),
          statusOf("backup", { state: "REJOINING", message: "stalled", since: at, cause: "Stalled" })
        ))
        yield* shows(page, "#announcer", "The backup is now REJOINING: stalled")
        yield* shows(page, "#timeline li", /backup\s*PASSIVE→REJOINING.*stalled/)
        fake.sendTransition({
          role: "primary",
          ...entry,
          at,
          from: "ACTIVE",
          to: "HANDING_OVER",
          cause: "HandOver",
          reason: "ticket 7"
        })
        yield* shows(page, "#announcer", "The primary is now HANDING_OVER")
        yield* shows(page, "#timeline li", "reason: ticket 7")
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 5)

        // Without its status the heartbeats count. REJOINING is reported as PASSIVE, so that is no transition.
        for (const peer of [received("PASSIVE", false), received("ACTIVE", false), received("ACTIVE", true)]) {
          fake.sendPair({ self: statusOf("primary", peer), peer: null })
        }
        yield* shows(page, "#timeline-more", "Show all 7")
        yield* Effect.promise(() => page.locator("#timeline-more").click())
        yield* shows(page, "#timeline li", /backup\s*PASSIVE→ACTIVEas received by the primary/)
        yield* shows(page, "#timeline li", /backup\s*ACTIVE→silentno heartbeats received/)
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 7)
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("shows the witness, the rights that are held, and the terms, of a pair with a witness", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const visible = Effect.promise(() => page.locator("#witness").isVisible())
        assert.isFalse(yield* visible)
        fake.sendPair(pairStatusOf(witnessedStatusOf("primary"), witnessedStatusOf("backup")))
        yield* shows(page, "#witness .state", "UP answers both servers")
        yield* shows(page, "#witness [data-rights=primary]", /may serve.*from the witness: 1\.3 s left.*0\.9 s left/s)
        yield* shows(page, "#witness [data-rights=backup]", "holds no right, and takes over by evidence only for 1.8 s")
        yield* shows(page, "[data-role=primary] header", "term 3.1")
        fake.sendTransition({
          role: "primary",
          ...entry,
          at,
          from: "PASSIVE",
          to: "ACTIVE",
          term: { text: "3.1", token: 196_609 }
        })
        yield* shows(page, "#timeline li", /PASSIVE→ACTIVEterm 3\.1/)
        // Rights that have ended disappear.
        const silent = { isUp: false, problem: "no answer within 1s", rights: [] }
        fake.sendPair(pairStatusOf(
          witnessedStatusOf("primary", { witness: { ...witnessOf("primary"), ...silent } }),
          witnessedStatusOf("backup", { witness: { ...witnessOf("backup"), ...silent } })
        ))
        yield* shows(page, "#witness .state", "SILENT answers neither server")
        assert.deepStrictEqual(yield* textsOf(page, "#witness li"), [])
        fake.sendPair(pairStatusOf())
        yield* shows(page, "[data-role=primary] .state", "ACTIVE")
        yield* Effect.repeat(visible, { until: (isVisible) => !isVisible, schedule: often })
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("draws requests and latency as they are measured", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        const counters = statusOf("primary").counters
        const after = (seconds: number, accepted: number, counts: ReadonlyArray<number>) =>
          pairStatusOf(statusOf("primary", {
            now: new Date(Date.parse(statusOf("primary").now) + seconds * 1000).toISOString(),
            uptimeMillis: 7_204_000 + seconds * 1000,
            counters: { ...counters, accepted: counters.accepted + accepted },
            latency: { count: 0, p50Millis: 9, p99Millis: 9, buckets: { boundsMillis: [1, 2], counts } }
          }))
        fake.sendPair(after(1, 0, [500, 0, 7]))
        fake.sendPair(after(2, 1200, [500, 100, 7]))
        yield* shows(page, "#rates .legend", "primary 1,200/s")
        // Half of the new values lies below the middle of the bucket from 1 to 2, whatever was counted before.
        yield* shows(page, "#latency .legend", "p50 1.50 ms")
        const label = yield* Effect.promise(() => page.locator("#rates svg").getAttribute("aria-label"))
        assert.match(
          label!,
          /^Requests per second of the last 3 minutes\. primary: now 1,200\/s, lowest 0\/s, highest 1,200/
        )
        // After a restart the counters begin again.
        fake.sendPair(after(-7000, -1_284_000, [0, 0, 0]))
        yield* shows(page, "#rates .legend", "primary –")
      })
    ))

  it.scopedLive("inserts texts of servers as text, never as markup", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
        const status = {
          message: evil,
          explanation: evil,
          reason: evil,
          host: evil,
          http: evil,
          peerHttp: "javascript:document.title='owned'",
          versions: { bstar: evil, node: evil },
          takeoverBlock: { kind: "paused", reason: evil, since: at }
        } as const
        fake.setHistory([{ ...entry, at, from: null, to: "PRIMARY", message: evil, reason: evil }])
        fake.sendPair({
          self: statusOf("primary", { ...status, state: "PASSIVE" }),
          peer: { status: null, error: evil, ageMillis: null }
        })
        yield* Effect.promise(() => page.reload())
        yield* shows(page, "#timeline li", "<img src=x")
        yield* shows(page, "#where", "<img src=x")
        yield* unlock(page)
        assert.strictEqual(yield* Effect.promise(() => page.locator("img, main script, main a").count()), 0)
        assert.notStrictEqual(yield* Effect.promise(() => page.title()), "owned")
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("sends commands with the token, by keyboard alone, and stores the token nowhere", () =>
    withPage((fake, page, errors, browser) =>
      Effect.gen(function*() {
        const press = (...keys: ReadonlyArray<string>) =>
          Effect.forEach(keys, (key) => Effect.promise(() => page.keyboard.press(key)))
        const type = (text: string) => Effect.promise(() => page.keyboard.type(text))
        const focused = evaluate<string>(page, "document.activeElement.id || document.activeElement.value")
        const visible = (selector: string) => Effect.promise(() => page.locator(selector).isVisible())

        assert.isFalse(yield* visible("#commands"))
        yield* unlock(page)
        assert.strictEqual(yield* focused, "reason")
        assert.strictEqual(yield* evaluate(page, `document.getElementById("token").value`), "")

        // No command is sent without a reason, nor without confirmation.
        yield* press("Tab")
        assert.strictEqual(yield* focused, "switchover")
        yield* press("Enter")
        assert.strictEqual(yield* focused, "reason")
        yield* type("kernel update")
        yield* press("Tab", "Enter")
        yield* shows(page, "#confirm", /The primary completes what it has accepted.*Reason: kernel update/)
        yield* press("Escape")
        yield* shows(page, "#commands[aria-busy=false]", "")
        assert.isFalse(yield* visible("#confirm"))
        assert.strictEqual(yield* focused, "switchover")
        assert.deepStrictEqual(fake.commands, [])

        fake.respond(200, { waitedMillis: 34, message: "the peer is active; clients waited for 34 ms" })
        yield* press("Enter", "Tab", "Enter")
        yield* shows(page, "#result", "the peer is active; clients waited for 34 ms")
        yield* shows(page, "#commands[aria-busy=false]", "")
        assert.deepStrictEqual(fake.commands, [
          { path: "/switchover", authorization: "Bearer secret", body: { reason: "kernel update" } }
        ])

        fake.respond(409, { error: "the peer is silent" })
        yield* press("Enter", "Tab", "Enter")
        yield* shows(page, "#result", "the peer is silent")
        yield* shows(page, "#commands[aria-busy=false]", "")

        fake.respond(200, { message: "paused" })
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* shows(page, "#result", "paused")
        yield* shows(page, "#commands[aria-busy=false]", "")
        fake.sendPair(
          pairStatusOf(statusOf("primary", { takeoverBlock: { kind: "paused", reason: "kernel update", since: at } }))
        )
        yield* Effect.promise(() => page.locator("button[value=resume]").click())
        yield* Effect.repeat(Effect.sync(() => fake.commands.length), { until: (n) => n === 4, schedule: often })
        assert.deepStrictEqual(fake.commands[3], {
          path: "/resume",
          authorization: "Bearer secret",
          body: undefined
        })

        fake.respond(401, { error: "no" })
        fake.sendPair(pairStatusOf())
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* shows(page, "#result", "The token is wrong.")
        assert.isFalse(yield* visible("#commands"))
        assert.strictEqual(yield* focused, "token")

        yield* unlock(page)
        yield* type("again")
        fake.respond(404, {})
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* shows(page, "#result", "This server accepts no commands")

        assert.deepStrictEqual(yield* Effect.promise(() => browser.cookies()), [])
        assert.strictEqual(yield* evaluate(page, "localStorage.length + sessionStorage.length"), 0)
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("checks the token at once, without a command", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        const enter = (token: string) =>
          Effect.promise(async () => {
            await page.locator("#token").fill(token)
            await page.keyboard.press("Enter")
          })
        const isLocked = Effect.promise(() => page.locator("#commands").isHidden())
        yield* enter("wrong")
        yield* shows(page, "#result[data-level=critical]", "The token is wrong.")
        assert.isTrue(yield* isLocked)
        assert.strictEqual(yield* evaluate(page, "document.activeElement.id"), "token")
        assert.strictEqual(yield* evaluate(page, `document.getElementById("token").value`), "")

        fake.respondToCheck(404, {})
        yield* enter("secret")
        yield* shows(page, "#result", "This server accepts no commands")
        assert.isTrue(yield* isLocked)

        fake.respondToCheck(400, {})
        yield* unlock(page)
        assert.deepStrictEqual(yield* textsOf(page, "#result"), [""])
        assert.deepStrictEqual(fake.commands, [])
      })
    ))

  it.scopedLive("has commands forwarded to the server that can carry them out", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        fake.sendPair(pairStatusOf(statusOf("backup"), statusOf("primary")))
        yield* shows(page, "#where", "seen from the backup")
        yield* unlock(page)
        yield* shows(page, "#commands-hint", "sent to this server, the backup, which forwards those for the primary")
        yield* Effect.promise(() => page.locator("#reason").fill("new kernel"))
        fake.respond(200, { waitedMillis: 34, message: "the peer is active; clients waited for 34 ms" })
        yield* Effect.promise(() => page.locator("button[value=switchover]").click())
        yield* shows(page, "#confirm-text", "The primary completes what it has accepted and hands over to the backup.")
        yield* Effect.promise(() => page.locator("#confirm-yes").click())
        yield* shows(page, "#result[data-level=good]", "clients waited for 34 ms")
        assert.deepStrictEqual(fake.commands, [
          { path: "/peer/switchover", authorization: "Bearer secret", body: { reason: "new kernel" } }
        ])
        // A failure of the peer does not lock the page.
        fake.respond(502, { error: "http://10.0.0.1:8001: the token is not that of this server" })
        yield* shows(page, "#commands[aria-busy=false]", "")
        yield* Effect.promise(() => page.locator("button[value=switchover]").click())
        yield* Effect.promise(() => page.locator("#confirm-yes").click())
        yield* shows(page, "#result[data-level=critical]", "http://10.0.0.1:8001: the token is not")
        assert.isTrue(yield* Effect.promise(() => page.locator("#commands").isVisible()))
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("a lost connection: no commands, and a link to the page of the other server", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        const enabled = evaluate<ReadonlyArray<string>>(
          page,
          `[...document.querySelectorAll("#unlock button, .buttons button")].filter((button) => !button.disabled).map((button) => button.value)`
        )
        yield* unlock(page)
        assert.isNotEmpty(yield* enabled)
        fake.stop()
        yield* shows(page, "#link", "connection lost")
        assert.strictEqual(yield* Effect.promise(() => page.title()), "connection lost · Binary Star")
        assert.deepStrictEqual(yield* enabled, [])
        yield* shows(page, "#commands-hint", "There are no commands while the connection is lost.")
        const link = page.locator("#judgement a")
        assert.strictEqual(yield* Effect.promise(() => link.textContent()), "Open the page of the backup")
        assert.strictEqual(yield* Effect.promise(() => link.getAttribute("href")), "http://10.0.0.2:8001/")
        for (const colorScheme of ["light", "dark"] as const) {
          yield* Effect.promise(() => page.emulateMedia({ colorScheme, reducedMotion: "reduce" }))
          assert.deepStrictEqual(yield* evaluate(page, audit.faint), [])
        }
      })
    ))

  it.scopedLive("comes in the order of need: servers, timeline, traffic, and the state machine folded", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(
          yield* evaluate(
            page,
            `[...document.querySelectorAll("h2")].filter((one) => one.checkVisibility()).map((one) => one.textContent)`
          ),
          ["primary", "backup", "Timeline", "Traffic", "Commands", "State machine"]
        )
        assert.isFalse(yield* Effect.promise(() => page.locator("#machine").isVisible()))
        yield* Effect.promise(() => page.locator("#machine-title").click())
        assert.isTrue(yield* Effect.promise(() => page.locator("#machine").isVisible()))

        // Nothing scrolls but the page, which shows a long history only when asked to.
        fake.setHistory(Array.from({ length: 30 }, (_, i) => ({
          ...entry,
          at: new Date(Date.parse(at) - i * 60_000).toISOString(),
          from: "PASSIVE",
          to: "ACTIVE"
        } as const)))
        yield* Effect.promise(() => page.reload())
        yield* shows(page, "#timeline-more", "Show all 31")
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 5)
        yield* Effect.promise(() => page.locator("#timeline-more").click())
        yield* shows(page, "#timeline-more[aria-expanded=true]", "Show the latest 5")
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 31)
        yield* evaluate(page, `document.querySelectorAll("details").forEach((details) => { details.open = true })`)
        for (const width of [360, 1280]) {
          yield* Effect.promise(() => page.setViewportSize({ width, height: 800 }))
          assert.deepStrictEqual(yield* evaluate(page, audit.nestedScrolls), [])
        }
      })
    ))

  it.scopedLive("shows the health and both servers on a phone without scrolling", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => page.setViewportSize({ width: 375, height: 667 }))
        const killed: PairStatus = {
          self: statusOf("backup", {
            state: "ACTIVE",
            answers: true,
            message: "failover successful, ready as active",
            explanation: "the peer is down (connection to tcp://10.0.0.1:5003 refused); vote by client 006b8b4567",
            ...received("ACTIVE", true)
          }),
          peer: { status: null, error: "no process listens there (connection refused)", ageMillis: null }
        }
        for (const pair of [pairStatusOf(), killed]) {
          fake.sendPair(pair)
          yield* shows(page, "#where", `seen from the ${pair.self.role}`)
          yield* shows(page, `[data-role=${pair.self.role}] .state`, pair.self.state)
          const bottoms = yield* evaluate<ReadonlyArray<number>>(
            page,
            `["#health", "#judgement", "[data-role=primary]", "[data-role=backup]"].map((one) => document.querySelector(one).getBoundingClientRect().bottom)`
          )
          assert.isAtMost(Math.max(...bottoms), 667)
        }
      })
    ))

  it.scopedLive("offers a promotion without the witness, after one was rejected for lack of a majority", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        const click = (selector: string) => Effect.promise(() => page.locator(selector).click())
        const promote = Effect.gen(function*() {
          yield* click("button[value=promote]")
          yield* shows(page, "#confirm-text", /if the witness or its peer gives it the right to serve\. Reason: power/)
          yield* click("#confirm-yes")
          yield* shows(page, "#confirm-title", "Promote the backup without the witness?")
          yield* shows(page, "#confirm-text", /you answer for the witness and the other server.*Reason: power failure/)
        })
        const bodies = () => fake.commands.map(({ body }) => body)
        fake.sendPair({
          self: witnessedStatusOf("backup", received("ACTIVE", true)),
          peer: { status: null, error: "no response", ageMillis: null }
        })
        yield* unlock(page)
        yield* shows(page, "#hint-promote", "gives it the right to serve")
        yield* Effect.promise(() => page.locator("#reason").fill("power failure"))
        fake.respond(409, { _tag: "Conflict", error: "not promoted: one of three", reason: "NoMajority" })
        yield* promote
        // The safe answer has the focus.
        yield* Effect.promise(() => page.keyboard.press("Enter"))
        yield* shows(page, "#commands[aria-busy=false]", "")
        yield* shows(page, "#result[data-level=critical]", "not promoted: one of three")
        assert.deepStrictEqual(bodies(), [{ reason: "power failure" }])

        yield* promote
        fake.respond(200, { message: "this server is active" })
        yield* click("#confirm-yes")
        yield* shows(page, "#result[data-level=good]", "this server is active")
        assert.deepStrictEqual(bodies().slice(1), [
          { reason: "power failure" },
          { reason: "power failure", withoutWitness: true }
        ])
      })
    ))

  it.scopedLive("is accessible: on a phone, in the dark, with a screen reader, without motion", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const audits = Effect.gen(function*() {
          for (const expression of [audit.nameless, audit.headings, audit.faint, audit.tooWide, audit.tooSmall]) {
            assert.deepStrictEqual(yield* evaluate(page, expression), [])
          }
        })
        fake.setHistory([{
          ...entry,
          at,
          from: "PASSIVE",
          to: "ACTIVE",
          message: "x".repeat(300),
          explanation: "e",
          reason: "r"
        }])
        yield* Effect.promise(() => page.reload())
        yield* shows(page, "#timeline li", "xxx")
        yield* Effect.promise(() => page.emulateMedia({ reducedMotion: "reduce" }))
        const pairs: ReadonlyArray<PairStatus> = [
          pairStatusOf(),
          pairStatusOf(witnessedStatusOf("primary"), witnessedStatusOf("backup")),
          pairStatusOf(
            statusOf("primary", {
              state: "REJOINING",
              takeoverBlock: { kind: "limited", until: at },
              ...received("ACTIVE", true)
            })
          ),
          {
            self: statusOf("backup", { state: "HANDING_OVER", answers: false }),
            peer: { status: null, error: "no response", ageMillis: null }
          }
        ]
        yield* unlock(page)
        yield* evaluate(page, `document.querySelectorAll("details").forEach((details) => { details.open = true })`)
        const grounds = new Set<unknown>()
        for (const colorScheme of ["light", "dark"] as const) {
          for (const width of [360, 1280]) {
            yield* Effect.promise(() => page.emulateMedia({ colorScheme }))
            yield* Effect.promise(() => page.setViewportSize({ width, height: 800 }))
            for (const pair of pairs) {
              fake.sendPair(pair)
              yield* shows(page, `[data-role=${pair.self.role}] .state`, pair.self.state)
              yield* audits
            }
          }
          grounds.add(yield* evaluate(page, "getComputedStyle(document.body).backgroundColor"))
        }
        assert.strictEqual(grounds.size, 2)

        assert.strictEqual(yield* evaluate(page, "document.getAnimations().length"), 0)
        yield* Effect.promise(() => page.emulateMedia({ reducedMotion: "no-preference" }))
        assert.isAbove(yield* evaluate<number>(page, "document.getAnimations().length"), 0)

        assert.deepStrictEqual(
          yield* evaluate(
            page,
            `["header", "main", "[role=alert]", "[role=status]"].map((one) => !!document.querySelector(one))`
          ),
          [true, true, true, true]
        )
        assert.strictEqual(yield* evaluate(page, "document.documentElement.lang"), "en")
        assert.deepStrictEqual(errors, [])
      })
    ))
})
