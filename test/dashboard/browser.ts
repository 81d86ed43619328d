/**
 * A real browser, where there is one.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { chromium } from "playwright-core"

const executablePath = "/usr/bin/chromium"

export const isThere = fs.existsSync(executablePath)

/** Starts a browser with a profile of its own. It is closed with the scope. */
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
