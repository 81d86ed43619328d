/**
 * `bstar demo`: a pair and a client on this machine, each a process of its own. Kills each server in turn and reports how long the
 * client had to wait.
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
  readonly source: string
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

/** The demonstration did not go as it should. */
export class DemoFailed extends Data.TaggedError("DemoFailed")<{ readonly message: string }> {}

/** The demonstration is about the defaults, so its processes do not inherit other settings. */
const clearEnvironment = Effect.sync(() => {
  for (const name of Object.keys(process.env).filter((name) => name.startsWith("BSTAR_"))) {
    delete process.env[name]
  }
})

/** Of fifty replies a second the first is printed, and then one a second. */
const isSkipped = (text: string): boolean => {
  const reply = /server replied OK \((\d+)\)/.exec(text)
  return reply !== null && reply[1] !== "1" && Number(reply[1]) % 50 !== 0
}

const endpoint = (port: number) => `tcp://127.0.0.1:${port}`

const linesOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Stream.splitLines(Stream.decodeText(bytes))

export const run = Effect.gen(function*() {
  yield* clearEnvironment
  const failure = yield* Deferred.make<never, DemoFailed>()
  const { failed } = yield* Output
  yield* Effect.raceFirst(script(failure), Deferred.await(failure)).pipe(
    Effect.raceFirst(failed),
    Effect.timeoutFail({
      duration: "2 minutes",
      onTimeout: () => new DemoFailed({ message: "the demo did not end within two minutes" })
    })
  )
}).pipe(
  Effect.scoped,
  Effect.provide(NodeCommandExecutor.layer.pipe(Layer.provide(NodeFileSystem.layer)))
)

/** The lines of all processes, as they are printed. */
const makeTranscript = Effect.map(SubscriptionRef.make<ReadonlyArray<Line>>([]), (lines) => ({
  write: (source: string, text: string) =>
    Effect.gen(function*() {
      const at = yield* monotonicMillis
      yield* SubscriptionRef.update(lines, (all) => [...all, { source, text, at }])
      yield* isSkipped(text) ? Effect.void : Console.log(`${source.padEnd(7)} | ${printable(text)}`)
    }),
  /** Waits for the first line of a process, from a moment on, that contains a text. */
  find: (source: string, text: string, since: number) =>
    lines.changes.pipe(
      Stream.mapConcat((all) =>
        all.filter((line) => line.source === source && line.at >= since && line.text.includes(text))
      ),
      Stream.runHead,
      Effect.flatten
    )
}))

type Transcript = Effect.Effect.Success<typeof makeTranscript>

/** Starts `bstar`. An exit code fails the demonstration: a process that was killed has none. */
const spawn = (
  { write }: Transcript,
  failure: Deferred.Deferred<never, DemoFailed>,
  name: string,
  args: ReadonlyArray<string>
) =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const child = yield* executor.start(Command.make(process.execPath, process.argv[1]!, ...args))
    yield* Stream.merge(linesOf(child.stdout), linesOf(child.stderr)).pipe(
      Stream.runForEach((text) => write(name, text)),
      Effect.forkScoped
    )
    yield* child.exitCode.pipe(
      Effect.flatMap((code) =>
        Deferred.fail(failure, new DemoFailed({ message: `the ${name} has ended with exit code ${code}` }))
      ),
      Effect.ignore,
      Effect.forkScoped
    )
    return child
  })

/** The arguments of the three processes, on ports that are free. */
const makeArguments = Effect.gen(function*() {
  const [primary, backup, primaryState, backupState] = yield* Effect.all(
    [freePort, freePort, freePort, freePort],
    // At the same time, so that the system gives no port twice.
    { concurrency: "unbounded" }
  )
  const server = (flag: string, frontend: number, state: number, peer: number) => [
    ...[flag, "--policy", "hardened", "--frontend", endpoint(frontend)],
    ...["--state", endpoint(state), "--peer", endpoint(peer)]
  ]
  return {
    frontends: { primary: endpoint(primary), backup: endpoint(backup) },
    primary: server("-p", primary, primaryState, backupState),
    backup: server("-b", backup, backupState, primaryState),
    client: ["client", "--server", endpoint(primary), "--server", endpoint(backup), "--interval", "20ms"]
  }
})

/** Kills a server and waits until the client has a reply from the other one. Returns how long that took. */
const failOver = (
  { find, write }: Transcript,
  name: string,
  victim: CommandExecutor.Process,
  other: string,
  frontend: string
) =>
  Effect.gen(function*() {
    yield* write("demo", `kill -9 ${name} (process ${victim.pid})`)
    const killed = yield* monotonicMillis
    yield* victim.kill("SIGKILL")
    const found = yield* find("client", `server at ${frontend} is active`, killed)
    const served = yield* find("client", "server replied OK", found.at)
    const millis = Math.round(served.at - killed)
    yield* write("demo", `the ${other} has replied ${millis} ms after the kill`)
    return millis
  })

const script = Effect.fnUntraced(function*(failure: Deferred.Deferred<never, DemoFailed>) {
  const transcript = yield* makeTranscript
  const { find, write } = transcript
  const args = yield* makeArguments
  const start = (name: "primary" | "backup" | "client") => spawn(transcript, failure, name, args[name])

  yield* write("demo", "starting a primary, a backup and a client")
  const primary = yield* start("primary")
  const backup = yield* start("backup")
  yield* find("backup", "ready as passive", 0)
  yield* start("client")
  yield* find("client", "server replied OK (50)", 0)

  const failover = yield* failOver(transcript, "primary", primary, "backup", args.frontends.backup)
  yield* write("demo", "restarting the primary: it becomes passive, and clients notice nothing")
  const restarted = yield* monotonicMillis
  yield* start("primary")
  yield* find("primary", "ready as passive", restarted)

  const recovery = yield* failOver(transcript, "backup", backup, "primary", args.frontends.primary)
  yield* write("demo", `done: failover in ${failover} ms, recovery in ${recovery} ms`)
})
