import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as audit from "../dashboard/audit.ts"
import * as Browser from "../dashboard/browser.ts"
import { evaluate, open, shows, unlock } from "../dashboard/browser.ts"
import { start as startServer } from "../support/pair.ts"
import type { Role } from "../support/processes.ts"
import { bstar, freeAddresses, freeEndpoints, other } from "../support/processes.ts"
import { safeHeartbeatMillis } from "../support/times.ts"

/** Two servers with a status server each, and a client. */
const startPair = Effect.gen(function*() {
  const at = yield* freeEndpoints
  const http = yield* freeAddresses
  const start = (role: Role) =>
    startServer(role, at, safeHeartbeatMillis, {
      args: ["--http", http[role], "--peer-http", http[other(role)]],
      env: { BSTAR_HTTP_TOKEN: "secret" }
    })
  const client = bstar([
    "client",
    ...["--server", at.primary.frontend, "--server", at.backup.frontend],
    ...["--timeout", "30 seconds", "--interval", "10 millis"]
  ])
  return { http, start, client }
})

/** Records every level that the page shows. */
const watchHealth = `{
  globalThis.levels = []
  const health = document.getElementById("health")
  new MutationObserver(() => levels.push(health.textContent)).observe(health, { childList: true, characterData: true, subtree: true })
}`

const isShown = (page: Page, role: Role, state: RegExp | string) => shows(page, `[data-role=${role}] .state`, state)

describe.skipIf(Browser.isAbsent)(`the dashboard of a real pair ${Browser.title}`, () => {
  it.scopedLive(
    "dashboard: shows a failover, sends commands, and shows a lost connection",
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
        yield* shows(page, "#health", "healthy")
        yield* evaluate(page, watchHealth)
        yield* shows(page, "#rates .legend", /primary [1-9]/)
        yield* shows(page, "#latency .legend", /p50 [0-9.]+ ms/)

        // Failover.
        yield* primary.kill("SIGKILL")
        yield* isShown(page, "backup", "ACTIVE answers clients")
        yield* shows(
          page,
          "#timeline li",
          /backup\s*PASSIVE→ACTIVE(term \d+\.\d+)?ClientRequestfailover successful, ready as active.*vote by client/
        )
        yield* shows(page, "#timeline li", /primary\s*ACTIVE→silent/)
        yield* shows(page, "#health", "degraded")
        yield* shows(page, "#judgement", "backup is active, but")
        assert.notInclude(yield* evaluate<ReadonlyArray<string>>(page, "globalThis.levels"), "two actives")
        yield* isShown(page, "primary", "SILENT")
        assert.strictEqual(yield* Effect.promise(() => page.locator(".edge.last.backup").count()), 1)

        // The primary is restarted, and the operator hands over to it.
        const restarted = yield* start("primary")
        yield* restarted.waitForLine(/ready as passive/)
        yield* shows(page, "#health", "healthy")
        yield* isShown(page, "primary", "PASSIVE stands by")
        yield* Effect.promise(() => page.locator("#timeline-more").click())
        yield* unlock(page)
        yield* Effect.promise(() => page.locator("#reason").fill("back to the good machine"))
        yield* Effect.promise(() => page.locator("button[value=switchover]").click())
        yield* Effect.promise(() => page.locator("#confirm-yes").click())
        yield* shows(page, "#result[data-level=good]", "clients waited")
        yield* shows(page, "#commands[aria-busy=false]", "")
        yield* isShown(page, "primary", "ACTIVE answers clients")
        yield* isShown(page, "backup", "PASSIVE stands by")
        yield* shows(page, "#timeline li", /backup\s*ACTIVE→HANDING_OVER.*reason: back to the good machine/)
        const reason = "took over by switchover: back to the good machine"
        yield* shows(page, "#timeline li", new RegExp(`primary\\s*PASSIVE→ACTIVE.*${reason}`))
        yield* shows(page, "#timeline li", new RegExp(`backup\\s*HANDING_OVER→PASSIVE.*primary ${reason}`))
        yield* shows(page, "[data-role=primary] .message", reason)

        // And back: this server has its peer hand over.
        yield* Effect.promise(() => page.locator("button[value=switchover]").click())
        yield* shows(page, "#confirm-text", "The primary completes what it has accepted and hands over to the backup.")
        yield* Effect.promise(() => page.locator("#confirm-yes").click())
        yield* shows(page, "#result[data-level=good]", "clients waited")
        yield* shows(page, "#commands[aria-busy=false]", "")
        yield* isShown(page, "backup", "ACTIVE answers clients")
        yield* isShown(page, "primary", "PASSIVE stands by")

        // Maintenance of the server that stands by.
        yield* Effect.promise(() => page.locator("button[value=pause]").click())
        yield* shows(page, "#findings li", /primary is paused.*back to the good machine/)
        yield* shows(page, "[data-role=primary] header", "paused")
        yield* shows(page, "#commands[aria-busy=false]", "")
        yield* Effect.promise(() => page.locator("button[value=resume]").click())
        yield* shows(page, "#health", "healthy")

        // A wrong token.
        yield* Effect.promise(() => page.locator("#lock").click())
        yield* Effect.promise(() => page.locator("#token").fill("wrong"))
        yield* Effect.promise(() => page.locator("#unlock button").click())
        yield* shows(page, "#result", "The token is wrong.")
        assert.deepStrictEqual(errors, [])

        // The server of the page is killed and restarted.
        const replies = user.lines.length
        yield* backup.kill("SIGKILL")
        yield* shows(page, "#link", "connection lost")
        yield* shows(page, "#judgement", "This server does not respond.")
        assert.strictEqual(
          yield* Effect.promise(() => page.locator("#judgement a").getAttribute("href")),
          `http://${http.primary}/`
        )
        yield* start("backup")
        yield* shows(page, "#link", "live")
        yield* shows(page, "#health", "healthy")
        yield* user.waitForLine(/replied OK/, replies)
        // The page keeps the transitions of the process before.
        yield* shows(page, "#timeline li", "reason: back to the good machine")
        yield* Effect.promise(() => page.setViewportSize({ width: 360, height: 800 }))
        assert.deepStrictEqual(yield* evaluate(page, audit.tooWide), [])
      })
  )
})
