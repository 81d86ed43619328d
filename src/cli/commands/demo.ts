/**
 * `bstar demo`: a pair and a client on this machine, each a process of its own. Kills each server in turn, explains what happens, and
 * reports how long the client had to wait. With `--dashboard` it runs the same pair until it is interrupted.
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
import { randomBytes } from "node:crypto"
import * as net from "node:net"
import { monotonicMillis } from "../../internal/Clock.ts"
import { Output } from "../output.ts"
import { paintOf } from "../paint.ts"
import { type colors, printable, program } from "../text.ts"

type Source = "demo" | "primary" | "backup" | "client"

const colorOf: { readonly [S in Source]: keyof typeof colors } = {
  demo: "bold",
  primary: "cyan",
  backup: "magenta",
  client: "blue"
}

interface Line {
  readonly source: Source
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

const replyOf = (text: string): number | undefined => {
  const reply = /server replied OK \((\d+)\)/.exec(text)
  return reply === null ? undefined : Number(reply[1])
}

/** Of fifty replies a second the first is printed, and then one a second. */
const isSkipped = (text: string): boolean => {
  const reply = replyOf(text)
  return reply !== undefined && reply !== 1 && reply % 50 !== 0
}

const endpoint = (port: number) => `tcp://127.0.0.1:${port}`

const linesOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Stream.splitLines(Stream.decodeText(bytes))

