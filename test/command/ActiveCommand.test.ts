import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ActiveCommand from "../../src/command/ActiveCommand.ts"
import { Lease } from "../../src/command/Lease.ts"
import { BinaryStar } from "../../src/member/BinaryStar.ts"
import { NoTerm } from "../../src/member/MemberError.ts"
import type { Transition } from "../../src/member/Report.ts"
import type { Term } from "../../src/protocol/Term.ts"
import { quiet } from "../support/sockets.ts"

const began: Transition = { from: "PASSIVE", to: "ACTIVE", cause: "RightGained", message: "active", at: 0 }

/** Runs a command on a member that is active, and whose term has no number yet; returns what the command had as its token. */
const run = (fencing: "optional" | "required") =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-command-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const file = path.join(directory, "token")
    const number = yield* Deferred.make<Term>()
    const member = {
      role: "primary",
      config: { fencing },
      term: new NoTerm({ reason: "NotRecorded" }),
      whileActive: (effect: (active: unknown) => Effect.Effect<unknown>) =>
        Effect.zipRight(effect({ began, term: Deferred.await(number) }), Effect.never)
    } as unknown as BinaryStar["Type"]
    const lease = Lease.of({
      until: Stream.concat(Stream.make(performance.now() + 3_600_000), Stream.never),
      peerTermEnded: Effect.void,
      probe: Effect.succeed(undefined)
    })
    const fiber = yield* Effect.fork(
      ActiveCommand.run({ command: "sh", args: ["-c", `echo "<$BSTAR_NODE_TERM>" > ${file}`] }).pipe(
        Effect.provide([Layer.succeed(BinaryStar, member), Layer.succeed(Lease, lease), quiet])
      )
    )
    return {
      record: Deferred.succeed(number, { number: 3, step: 1 }),
      isStarted: () => fs.existsSync(file),
      token: Effect.map(Fiber.join(fiber), () => fs.readFileSync(file, "utf8").trim())
    }
  })

describe("a command on an active server without a term", () => {
  it.scopedLive("with the fencing required, it starts once there is one, and has it", () =>
    Effect.gen(function*() {
      const { isStarted, record, token } = yield* run("required")
      yield* Effect.sleep("500 millis")
      assert.isFalse(isStarted())
      yield* record
      assert.strictEqual(yield* token, "<196609>")
    }))

  it.scopedLive("otherwise it starts at once, without a token", () =>
    Effect.gen(function*() {
      const { token } = yield* run("optional")
      assert.strictEqual(yield* token, "<>")
    }))
})
