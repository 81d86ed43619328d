/**
 * Screenshots of the dashboard in each state, light, dark and on a phone, to be looked at:
 *
 *     npx tsx test/dashboard/screenshots.ts FOLDER
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Page } from "playwright-core"
import type { NodeStatus, PairStatus } from "../../src/status/Status.ts"
import * as Browser from "./browser.ts"
import { pairStatusOf, received, statusOf, witnessedStatusOf } from "./fakeStatus.ts"
import * as Fake from "./fakeStatusServer.ts"

const folder = process.argv[2]
if (folder === undefined) {
  throw new Error("which folder? npx tsx test/dashboard/screenshots.ts FOLDER")
}
fs.mkdirSync(folder, { recursive: true })

type FakeServer = Effect.Effect.Success<typeof Fake.make>

const startMillis = Date.parse(statusOf("primary").now)
const bounds = [0.5, 1, 2, 5, 10, 1000, 5000]

/** Statuses of the last minutes, one a second: steady traffic, and a failover with one request that waited for it. */
const statusesOf = (last: PairStatus): ReadonlyArray<PairStatus> => {
  let accepted = 100_000
  const counts = [0, 0, 0, 0, 0, 0, 0]
  return Array.from({ length: 170 }, (_, i) => {
    const isPause = i > 100 && i < 103
    const more = isPause ? 0 : 900 + Math.round(120 * Math.sin(i / 9))
    accepted += more
    counts[0] = counts[0]! + Math.round(more * 0.7)
    counts[1] = counts[1]! + Math.round(more * 0.27)
    counts[2] = counts[2]! + Math.round(more * 0.03)
    counts[6] = counts[6]! + (i === 103 ? 60 : 0)
    const atThatTime = (status: NodeStatus): NodeStatus => ({
      ...status,
      now: new Date(startMillis - (169 - i) * 1000).toISOString(),
      uptimeMillis: status.uptimeMillis - (169 - i) * 1000,
      ...(status.answers
        ? {
          counters: { ...status.counters, accepted },
          latency: { ...status.latency, buckets: { boundsMillis: bounds, counts: [...counts] } }
        }
        : {})
    })
    return {
      self: atThatTime(last.self),
      peer: last.peer && { ...last.peer, status: last.peer.status && atThatTime(last.peer.status) }
    }
  })
}

const paused = { kind: "paused", reason: "new switch in rack 4", since: "2026-01-31T12:59:50.000Z" } as const
const entry = { explanation: null, reason: null, term: null } as const

const transitions = [
  {
    ...entry,
    at: new Date(startMillis - 67_000).toISOString(),
    from: "PASSIVE",
    to: "ACTIVE",
    cause: "PeerHandsOver",
    message: "took over by switchover: new kernel, ready as active",
    explanation: "the final heartbeat of term 0.1",
    reason: "new kernel",
    term: { text: "3.1", token: 196_609 }
  },
  ...Array.from({ length: 12 }, (_, i) => ({
    ...entry,
    at: new Date(startMillis - (i + 2) * 3_600_000).toISOString(),
    from: i % 2 === 0 ? "ACTIVE" : "PASSIVE",
    to: i % 2 === 0 ? "PASSIVE" : "ACTIVE",
    cause: i % 2 === 0 ? "PeerActive" : "ClientRequest",
    message: i % 2 === 0 ? "connected to primary (active), ready as passive" : "failover successful, ready as active"
  } as const))
] as const

const passive = { state: "PASSIVE", answers: false } as const
const byKillOfPeer: PairStatus = {
  self: statusOf("backup", {
    state: "ACTIVE",
    answers: true,
    since: new Date(startMillis - 67_000).toISOString(),
    cause: "ClientRequest",
    message: "failover successful, ready as active",
    explanation: "the peer is down (connection to tcp://10.0.0.1:5003 refused); vote by client 006b8b4567",
    ...received("ACTIVE", true)
  }),
  peer: { status: null, error: "no process listens there (connection refused)", ageMillis: null }
}

