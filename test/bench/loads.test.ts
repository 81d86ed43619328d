import { afterEach, assert, describe, it } from "@effect/vitest"
import { Dealer } from "zeromq"
import { stopAll } from "./children.ts"
import { total } from "./histogram.ts"
import type { Load } from "./loads.ts"
import { startNativeLoad, startNodeLoad } from "./loads.ts"
import { native } from "./native/programs.ts"
import { freeEndpoints, startEcho, startPlain, startWorker } from "./servers.ts"

const { programs } = native()

afterEach(stopAll)

/** Loads an echo server briefly. */
const measure = async (load: Load) => {
  const [frontend] = await freeEndpoints()
  const { pid } = await startPlain(frontend)
  return load.echo({ endpoint: frontend, pid, clients: 3, window: 10, seconds: 0.2, warmUpSeconds: 0.1 })
}

const assertIsMeasured = (result: Awaited<ReturnType<typeof measure>>) => {
  assert.strictEqual(total(result.latencies), result.replies)
  assert.isAbove(result.replies, 100)
  assert.isAtLeast(result.allReplies, result.replies + 30)
  assert.isAtLeast(result.seconds, 0.2)
  assert.isAbove(result.p99, result.p50 - 1)
}

describe("a load", () => {
  it("written in Node measures a server", async () => {
    assertIsMeasured(await measure(startNodeLoad()))
  })

  it.runIf(programs)("native measures a server", async () => {
    assertIsMeasured(await measure(startNativeLoad(programs!.load)))
  })

  it.runIf(programs)("native ends after a number of replies", async () => {
    const { frontend, pid } = await startEcho()
    const load = startNativeLoad(programs!.load)
    const { replies } = await load.echo({ endpoint: frontend, pid, clients: 2, window: 5, requests: 1000 })
    assert.strictEqual(replies, 1000)
  })

  it.runIf(programs)("a native worker echoes", async () => {
    const [backend] = await freeEndpoints()
    const dealer = new Dealer({ linger: 0, receiveTimeout: 5000 })
    await dealer.bind(backend)
    await startWorker([backend])
    await dealer.send(["a client", "", "a request"])
    assert.deepStrictEqual((await dealer.receive()).map(String), ["a client", "", "a request"])
    dealer.close()
  })
})