export const run = (isDashboard: boolean) =>
  Effect.gen(function*() {
    yield* clearEnvironment
    const failure = yield* Deferred.make<never, DemoFailed>()
    const { failed } = yield* Output
    yield* Effect.raceFirst(isDashboard ? lookOn : script(failure), Deferred.await(failure)).pipe(
      Effect.raceFirst(failed)
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(NodeCommandExecutor.layer.pipe(Layer.provide(NodeFileSystem.layer)))
  )

/** The lines of all processes, as they are printed. */
const makeTranscript = Effect.gen(function*() {
  const lines = yield* SubscriptionRef.make<ReadonlyArray<Line>>([])
  const paint = yield* paintOf
  let isOver = false
  let isKept = true
  return {
    /** No line is looked for any more. */
    forget: Effect.suspend(() => {
      isKept = false
      return SubscriptionRef.set(lines, [])
    }),
    /** Nothing is printed after the last line, when the processes that are left are killed. */
    end: Effect.sync(() => {
      isOver = true
    }),
    write: (source: Source, text: string) =>
      Effect.gen(function*() {
        const at = yield* monotonicMillis
        yield* isKept ? SubscriptionRef.update(lines, (all) => [...all, { source, text, at }]) : Effect.void
        yield* isOver || isSkipped(text)
          ? Effect.void
          : Console.log(`${paint(colorOf[source], source.padEnd(7))} | ${printable(text)}`)
      }),
    /** Waits for the first line of a process, from a moment on, that contains a text. */
    find: (source: Source, text: string, since: number) =>
      lines.changes.pipe(
        Stream.mapConcat((all) =>
          all.filter((line) => line.source === source && line.at >= since && line.text.includes(text))
        ),
        Stream.runHead,
        Effect.flatten
      ),
    /** How many requests the client has sent, and how many of them it gave up. */
    requests: Effect.map(SubscriptionRef.get(lines), (all) => {
      const texts = all.filter(({ source }) => source === "client").map(({ text }) => text)
      const replies = new Set(texts.flatMap((text) => replyOf(text) ?? []))
      const sent = Math.max(0, ...replies)
      return { sent, lost: sent - replies.size + texts.filter((text) => text.startsWith("W: no reply")).length }
    })
  }
})

type Transcript = Effect.Effect.Success<typeof makeTranscript>

/** Starts `bstar`. */
const launch = ({ write }: Transcript, name: Source, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const executor = yield* CommandExecutor.CommandExecutor
    const command = Command.make(process.execPath, process.argv[1]!, ...args)
    const child = yield* executor.start(Command.env(command, env))
    yield* Stream.merge(linesOf(child.stdout), linesOf(child.stderr)).pipe(
      Stream.runForEach((text) => write(name, text)),
      Effect.forkScoped
    )
    return child
  })

/** Starts `bstar`. An exit code fails the demonstration: a process that was killed has none. */
const spawn = (
  transcript: Transcript,
  failure: Deferred.Deferred<never, DemoFailed>,
  name: Source,
  args: ReadonlyArray<string>
) =>
  Effect.gen(function*() {
    const child = yield* launch(transcript, name, args)
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
  const [primary, backup, primaryState, backupState, primaryHttp, backupHttp] = yield* Effect.all(
    [freePort, freePort, freePort, freePort, freePort, freePort],
    // At the same time, so that the system gives no port twice.
    { concurrency: "unbounded" }
  )
  const server = (flag: string, frontend: number, state: number, peer: number) => [
    ...[flag, "--policy", "hardened", "--frontend", endpoint(frontend)],
    ...["--state", endpoint(state), "--peer", endpoint(peer)]
  ]
  const http = (own: number, peer: number) => ["--http", `127.0.0.1:${own}`, "--peer-http", `127.0.0.1:${peer}`]
  return {
    frontends: { primary: endpoint(primary), backup: endpoint(backup) },
    http: { primary: `http://127.0.0.1:${primaryHttp}/`, backup: `http://127.0.0.1:${backupHttp}/` },
    withHttp: { primary: http(primaryHttp, backupHttp), backup: http(backupHttp, primaryHttp) },
    primary: server("-p", primary, primaryState, backupState),
    backup: server("-b", backup, backupState, primaryState),
    client: ["client", "--server", endpoint(primary), "--server", endpoint(backup), "--interval", "20ms"]
  }
})

const introduction = [
  "A primary server, its backup and a client that sends 50 requests a second: three processes on this machine.",
  "Policy hardened: one server is active and answers; the other one takes over once its peer is lost and a client asks it."
]

/** Kills a server and waits until the client has a reply from the other one. Returns how long that took. */
const failOver = (
  { find, write }: Transcript,
  name: "primary" | "backup",
  victim: CommandExecutor.Process,
  other: "primary" | "backup",
  frontend: string
) =>
  Effect.gen(function*() {
    yield* write(
      "demo",
      `kill -9 ${victim.pid}, the ${name}. The ${other} finds its port closed, the client loses its connection`
    )
    yield* write(
      "demo",
      `and sends its request to the ${other}: that is the vote by which it takes over ("failover successful").`
    )
    const killed = yield* monotonicMillis
    yield* victim.kill("SIGKILL")
    const found = yield* find("client", `server at ${frontend} is active`, killed)
    const served = yield* find("client", "server replied OK", found.at)
    const millis = Math.round(served.at - killed)
    yield* write("demo", `The ${other} has replied ${millis} ms after the kill.`)
    return millis
  })

const script = (failure: Deferred.Deferred<never, DemoFailed>) =>
  Effect.timeoutFail(story(failure), {
    duration: "2 minutes",
    onTimeout: () => new DemoFailed({ message: "the demo did not end within two minutes" })
  })

const story = Effect.fnUntraced(function*(failure: Deferred.Deferred<never, DemoFailed>) {
  const transcript = yield* makeTranscript
  const { end, find, requests, write } = transcript
  const args = yield* makeArguments
  const start = (name: "primary" | "backup" | "client") => spawn(transcript, failure, name, args[name])

  yield* Effect.forEach(introduction, (text) => write("demo", text))
  yield* write(
    "demo",
    "1. Both start and receive each other's heartbeats: the primary becomes active, the backup passive."
  )
  const primary = yield* start("primary")
  const backup = yield* start("backup")
  yield* find("backup", "ready as passive", 0)
  yield* start("client")
  yield* find("client", "server replied OK (50)", 0)

  yield* write("demo", "2. The active server is lost.")
  const failover = yield* failOver(transcript, "primary", primary, "backup", args.frontends.backup)
  yield* write(
    "demo",
    "3. The primary restarts. Its peer is active, so it becomes passive: nothing goes back by itself."
  )
  const restarted = yield* monotonicMillis
  yield* start("primary")
  yield* find("primary", "ready as passive", restarted)

  yield* find("client", "server replied OK (100)", 0)
  yield* write("demo", "4. Now the backup is lost.")
  const recovery = yield* failOver(transcript, "backup", backup, "primary", args.frontends.primary)
  const { lost, sent } = yield* requests
  yield* write(
    "demo",
    `Done: ${lost} of ${sent} requests lost, failover in ${failover} ms, and back in ${recovery} ms.`
  )
  const rest = [
    ["demo --dashboard", "the same pair, to look at in a browser"],
    ["init pair", "the configuration and keys of a pair of your own"],
    ["--help", "everything else"]
  ] as const
  yield* write("demo", "Try next:")
  yield* Effect.forEach(rest, ([line, text]) => write("demo", `  ${`${program()} ${line}`.padEnd(40)}  ${text}`))
  yield* end
})

/** How long a process that was killed stays away. */
const absence = "5 seconds"

/** The same pair with its dashboards. A process that ends is started again. */
const lookOn = Effect.gen(function*() {
  const transcript = yield* makeTranscript
  const { end, find, forget, write } = transcript
  const args = yield* makeArguments
  const token = randomBytes(6).toString("hex")
  const keepRunning = (name: "primary" | "backup" | "client") =>
    Effect.gen(function*() {
      const options = name === "client" ? [] : args.withHttp[name]
      const child = yield* launch(transcript, name, [...args[name], ...options], { BSTAR_HTTP_TOKEN: token })
      yield* write("demo", `the ${name} is process ${child.pid}`)
      yield* Effect.ignore(child.exitCode)
      yield* write("demo", `the ${name} has ended; it is started again in ${absence}`)
      yield* Effect.sleep(absence)
    }).pipe(Effect.scoped, Effect.forever, Effect.forkScoped)

  yield* Effect.forEach(introduction, (text) => write("demo", text))
  yield* keepRunning("primary")
  yield* keepRunning("backup")
  yield* find("backup", "ready as passive", 0)
  yield* keepRunning("client")
  yield* find("client", "server replied OK (1)", 0)
  yield* forget
  yield* write("demo", `The dashboard of the primary: ${args.http.primary}`)
  yield* write("demo", `The dashboard of the backup:  ${args.http.backup}`)
  yield* write("demo", `The token that unlocks its commands, such as a switchover: ${token}`)
  yield* write(
    "demo",
    "Kill a server by its process number (kill -9), and watch the other one take over. Ctrl-C ends all."
  )
  return yield* Effect.onInterrupt(Effect.never, () => end)
})
