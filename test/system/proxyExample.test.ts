/** The proxy of the examples, with workers in another language. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import * as BinaryStarClient from "../../src/client/BinaryStarClient.ts"
import * as Frames from "../../src/wire/Frames.ts"
import * as ZmqClientLink from "../../src/zeromq/ZmqClientLink.ts"
import type { Role } from "../support/processes.ts"
import { freeEndpoints, other, root, run } from "../support/processes.ts"
import { quiet } from "../support/sockets.ts"

const python = ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", "import zmq"]).status === 0)

const file = (name: string) => path.join(root, "test/examples", name)

describe("the examples proxy.ts and worker.py", () => {
  if (python === undefined) {
    it.skip("examples proxy.ts and worker.py: skipped, python3 has no zmq (apt-get install python3-zmq)", () => {})
    return
  }

  it.scopedLive("examples proxy.ts and worker.py: clients are answered, also after the active server is killed", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const workersAt = yield* freeEndpoints
      const backends = [workersAt.primary.frontend, workersAt.backup.frontend]
      const start = (role: Role) =>
        run(process.execPath, ["--import", "tsx", file("proxy.ts")], {
          env: {
            BSTAR_ROLE: role,
            BSTAR_POLICY: "hardened",
            BSTAR_HEARTBEAT: "400 millis",
            BSTAR_FRONTEND: at[role].frontend,
            BSTAR_STATE: at[role].state,
            BSTAR_PEER: at[other(role)].state,
            BSTAR_BACKEND: workersAt[role].frontend
          }
        })
      const primary = yield* start("primary")
      const backup = yield* start("backup")
      yield* backup.waitForLine(/ready as passive/)
      for (
        const worker of [
          yield* run(python, [file("worker.py"), ...backends]),
          yield* run(python, [file("worker.py"), ...backends])
        ]
      ) {
        yield* worker.waitForLine("worker: ready")
      }
      const { request } = yield* BinaryStarClient.make({ servers: [at.primary.frontend, at.backup.frontend] }).pipe(
        Effect.provide(ZmqClientLink.layer)
      )
      assert.strictEqual(Frames.toString(yield* request("hello")), "HELLO")
      yield* primary.kill("SIGKILL")
      assert.strictEqual(Frames.toString(yield* request("again")), "AGAIN")
    }).pipe(Effect.provide(quiet)))
})
