import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Schedule } from "effect"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { NodeStatus } from "../../src/status/Status.ts"
import { bstar, dealer, freeEndpoints, root, serverArgs, startLine } from "../support/processes.ts"
import { eventTimeout } from "../support/times.ts"

const heartbeat = "200 millis"
const program = path.join(root, "dist/bstar.js")

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bstar-output-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** A pipe whose reading end does not block. */
const pipe = Effect.gen(function*() {
  const name = path.join(yield* folder, "pipe")
  execFileSync("mkfifo", [name])
  const reader = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  return { reader, writer: fs.openSync(name, fs.constants.O_WRONLY) }
})

/** Reads what is in a pipe now. */
const read = (reader: number): string => {
  const chunk = Buffer.alloc(65_536)
  let text = ""
  try {
    for (let length; (length = fs.readSync(reader, chunk)) > 0;) {
      text += chunk.toString("utf8", 0, length)
    }
  } catch (error) {
    assert.strictEqual((error as NodeJS.ErrnoException).code, "EAGAIN")
  }
  return text
}

/** A standard stream, and its disturbance once the server is passive. */
interface Stream {
  readonly stdio: number | "pipe"
  readonly program?: ReadonlyArray<string>
  readonly disturb: (child: ReturnType<typeof spawn>) => void
}

const noDisturbance = () => {}

const streams = {
  "a closed pipe": Effect.map(pipe, ({ reader, writer }): Stream => ({
    stdio: writer,
    disturb: () => fs.closeSync(reader)
  })),
  "a pipe that is not read": Effect.map(pipe, ({ writer }): Stream => ({ stdio: writer, disturb: noDisturbance })),
  "a full disk": Effect.sync((): Stream => ({ stdio: fs.openSync("/dev/full", "w"), disturb: noDisturbance })),
  "a closed socket": Effect.succeed<Stream>({
    stdio: "pipe",
    disturb: ({ stderr, stdout }) => {
      stdout!.destroy()
      stderr!.destroy()
    }
  }),
  "a socket that is not read": Effect.succeed<Stream>({ stdio: "pipe", disturb: noDisturbance }),
  "a terminal that is not read": Effect.succeed<Stream>({
    stdio: "pipe",
    // It holds the other end of the terminal, reads nothing, and has the exit code of the program.
    program: [
      "python3",
      "-c",
      "import os, pty, signal, subprocess, sys\n" +
      "ours, theirs = pty.openpty()\n" +
      "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)\n" +
      "signal.signal(signal.SIGTERM, lambda *_: child.terminate())\n" +
      "sys.exit(child.wait())"
    ],
    disturb: noDisturbance
  }),
  "closed descriptors": Effect.succeed<Stream>({
    stdio: "pipe",
    program: ["sh", "-c", "exec \"$@\" >&- 2>&-", "sh"],
    disturb: noDisturbance
  })
} satisfies { readonly [name: string]: Effect.Effect<Stream, never, Scope.Scope> }

const start = ({ program: wrapper = [], stdio }: Stream, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const [command, ...rest] = [...wrapper, process.execPath, program, ...args] as [string, ...Array<string>]
      const child = spawn(command, rest, { cwd: root, stdio: ["ignore", stdio, stdio] })
      if (typeof stdio === "number") {
        fs.closeSync(stdio)
      }
      return { child, exit: once(child, "exit").then(([code, signal]) => ({ code, signal })) }
    }),
    ({ child, exit }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return exit
      })
  )

const statusAt = (http: string): Effect.Effect<NodeStatus, unknown> =>
  Effect.tryPromise(async () => (await fetch(`http://${http}/status`)).json() as Promise<NodeStatus>)

/** Waits until a condition on the status of a server holds. */
const until = (http: string, holds: (status: NodeStatus) => boolean) =>
  statusAt(http).pipe(
    Effect.filterOrFail(holds, (status) => status),
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeout(eventTimeout)
  )

const freeAddress = Effect.map(freeEndpoints, ({ primary }) => primary.state.replace("tcp://", ""))

/** More than any stream and the server itself keep for a reader. */
const flood = "seq 1 60000; sleep 3"

const kinds = {
  "bstar": { name: [], options: ["--on-passive", flood] },
  "bstar proxy": { name: ["proxy"], options: ["--on-passive", flood] },
  "bstar run": { name: ["run"], options: ["--on-passive", flood] }
}

