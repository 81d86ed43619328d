// Opens files until no descriptor is left, and then tries operations that need one. Prints their results.
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as guardianClient from "../../src/command/guardianClient.ts"
import { mayRun } from "../../src/command/ProcessGroup.ts"
import { withStreams } from "../../src/internal/Spawned.ts"
import { publicKeys } from "../../src/security/keyFiles.ts"
import * as ZmqSocket from "../../src/zeromq/ZmqSocket.ts"

const directory = process.argv[2]!

const exhausted = async <A>(use: () => Promise<A>): Promise<A> => {
  const open: Array<number> = []
  try {
    for (;;) {
      open.push(fs.openSync("/dev/null", "r"))
    }
  } catch {
    // No descriptor is left.
  }
  const result = await use()
  open.forEach((descriptor) => fs.closeSync(descriptor))
  return result
}

const keys = publicKeys(directory, (name) => name.endsWith(".key"), "remedy")
const read = async () => {
  const { issues, names } = await Effect.runPromise(keys)
  return { names: [...names.values()], issues: issues.map(({ message }) => message) }
}
const before = await read()
const during = await exhausted(async () => {
  // Keys are read again only after a while.
  await Effect.runPromise(Effect.sleep("200 millis"))
  const spawned = () => {
    try {
      return withStreams(spawn("true", { stdio: "pipe" })).pid
    } catch (error) {
      return String(error)
    }
  }
  const guarded = Effect.scoped(
    Effect.flatMap(
      guardianClient.make,
      ({ run }) => run({ command: "true", args: [], env: {}, graceMillis: 100, until: 0 })
    )
  )
  return {
    keys: await read(),
    spawned: spawned(),
    guarded: (await Effect.runPromise(guarded))._tag,
    mayRun: mayRun(process.pid),
    socket: (await Effect.runPromise(Effect.scoped(Effect.flip(ZmqSocket.makeRouter())))).message
  }
})
process.stdout.write(JSON.stringify({ before, during }))
