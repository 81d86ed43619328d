/**
 * A real browser, if there is one, and what tests do with a page.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type BrowserContext, chromium, type Page } from "playwright-core"

const executablePath = "/usr/bin/chromium"

/** Tests in a browser are skipped without one. */
export const isAbsent = !fs.existsSync(executablePath)
export const title = `in a browser (skipped without ${executablePath})`

/** Starts a browser with a new profile. It is closed with the scope. */
export const launch = Effect.acquireRelease(
  Effect.promise(async () => {
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-chromium-"))
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      viewport: { width: 1280, height: 900 },
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync"
      ]
    })
    return { context, profile }
  }),
  ({ context, profile }) =>
    Effect.promise(async () => {
      await context.close()
      fs.rmSync(profile, { recursive: true, force: true })
    })
).pipe(Effect.map(({ context }) => context))

/** Opens a page, and collects its errors. */
export const open = (browser: BrowserContext, url: string): Effect.Effect<{ page: Page; errors: Array<string> }> =>
  Effect.promise(async () => {
    const page = await browser.newPage()
    const errors: Array<string> = []
    page.on("pageerror", (error) => errors.push(error.message))
    page.on("console", (message) => {
      // The browser itself logs responses with an error status, as to the check of a token.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        errors.push(message.text())
      }
    })
    await page.goto(url)
    return { page, errors }
  })

/** Waits until an element has this text. */
export const shows = (page: Page, selector: string, text: RegExp | string) =>
  Effect.promise(() => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 20_000 }))

export const textsOf = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).allTextContents())

export const evaluate = <A>(page: Page, expression: string) => Effect.promise(() => page.evaluate<A>(expression))

/** Enters the token of the operator. */
export const unlock = (page: Page, token = "secret") =>
  Effect.promise(async () => {
    await page.locator("#token").fill(token)
    await page.keyboard.press("Enter")
    await page.locator("#commands").waitFor()
  })
