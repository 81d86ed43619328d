/** Decoders of arbitrary messages, configuration files and command lines. */
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as bstar from "../../../src/cli/bstar.ts"
import * as ConfigFile from "../../../src/cli/configFile.ts"
import * as configuration from "../../../src/cli/configuration.ts"
import { Output } from "../../../src/cli/output.ts"
import * as ControlFrame from "../../../src/rpc/controlFrame.ts"
import * as Settings from "../../../src/settings/Settings.ts"
import * as Endpoint from "../../../src/wire/Endpoint.ts"
import * as Envelope from "../../../src/wire/Envelope.ts"
import * as Frames from "../../../src/wire/Frames.ts"
import * as HeartbeatMessage from "../../../src/wire/HeartbeatMessage.ts"
import * as PeerMessage from "../../../src/wire/PeerMessage.ts"
import * as Arbitrary from "./arbitrary.ts"

const runs = { seed: 20_260_131, numRuns: 2000 }

describe("the wire", () => {
  const decode = Schema.decodeEither(PeerMessage.PeerMessage)
  const isDigit = (frames: Frames.Frames) =>
    frames.length === 1 && /^[1-4]$/.test(Buffer.from(frames[0]!).toString("latin1"))

  it.prop("codec: only one frame of one digit is a state message", { frames: Arbitrary.frames }, ({ frames }) => {
    assert.strictEqual(Either.isRight(decode(frames)), isDigit(frames))
  }, { fastCheck: runs })

  it.prop(
    "codec: an arbitrary heartbeat is decoded or malformed, and one that is decoded is encoded",
    { frames: FastCheck.oneof(Arbitrary.frames, Arbitrary.heartbeat) },
    ({ frames }) => {
      const decoded = HeartbeatMessage.decode(frames)
      if (Either.isRight(decoded)) {
        const encoded = HeartbeatMessage.encode(decoded.right)
        assert.isAtMost(encoded[0]!.length, HeartbeatMessage.maxBytes)
        assert.deepStrictEqual(HeartbeatMessage.decode(encoded), decoded)
      } else {
        assert.match(decoded.left, /^[\x20-\x7e]{1,100}$/)
      }
    },
    { fastCheck: runs }
  )

  it.prop(
    "codec: an arbitrary envelope is parsed, reported and withdrawn",
    { frames: Arbitrary.request },
    ({ frames }) => {
      const message = [Uint8Array.of(0, 1, 2, 3, 4), ...frames]
      const length = Frames.envelopeLength(message)
      assert.isAtMost(length, message.length)
      Envelope.spanOf(message)
      Envelope.parseReply(frames)
      if (Envelope.isOurs(message)) {
        assert.deepStrictEqual(Envelope.status(message, "Busy").slice(0, 2), message.slice(0, 2))
      }
      for (const withdrawn of Envelope.withdraw(message)) {
        assert.strictEqual(withdrawn[0], message[0])
      }
      ControlFrame.kindOf(frames)
      ControlFrame.contentOf(frames)
    },
    { fastCheck: runs }
  )

  it.prop("codec: an arbitrary endpoint is parsed or rejected", { text: Arbitrary.text }, ({ text }) => {
    Endpoint.parse(text)
    assert.isTrue(!Endpoint.isConnectable(text) || Endpoint.parse(text) !== undefined)
  }, { fastCheck: runs })
})

const output = Layer.succeed(Output, {
  written: Effect.void,
  failed: Effect.never,
  neverWait: Effect.void,
  onDropped: () => {}
})

/** A file system in which every file has the same content. */
const files = (content: string) => FileSystem.layerNoop({ readFileString: () => Effect.succeed(content) })

/** Fails on a defect and on an interruption. */
const isOrderly = (exit: Exit.Exit<unknown, unknown>, what: string) => {
  if (Exit.isFailure(exit)) {
    assert.isFalse(
      Cause.isDie(exit.cause) || Cause.isInterrupted(exit.cause),
      `${what}\n${Cause.pretty(exit.cause)}`
    )
  }
}

describe("a configuration file", () => {
  for (const name of ["pair.toml", "pair.json"]) {
    it.effect.prop(
      `codec: ${name} with arbitrary content has no defect`,
      { content: Arbitrary.fileOf(name) },
      ({ content }) =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(ConfigFile.read(name))
          isOrderly(exit, content)
          if (Exit.isSuccess(exit)) {
            for (const { field, message } of exit.value.issues) {
              assert.notMatch(`${field}${message}`, /\n/, content)
            }
          }
          isOrderly(yield* Effect.exit(configuration.ofServer("server", { config: name, role: "primary" })), content)
        }).pipe(Effect.provide(files(content))),
      { fastCheck: { ...runs, numRuns: 500 } }
    )
  }
})

describe("a command line", () => {
  const known = [...Settings.of("server", "proxy", "run").map(({ flag }) => flag), "primary"]

  // These start nothing.
  for (const command of [["config", "check"], ["fsm"], ["verify", "--kills", "x"]]) {
    it.effect.prop(
      `codec: bstar ${command.join(" ")} with arbitrary arguments has no defect`,
      { args: Arbitrary.commandLine(known) },
      ({ args }) =>
        Console.consoleWith((console) => {
          const given = args.filter((arg) => !/^--(wizard|completions|version|help)|^-h/.test(arg))
          return bstar.run(["node", "bstar", ...command, ...given]).pipe(
            Effect.exit,
            Effect.withConsole({
              ...console,
              log: () => Effect.void,
              error: () => Effect.void,
              unsafe: { ...console.unsafe, log: () => {}, error: () => {} }
            }),
            Effect.map((exit) => isOrderly(exit, args.join(" ")))
          )
        }).pipe(Effect.provide(Layer.mergeAll(files("role = 1"), NodePath.layer, NodeTerminal.layer, output))),
      {
        fastCheck: { ...runs, numRuns: 200 }
      }
    )
  }
})