const cases = [
  ...(Object.keys(streams) as ReadonlyArray<keyof typeof streams>).map((stream) => ["bstar", stream] as const),
  ...(["bstar proxy", "bstar run"] as const).flatMap((kind) =>
    (["a closed pipe", "a pipe that is not read", "a socket that is not read"] as const).map((stream) =>
      [kind, stream] as const
    )
  )
]

describe("F7 output", () => {
  for (const [kind, name] of cases) {
    it.scopedLive(`F8 ${name} neither ends nor blocks ${kind}: it takes over, counts dropped lines, and ends with 0`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const http = yield* freeAddress
        const backend = `tcp://${yield* freeAddress}`
        const stream = yield* streams[name]
        const argsOf = (role: "primary" | "backup") => {
          const args = serverArgs(role, at, heartbeat)
          return kind === "bstar run"
            ? ["run", ...args.filter((_, i) => i !== 1 && i !== 2)]
            : [...kinds[kind].name, ...args]
        }
        const more = kind === "bstar proxy" ? ["--backend", backend] : []
        const command = kind === "bstar run" ? ["--", "sleep", "1000"] : []
        const primary = yield* bstar([
          ...argsOf("primary"),
          ...["--policy", "hardened"].filter(() => kind !== "bstar run"),
          ...(kind === "bstar proxy" ? ["--backend", `tcp://${yield* freeAddress}`] : []),
          ...command
        ])
        yield* primary.waitForLine(startLine.primary)
        const { child, exit } = yield* start(stream, [
          ...argsOf("backup"),
          ...["--policy", "hardened"].filter(() => kind !== "bstar run"),
          ...more,
          ...["--http", http],
          ...kinds[kind].options,
          ...command
        ])
        yield* until(http, ({ state }) => state === "PASSIVE")
        stream.disturb(child)
        if (name !== "closed descriptors") {
          yield* until(http, ({ droppedLogLines = 0 }) => droppedLogLines > 0)
        }
        yield* primary.kill("SIGKILL")
        const client = yield* dealer(at.backup.frontend)
        yield* Effect.raceFirst(
          until(http, ({ state }) => state === "ACTIVE"),
          Effect.forever(Effect.delay(client.request("hello"), "20 millis"))
        )
        if (kind === "bstar") {
          yield* client.replies.find(() => true)
        }
        child.kill("SIGTERM")
        assert.deepStrictEqual(yield* Effect.promise(() => exit).pipe(Effect.timeout(eventTimeout)), {
          code: 0,
          signal: null
        })
      }))
  }

  for (const format of ["plain", "json"]) {
    it.scopedLive(`F8 ${format}: a pipe that is read again has a line with the number of dropped lines, and the last lines`, () =>
      Effect.gen(function*() {
        const at = yield* freeEndpoints
        const http = yield* freeAddress
        const { reader, writer } = yield* pipe
        const primary = yield* bstar(serverArgs("primary", at, heartbeat))
        yield* primary.waitForLine(startLine.primary)
        const { child, exit } = yield* start({ stdio: writer, disturb: noDisturbance }, [
          ...serverArgs("backup", at, heartbeat),
          ...["--http", http, "--on-passive", flood, "--log-format", format]
        ])
        // Wait for the end of the hook: until then more lines are dropped.
        let before = -1
        yield* until(http, ({ droppedLogLines = 0 }) => {
          const isOver = droppedLogLines > 0 && droppedLogLines === before
          before = droppedLogLines
          return isOver
        })
        let text = ""
        yield* Effect.sync(() => text += read(reader)).pipe(
          Effect.repeat({
            until: (text) => /log lines were dropped/.test(text),
            schedule: Schedule.spaced("5 millis")
          }),
          Effect.timeout(eventTimeout)
        )
        const { droppedLogLines } = yield* statusAt(http)
        child.kill("SIGTERM")
        yield* Effect.promise(() => exit)
        text += read(reader)
        const lines = text.split("\n").slice(0, -1)
          .map((line) => format === "plain" ? line : String(JSON.parse(line).message))
        const notices = lines.filter((line) => line.includes("were dropped"))
        const prefix = format === "plain" ? "W: " : ""
        const counted = notices.map((line) => Number(/^(?:W: )?(\d+) log lines were dropped$/.exec(line)![1]))
        assert.strictEqual(counted.reduce((a, b) => a + b), droppedLogLines)
        assert.strictEqual(lines.at(-1), `${prefix}interrupted`)
        // Lines that were not dropped are in order, once each.
        const numbers = lines.flatMap((line) => /on-passive: (\d+)$/.exec(line)?.[1] ?? []).map(Number)
        assert.deepStrictEqual(numbers, [...numbers].sort((a, b) => a - b))
        assert.strictEqual(new Set(numbers).size, numbers.length)
      }))
  }

  it.scopedLive("F8 a file has every line, in order", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const name = path.join(yield* folder, "log")
      const primary = yield* bstar(serverArgs("primary", at, heartbeat))
      yield* primary.waitForLine(startLine.primary)
      const { child, exit } = yield* start({ stdio: fs.openSync(name, "w"), disturb: noDisturbance }, [
        ...serverArgs("backup", at, heartbeat),
        ...["--on-passive", "seq 1 5000; sleep 3"]
      ])
      yield* Effect.repeat(Effect.sync(() => fs.readFileSync(name, "utf8")), {
        until: (text) => text.includes("on-passive: 5000\n"),
        schedule: Schedule.spaced("20 millis")
      }).pipe(Effect.timeout(eventTimeout))
      child.kill("SIGTERM")
      assert.deepStrictEqual(yield* Effect.promise(() => exit), { code: 0, signal: null })
      assert.strictEqual(
        fs.readFileSync(name, "utf8"),
        [
          startLine.backup,
          "I: connected to primary (active), ready as passive",
          ...Array.from({ length: 5000 }, (_, i) => `I: on-passive: ${i + 1}`),
          "W: interrupted",
          ""
        ].join("\n")
      )
    }))
})