interface Scene {
  readonly pair: PairStatus
  readonly prepare?: (page: Page, fake: FakeServer) => Effect.Effect<void>
}

const click = (page: Page, selector: string) => Effect.promise(() => page.locator(selector).first().click())

const scenes: { readonly [name: string]: Scene } = {
  healthy: { pair: pairStatusOf() },
  "after-switchover": {
    pair: pairStatusOf(
      statusOf("primary", { ...passive, ...received("ACTIVE", false) }),
      statusOf("backup", {
        state: "ACTIVE",
        answers: true,
        cause: "PeerHandsOver",
        message: "took over by switchover: new kernel, ready as active",
        reason: "new kernel",
        since: new Date(startMillis - 67_000).toISOString(),
        ...received("PASSIVE", false)
      })
    )
  },
  alone: { pair: byKillOfPeer },
  "two-actives": { pair: pairStatusOf(undefined, statusOf("backup", { state: "ACTIVE", answers: true })) },
  "none-active": {
    pair: pairStatusOf(
      statusOf("primary", { ...passive, ...received("PASSIVE", false) }),
      statusOf("backup", received("PASSIVE", false))
    )
  },
  lost: {
    pair: pairStatusOf(),
    prepare: (page, fake) =>
      Effect.gen(function*() {
        yield* Browser.unlock(page)
        fake.stop()
        yield* Browser.shows(page, "#link", "connection lost")
      })
  },
  unlocked: { pair: pairStatusOf(), prepare: (page) => Browser.unlock(page) },
  "wrong-token": {
    pair: pairStatusOf(),
    prepare: (page) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => page.locator("#token").fill("wrong"))
        yield* click(page, "#unlock button")
        yield* Browser.shows(page, "#result", "wrong")
      })
  },
  paused: {
    pair: pairStatusOf(undefined, statusOf("backup", { takeoverBlock: paused })),
    prepare: (page) => Browser.unlock(page)
  },
  confirm: {
    pair: pairStatusOf(),
    prepare: (page) =>
      Effect.gen(function*() {
        yield* Browser.unlock(page)
        yield* Effect.promise(() => page.locator("#reason").fill("new kernel"))
        yield* click(page, "button[value=switchover]")
      })
  },
  witnessed: { pair: pairStatusOf(witnessedStatusOf("primary"), witnessedStatusOf("backup")) },
  unfolded: {
    pair: pairStatusOf(),
    prepare: (page) =>
      Effect.gen(function*() {
        yield* Browser.evaluate(page, `document.querySelectorAll("details").forEach((one) => { one.open = true })`)
        yield* click(page, "#timeline-more")
      })
  }
}

const looks = {
  light: { colorScheme: "light", width: 1280, height: 900 },
  dark: { colorScheme: "dark", width: 1280, height: 900 },
  phone: { colorScheme: "light", width: 375, height: 667 }
} as const

const takeAll = Effect.gen(function*() {
  const browser = yield* Browser.launch
  for (const [name, { pair, prepare }] of Object.entries(scenes)) {
    const fake = yield* Fake.make
    fake.setHistory(transitions)
    fake.sendPair(pair)
    const { page } = yield* Browser.open(browser, fake.url)
    yield* Browser.shows(page, "#timeline li", /./)
    for (const status of statusesOf(pair)) {
      fake.sendPair(status)
    }
    yield* Browser.shows(page, "#link", "live")
    yield* prepare?.(page, fake) ?? Effect.void
    for (const [look, { colorScheme, height, width }] of Object.entries(looks)) {
      yield* Effect.promise(async () => {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" })
        await page.setViewportSize({ width, height })
        await page.screenshot({ path: path.join(folder, `${name}-${look}.png`), fullPage: true })
        if (look === "phone") {
          await page.screenshot({ path: path.join(folder, `${name}-phone-first.png`) })
        }
      })
    }
    yield* Effect.promise(() => page.close())
  }
})

await Effect.runPromise(Effect.scoped(takeAll))
