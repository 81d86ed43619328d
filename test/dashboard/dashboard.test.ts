import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import * as ts from "typescript"
import { transitions } from "../../src/cli/commands/fsm.ts"
import { csp, html } from "../../src/dashboard/Dashboard.ts"
import { edgesOf } from "../../src/dashboard/machine.ts"
import { script } from "../../src/dashboard/script.ts"
import * as Policies from "../../src/protocol/Policies.ts"
import type * as StateMachine from "../../src/protocol/StateMachine.ts"
import type { PairStatus } from "../../src/status/Status.ts"
import * as audit from "../http/audit.ts"
import * as Fake from "../http/fakeStatusServer.ts"
import type { Role } from "../support/processes.ts"
import { bstar, freeEndpoints, other, serverArgs } from "../support/processes.ts"
import * as Browser from "./browser.ts"

describe("the dashboard's parts", () => {
  it("draws the transitions that the reducer makes, and no others", () => {
    for (const policy of Object.values(Policies.policies)) {
      const made = transitions(policy).filter(({ next, state }) => next !== state).map((t) => `${t.state} ${t.next}`)
      const drawn = edgesOf(policy).map(({ from, to }) => `${from} ${to}`)
      assert.deepStrictEqual([...drawn].sort(), [...new Set(made)].sort())
    }
  })

  it("has a script in which TypeScript finds nothing wrong", () => {
    const name = "/dashboard.js"
    const options: ts.CompilerOptions = {
      allowJs: true,
      checkJs: true,
      noEmit: true,
      noImplicitReturns: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      types: []
    }
    const host = ts.createCompilerHost(options)
    const { fileExists, getSourceFile } = host
    const source = ts.createSourceFile(name, script, ts.ScriptTarget.ES2022, true)
    host.fileExists = (file) => file === name || fileExists.call(host, file)
    host.getSourceFile = (file, ...rest) => file === name ? source : getSourceFile.call(host, file, ...rest)
    const program = ts.createProgram([name], options, host)
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    assert.deepStrictEqual(
      found.map(({ messageText, start = 0 }) =>
        `${source.getLineAndCharacterOfPosition(start).line + 1}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
      ),
      []
    )
  })

  it("needs nothing from anywhere else", () => {
    assert.deepStrictEqual(html.match(/(?:src|href)="(?!data:|\$)[^"]*"/g), null)
    assert.match(csp, /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; connect-src 'self'/)
  })
})

const where = "/usr/bin/chromium"

/** Opens a page and gives what went wrong in it. */
const open = (browser: BrowserContext, url: string): Effect.Effect<{ page: Page; errors: Array<string> }> =>
  Effect.promise(async () => {
    const page = await browser.newPage()
    const errors: Array<string> = []
    page.on("pageerror", (error) => errors.push(error.message))
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()))
    await page.goto(url)
    return { page, errors }
  })

/** Waits until what a selector finds says this. */
const says = (page: Page, selector: string, text: RegExp | string) =>
  Effect.promise(() => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 20_000 }))

const textsOf = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).allTextContents())

const evaluate = <A>(page: Page, expression: string) => Effect.promise(() => page.evaluate<A>(expression))

const both = (self = Fake.statusOf("primary"), status = Fake.statusOf("backup")): PairStatus => ({
  self,
  peer: { status, error: null }
})

const heard = (said: StateMachine.PeerState | null, isExpired: boolean) => ({
  peer: { endpoint: "tcp://127.0.0.1:5004", said, ageMillis: said === null ? null : 4000, isExpired }
})

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
    fake.say(both())
    const { errors, page } = yield* open(browser, fake.url)
    yield* says(page, "#link", "live")
    return yield* use(fake, page, errors, browser)
  })

const at = "2026-01-31T12:59:50.000Z"
const entry = { cause: "PeerBackup", say: "moved", evidence: null, reason: null } as const
const often = Schedule.spaced("10 millis")

const unlock = (page: Page, token = "secret") =>
  Effect.promise(async () => {
    await page.locator("#token").fill(token)
    await page.keyboard.press("Enter")
    await page.locator("#orders").waitFor()
  })

describe.skipIf(!Browser.isThere)(`the dashboard in a browser (skipped where there is no ${where})`, () => {
  it.scopedLive("says what is wrong with a pair", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const unknown = (self: Partial<ReturnType<typeof Fake.statusOf>>, error: string | null): PairStatus => ({
          self: Fake.statusOf("primary", self),
          peer: error === null ? null : { status: null, error }
        })
        const stands = { state: "PASSIVE", answers: false } as const
        const cases: ReadonlyArray<readonly [PairStatus, health: string, banners: ReadonlyArray<string>]> = [
          [both(), "Healthy", []],
          [
            both(undefined, Fake.statusOf("backup", { state: "ACTIVE", answers: true })),
            "Two active servers",
            ["Two active servers."]
          ],
          [both(Fake.statusOf("primary", stands)), "No active server", ["No active server."]],
          [
            both(Fake.statusOf("primary", { state: "HANDING_OVER", answers: false })),
            "No active server",
            ["No active server. The primary hands over and waits for its peer to be active."]
          ],
          [
            both(undefined, Fake.statusOf("backup", { state: "CONTESTED", ...heard("ACTIVE", false) })),
            "Degraded",
            ["Contested: backup. It was active when its peer was."]
          ],
          [
            both(Fake.statusOf("primary", stands), Fake.statusOf("backup", { state: "CONTESTED" })),
            "No active server",
            ["No active server. The backup was active when its peer was, and decides within two heartbeats."]
          ],
          [
            both(undefined, Fake.statusOf("backup", { hold: { kind: "paused", reason: "new switch", since: at } })),
            "Degraded",
            ["Paused: backup. No vote makes it take over (new switch), since "]
          ],
          [
            both(Fake.statusOf("primary", { hold: { kind: "damped", until: at } })),
            "Degraded",
            ["Limited: primary. Too many failovers; votes are refused until "]
          ],
          [unknown(heard("PASSIVE", true), "refused"), "Degraded", ["Peer silent. The primary hears no word from the"]],
          [unknown({}, "refused"), "Degraded", [
            "Peer unreachable. It is heard, but the status of the backup cannot be had."
          ]],
          [unknown(heard("PASSIVE", false), null), "Healthy", []],
          [unknown({ ...stands, ...heard("ACTIVE", false) }, null), "Healthy", []],
          [unknown(heard("ACTIVE", false), null), "Two active servers", [
            "Two active servers. The backup reports ACTIVE"
          ]],
          [
            unknown({ ...stands, ...heard(null, true) }, null),
            "No active server",
            ["No active server.", "Peer silent."]
          ],
          [both(undefined, Fake.statusOf("primary", stands)), "Two servers of one role", ["Two servers of one role."]]
        ]
        for (const [i, [pair, health, banners]] of cases.entries()) {
          fake.say({ ...pair, self: { ...pair.self, host: `host ${i}` } })
          yield* says(page, "#where", new RegExp(`host ${i}$`))
          yield* says(page, "#health", health)
          const shown = yield* textsOf(page, ".banner")
          assert.strictEqual(shown.length, banners.length, shown.join())
          banners.forEach((banner, i) => assert.isTrue(shown[i]!.startsWith(banner), `${shown[i]}`))
          assert.strictEqual(yield* Effect.promise(() => page.title()), `${health} · Binary Star`)
        }
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("shows both servers, where they are in the machine, and how they came there", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const history = [
          { ...entry, at, from: "PRIMARY", to: "ACTIVE", say: "ready as active", evidence: "word from the peer" },
          { ...entry, at: "2026-01-30T09:00:00.000Z", from: null, to: "PRIMARY", cause: "Start", say: "started" }
        ] as const
        fake.remember(history)
        yield* Effect.promise(() => page.reload())
        yield* says(page, "[data-role=primary] .state", "ACTIVE answers clients")
        yield* says(page, "[data-role=backup] .state", "PASSIVE stands by")
        yield* says(page, "[data-role=primary] .counters", "1,284,120")
        yield* says(page, "#timeline li", "ready as active")
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

        // The peer moves, which is seen; this server moves, which is told. Each is announced, once.
        fake.say(both(
          Fake.statusOf("primary", { now: "2026-01-31T13:00:01.000Z", uptimeMillis: 7_205_000 }),
          Fake.statusOf("backup", { state: "REJOINING", say: "stood still", since: at, cause: "Stalled" })
        ))
        yield* says(page, "#announcer", "The backup is now REJOINING: stood still")
        yield* says(page, "#timeline li", /backup\s*PASSIVE→REJOINING.*stood still/)
        fake.tell({
          role: "primary",
          ...entry,
          at,
          from: "ACTIVE",
          to: "HANDING_OVER",
          cause: "HandOver",
          reason: "ticket 7"
        })
        yield* says(page, "#announcer", "The primary is now HANDING_OVER")
        yield* says(page, "#timeline li", "reason: ticket 7")
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 5)

        // Without its status, what is heard of it. REJOINING sounds like PASSIVE, so that is no move.
        for (const peer of [heard("PASSIVE", false), heard("ACTIVE", false), heard("ACTIVE", true)]) {
          fake.say({ self: Fake.statusOf("primary", peer), peer: null })
        }
        yield* says(page, "#timeline li", /backup\s*PASSIVE→ACTIVEas heard by the primary/)
        yield* says(page, "#timeline li", /backup\s*ACTIVE→silentnothing is heard of it/)
        assert.strictEqual((yield* textsOf(page, "#timeline li")).length, 7)
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("draws requests and latency as they are measured", () =>
    withPage((fake, page) =>
      Effect.gen(function*() {
        const counters = Fake.statusOf("primary").counters
        const after = (seconds: number, accepted: number, counts: ReadonlyArray<number>) =>
          both(Fake.statusOf("primary", {
            now: new Date(Date.parse(Fake.statusOf("primary").now) + seconds * 1000).toISOString(),
            uptimeMillis: 7_204_000 + seconds * 1000,
            counters: { ...counters, accepted: counters.accepted + accepted },
            latency: { count: 0, p50Millis: 9, p99Millis: 9, buckets: { boundsMillis: [1, 2], counts } }
          }))
        fake.say(after(1, 0, [500, 0, 7]))
        fake.say(after(2, 1200, [500, 100, 7]))
        yield* says(page, "#rates .legend", "primary 1,200/s")
        // Half of what came since lies below the middle of the bucket from 1 to 2, whatever was before.
        yield* says(page, "#latency .legend", "p50 1.50 ms")
        const label = yield* Effect.promise(() => page.locator("#rates svg").getAttribute("aria-label"))
        assert.match(
          label!,
          /^Requests per second of the last 3 minutes\. primary: now 1,200\/s, lowest 0\/s, highest 1,200/
        )
        // It was started again: what it counts has nothing to do with what it counted before.
        fake.say(after(-7000, -1_284_000, [0, 0, 0]))
        yield* says(page, "#rates .legend", "primary –")
      })
    ))

  it.scopedLive("takes what servers say for text", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
        const status = {
          say: evil,
          evidence: evil,
          reason: evil,
          host: evil,
          http: evil,
          peerHttp: "javascript:document.title='owned'",
          versions: { bstar: evil, node: evil },
          hold: { kind: "paused", reason: evil, since: at }
        } as const
        fake.remember([{ ...entry, at, from: null, to: "PRIMARY", say: evil, reason: evil }])
        fake.say({
          self: Fake.statusOf("primary", { ...status, state: "PASSIVE" }),
          peer: { status: null, error: evil }
        })
        yield* Effect.promise(() => page.reload())
        yield* says(page, "#timeline li", "<img src=x")
        yield* says(page, "#where", "<img src=x")
        yield* unlock(page)
        assert.strictEqual(yield* Effect.promise(() => page.locator("img, main script, main a").count()), 0)
        assert.notStrictEqual(yield* Effect.promise(() => page.title()), "owned")
        assert.deepStrictEqual(errors, [])
      })
    ))

  it.scopedLive("gives orders to who has the token, by keyboard, and keeps it to itself", () =>
    withPage((fake, page, errors, browser) =>
      Effect.gen(function*() {
        const press = (...keys: ReadonlyArray<string>) =>
          Effect.forEach(keys, (key) => Effect.promise(() => page.keyboard.press(key)))
        const type = (text: string) => Effect.promise(() => page.keyboard.type(text))
        const focused = evaluate<string>(page, "document.activeElement.id || document.activeElement.value")
        const visible = (selector: string) => Effect.promise(() => page.locator(selector).isVisible())

        assert.isFalse(yield* visible("#orders"))
        yield* unlock(page)
        assert.strictEqual(yield* focused, "reason")
        assert.strictEqual(yield* evaluate(page, `document.getElementById("token").value`), "")

        // Nothing is ordered without a reason, nor when it is not confirmed.
        yield* press("Tab")
        assert.strictEqual(yield* focused, "switchover")
        yield* press("Enter")
        assert.strictEqual(yield* focused, "reason")
        yield* type("kernel update")
        yield* press("Tab", "Enter")
        yield* says(page, "#confirm", /The primary ends what it has accepted.*Reason: kernel update/)
        yield* press("Escape")
        yield* says(page, "#orders[aria-busy=false]", "")
        assert.isFalse(yield* visible("#confirm"))
        assert.strictEqual(yield* focused, "switchover")
        assert.deepStrictEqual(fake.ordered, [])

        fake.answer(200, { waitedMillis: 34, say: "the peer is active; clients waited for 34 ms" })
        yield* press("Enter", "Tab", "Enter")
        yield* says(page, "#answer", "the peer is active; clients waited for 34 ms")
        yield* says(page, "#orders[aria-busy=false]", "")
        assert.deepStrictEqual(fake.ordered, [
          { path: "/switchover", authorization: "Bearer secret", body: { reason: "kernel update" } }
        ])

        fake.answer(409, { error: "the peer is silent" })
        yield* press("Enter", "Tab", "Enter")
        yield* says(page, "#answer", "the peer is silent")
        yield* says(page, "#orders[aria-busy=false]", "")

        fake.answer(200, { say: "paused" })
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* says(page, "#answer", "paused")
        yield* says(page, "#orders[aria-busy=false]", "")
        fake.say(both(Fake.statusOf("primary", { hold: { kind: "paused", reason: "kernel update", since: at } })))
        yield* Effect.promise(() => page.locator("button[value=resume]").click())
        yield* Effect.repeat(Effect.sync(() => fake.ordered.length), { until: (n) => n === 4, schedule: often })
        assert.deepStrictEqual(fake.ordered[3], {
          path: "/resume",
          authorization: "Bearer secret",
          body: undefined
        })

        fake.answer(401, { error: "no" })
        fake.say(both())
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* says(page, "#answer", "The token is wrong.")
        assert.isFalse(yield* visible("#orders"))
        assert.strictEqual(yield* focused, "token")

        yield* unlock(page)
        yield* type("again")
        fake.answer(404, {})
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* says(page, "#answer", "This server takes no orders")

        assert.deepStrictEqual(yield* Effect.promise(() => browser.cookies()), [])
        assert.strictEqual(yield* evaluate(page, "localStorage.length + sessionStorage.length"), 0)
        // The browser itself notes answers that are refusals.
        assert.deepStrictEqual(errors.filter((error) => !error.startsWith("Failed to load resource")), [])
      })
    ))

  it.scopedLive("can be used by everybody: on a phone, in the dark, without seeing it, without motion", () =>
    withPage((fake, page, errors) =>
      Effect.gen(function*() {
        const audits = Effect.gen(function*() {
          for (const expression of [audit.nameless, audit.headings, audit.faint, audit.tooWide, audit.tooSmall]) {
            assert.deepStrictEqual(yield* evaluate(page, expression), [])
          }
        })
        fake.remember([{
          ...entry,
          at,
          from: "PASSIVE",
          to: "ACTIVE",
          say: "x".repeat(300),
          evidence: "e",
          reason: "r"
        }])
        yield* Effect.promise(() => page.reload())
        yield* says(page, "#timeline li", "xxx")
        yield* Effect.promise(() => page.emulateMedia({ reducedMotion: "reduce" }))
        const pairs: ReadonlyArray<PairStatus> = [
          both(),
          both(
            Fake.statusOf("primary", {
              state: "REJOINING",
              hold: { kind: "damped", until: at },
              ...heard("ACTIVE", true)
            })
          ),
          {
            self: Fake.statusOf("backup", { state: "HANDING_OVER", answers: false }),
            peer: { status: null, error: "refused" }
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
              fake.say(pair)
              yield* says(page, `[data-role=${pair.self.role}] .state`, pair.self.state)
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

/** Servers with a status server each. */
const startPair = Effect.gen(function*() {
  const at = yield* freeEndpoints
  // Whoever gives endpoints knows ports that are free.
  const { backup, primary } = yield* freeEndpoints
  const http = { primary: primary.frontend.replace("tcp://", ""), backup: backup.frontend.replace("tcp://", "") }
  const start = (role: Role) =>
    bstar(
      [
        ...serverArgs(role, at, "200 millis"),
        "--policy",
        "hardened",
        "--http",
        http[role],
        "--peer-http",
        http[other(role)]
      ],
      { BSTAR_HTTP_TOKEN: "secret" }
    )
  const client = bstar([
    "client",
    ...["--server", at.primary.frontend, "--server", at.backup.frontend],
    ...["--timeout", "30 seconds", "--interval", "10 millis"]
  ])
  return { http, start, client }
})

const isShown = (page: Page, role: Role, state: RegExp | string) => says(page, `[data-role=${role}] .state`, state)

describe.skipIf(!Browser.isThere)(`the dashboard of a real pair (skipped where there is no ${where})`, () => {
  it.scopedLive(
    "shows a failover, gives orders, and says when nobody answers it any more",
    () =>
      Effect.gen(function*() {
        const { client, http, start } = yield* startPair
        const primary = yield* start("primary")
        const backup = yield* start("backup")
        yield* primary.waitForLine(/ready as active/)
        yield* backup.waitForLine(/ready as passive/)
        const user = yield* client
        yield* user.waitForLine(/replied OK \(5\)/)

        const browser = yield* Browser.launch
        const { errors, page } = yield* open(browser, `http://${http.backup}/`)
        yield* isShown(page, "primary", "ACTIVE answers clients")
        yield* isShown(page, "backup", "PASSIVE stands by")
        yield* says(page, "#health", "Healthy")
        yield* says(page, "#rates .legend", /primary [1-9]/)
        yield* says(page, "#latency .legend", /p50 [0-9.]+ ms/)

        // Failover.
        yield* primary.kill("SIGKILL")
        yield* isShown(page, "backup", "ACTIVE answers clients")
        yield* says(
          page,
          "#timeline li",
          /backup\s*PASSIVE→ACTIVEClientRequestfailover successful, ready as active.*vote by client/
        )
        yield* says(page, "#timeline li", /primary\s*ACTIVE→silent/)
        yield* says(page, "#health", "Degraded")
        yield* says(page, ".banner", "Peer silent. The backup hears no word from the primary")
        yield* isShown(page, "primary", "SILENT")
        assert.strictEqual(yield* Effect.promise(() => page.locator(".edge.last.backup").count()), 1)

        // The primary comes back, and the operator gives it the clients again.
        const restarted = yield* start("primary")
        yield* restarted.waitForLine(/ready as passive/)
        yield* says(page, "#health", "Healthy")
        yield* isShown(page, "primary", "PASSIVE stands by")
        yield* unlock(page)
        yield* Effect.promise(() => page.locator("#reason").fill("back to the good machine"))
        yield* Effect.promise(() => page.locator("button[value=switchover]").click())
        yield* Effect.promise(() => page.locator("#confirm-yes").click())
        yield* says(page, "#answer[data-level=good]", "clients waited")
        yield* says(page, "#orders[aria-busy=false]", "")
        yield* isShown(page, "primary", "ACTIVE answers clients")
        yield* isShown(page, "backup", "PASSIVE stands by")
        yield* says(page, "#timeline li", /backup\s*ACTIVE→HANDING_OVER.*reason: back to the good machine/)
        yield* says(page, "#timeline li", /primary\s*PASSIVE→ACTIVE/)

        // Maintenance.
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* says(page, ".banner", "Paused: backup. No vote makes it take over (back to the good machine), since")
        yield* says(page, "[data-role=backup] header", "paused")
        yield* says(page, "#orders[aria-busy=false]", "")
        yield* Effect.promise(() => page.locator("button[value=resume]").click())
        yield* says(page, "#health", "Healthy")

        // A wrong token.
        yield* Effect.promise(() => page.locator("#lock").click())
        yield* unlock(page, "wrong")
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* says(page, "#answer", "The token is wrong.")
        assert.deepStrictEqual(errors.filter((error) => !/401/.test(error)), [])

        // The server that the page came from is gone, and comes back.
        const replies = user.lines.length
        yield* backup.kill("SIGKILL")
        yield* says(page, "#link", "connection lost")
        yield* says(page, ".banner", "Connection lost. This server does not answer.")
        yield* start("backup")
        yield* says(page, "#link", "live")
        yield* says(page, "#health", "Healthy")
        yield* user.waitForLine(/replied OK/, replies)
        // What was known of the process before is not forgotten.
        yield* says(page, "#timeline li", "reason: back to the good machine")
        yield* Effect.promise(() => page.setViewportSize({ width: 360, height: 800 }))
        assert.deepStrictEqual(yield* evaluate(page, audit.tooWide), [])
      }),
    120_000
  )
})