describe("F8 output of a command", () => {
  const shell = (script: string) =>
    spawnSync("bash", ["-c", script, "bash", process.execPath, program], { cwd: root, encoding: "utf8" })

  for (const args of ["fsm --format json", "--help", "--version", "completions bash", "fsm -h"]) {
    it(`F8 bstar ${args} fails if its output cannot be written`, () => {
      const { status, stderr } = shell(`"$1" "$2" ${args} > /dev/full`)
      assert.strictEqual(stderr, "E: cannot write to standard output: ENOSPC: no space left on device, write\n")
      assert.strictEqual(status, 1)
    })
  }

  it("F8 bstar status fails if its output cannot be written", () => {
    const { status, stderr } = shell(`"$1" "$2" status --http 127.0.0.1:1 > /dev/full`)
    assert.match(stderr, /^E: cannot write to standard output: [^\n]*\n$/)
    assert.notStrictEqual(status, 0)
  })

  for (
    const args of [
      "fsm --format json",
      "--help",
      "verify --kills 0 --stops 0 --pauses 0",
      "status --http 127.0.0.1:1 --watch '100 millis'"
    ]
  ) {
    it(`F8 bstar ${args} ends without an error when its pipe is closed`, () => {
      const { stderr, stdout } = shell(`"$1" "$2" ${args} | head -1 > /dev/null; echo "\${PIPESTATUS[0]}"`)
      assert.strictEqual(stderr, "")
      assert.strictEqual(stdout, "0\n")
    })
  }

  it.scopedLive("F8 bstar client ends without an error when its pipe is closed", () =>
    Effect.gen(function*() {
      const at = yield* freeEndpoints
      const primary = yield* bstar(serverArgs("primary", at, heartbeat))
      yield* primary.waitForLine(startLine.primary)
      const backup = yield* bstar(serverArgs("backup", at, heartbeat))
      yield* backup.waitForLine(/ready as passive/)
      const child = spawn("bash", [
        "-c",
        `"$1" "$2" client --server "$3" --interval "10 millis" | head -2; exit "\${PIPESTATUS[0]}"`,
        ...["bash", process.execPath, program, at.primary.frontend]
      ])
      let stderr = ""
      child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
      const [code] = yield* Effect.promise(() => once(child, "close"))
      assert.deepStrictEqual([code, stderr], [0, ""])
    }))

  it("F8 a slow reader receives the whole output", () => {
    const { stdout } = shell(`"$1" "$2" fsm --format json | (sleep 0.3; cat)`)
    assert.isArray(JSON.parse(stdout))
  })
})
