/**
 * `bstar demo`: a pair and a client on this machine, each a process of its own. Kills each server in turn and tells how
 * long the client had to wait.
 */
import * as NodeCommandExecutor from "@effect/platform-node/NodeCommandExecutor"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Command from "@effect/platform/Command"
import * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as net from "node:net"
import { monotonicMillis } from "../../internal/Clock.ts"
import { Output } from "../output.ts"
import { printable } from "../text.ts"

interface Line {
  readonly who: string
  readonly text: string
  readonly at: number
}

const freePort = Effect.async<number>((resume) => {
  const server = net.createServer()
  server.on("error", (error) => resume(Effect.die(error)))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(address.port)))
  })
})

/** What went wrong with the demonstration. */
export class DemoFailed extends Data.TaggedError("DemoFailed")<{ readonly message: string }> {}

/** The demonstration is about the defaults, so what the environment says to its processes is left out. */
const forgetEnvironment = Effect.sync(() => {
  for (const name of Object.keys(process.env).filter((name) => name.startsWith("BSTAR_"))) {
    delete process.env[name]
  }
})

const hardened = ["--policy", "hardened"]

/** Of fifty replies a second, all but the first and then one a second. */
const isChatter = (text: string): boolean => {
  const reply = /server replied OK \((\d+)\)/.exec(text)
  return reply !== null && reply[1] !== "1" && Number(reply[1]) % 50 !== 0
}

const endpoint = (port: number) => `tcp://127.0.0.1:${port}`

const linesOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Stream.splitLines(Stream.decodeText(bytes))

export const run = Effect.gen(function*() {
  yield* forgetEnvironment
  const failure = yield* Deferred.make<never, DemoFailed>()
  const { failed } = yield* Output
  yield* Effect.raceFirst(script(failure), Deferred.await(failure)).pipe(
    Effect.raceFirst(failed),
    Effect.timeoutFail({
      duration: "2 minutes",
      onTimeout: () => new DemoFailed({ message: "the demo has not come to its end in two minutes" })
    })
  )
}).pipe(
  Effect.scoped,
  Effect.provide(NodeCommandExecutor.layer.pipe(Layer.provide(NodeFileSystem.layer)))
)

const script = Effect.fnUntraced(function*(failure: Deferred.Deferred<never, DemoFailed>) {
  const executor = yield* CommandExecutor.CommandExecutor
  const lines = yield* SubscriptionRef.make<ReadonlyArray<Line>>([])

  const write = (who: string, text: string) =>
    Effect.gen(function*() {
      const at = yield* monotonicMillis
      yield* SubscriptionRef.update(lines, (all) => [...all, { who, text, at }])
      yield* isChatter(text) ? Effect.void : Console.log(`${who.padEnd(7)} | ${printable(text)}`)
    })
  const tell = (text: string) => write("demo", text)

  /** Waits for the first of someone's lines, from a moment on, that has a text in it. */
  const heard = (who: string, text: string, since: number) =>
    lines.changes.pipe(
      Stream.mapConcat((all) => all.filter((line) => line.who === who && line.at >= since && line.text.includes(text))),
      Stream.runHead,
      Effect.flatten
    )

  const spawn = (who: string, ...args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const child = yield* executor.start(Command.make(process.execPath, process.argv[1]!, ...args))
      yield* Stream.merge(linesOf(child.stdout), linesOf(child.stderr)).pipe(
        Stream.runForEach((text) => write(who, text)),
        Effect.forkScoped
      )
      yield* child.exitCode.pipe(
        Effect.flatMap((code) =>
          Deferred.fail(failure, new DemoFailed({ message: `the ${who} has ended with exit code ${code}` }))
        ),
        // A child that was killed has no exit code, and is meant to have none.
        Effect.ignore,
        Effect.forkScoped
      )
      return child
    })

  const [primaryFrontend, backupFrontend, primaryState, backupState] = yield* Effect.all(
    [freePort, freePort, freePort, freePort],
    // All at once, so that none of them is given twice.
    { concurrency: "unbounded" }
  )
  const startPrimary = spawn(
    "primary",
    "-p",
    ...hardened,
    ...["--frontend", endpoint(primaryFrontend), "--state", endpoint(primaryState), "--peer", endpoint(backupState)]
  )
  const startBackup = spawn(
    "backup",
    "-b",
    ...hardened,
    ...["--frontend", endpoint(backupFrontend), "--state", endpoint(backupState), "--peer", endpoint(primaryState)]
  )
  const startClient = spawn(
    "client",
    "client",
    ...["--server", endpoint(primaryFrontend), "--server", endpoint(backupFrontend), "--interval", "20 millis"]
  )

  /** Kills a server and waits until the client has an answer from the other one. */
  const failOver = (who: string, victim: CommandExecutor.Process, other: string, frontend: number) =>
    Effect.gen(function*() {
      yield* tell(`kill -9 ${who} (process ${victim.pid})`)
      const killed = yield* monotonicMillis
      yield* victim.kill("SIGKILL")
      const found = yield* heard("client", `server at ${endpoint(frontend)} is active`, killed)
      const served = yield* heard("client", "server replied OK", found.at)
      const millis = Math.round(served.at - killed)
      yield* tell(`the ${other} has answered ${millis} ms after the kill`)
      return millis
    })

  yield* tell("starting a primary, a backup and a client")
  const primary = yield* startPrimary
  const backup = yield* startBackup
  yield* heard("backup", "ready as passive", 0)
  yield* startClient
  yield* heard("client", "server replied OK (50)", 0)

  const failover = yield* failOver("primary", primary, "backup", backupFrontend)
  yield* tell("restarting the primary: it comes back as passive and disturbs nobody")
  const restarted = yield* monotonicMillis
  yield* startPrimary
  yield* heard("primary", "ready as passive", restarted)

  const recovery = yield* failOver("backup", backup, "primary", primaryFrontend)
  yield* tell(`done: failover in ${failover} ms, recovery in ${recovery} ms`)
})
