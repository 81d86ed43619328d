/**
 * Attacks upon the ports of a pair. An attack is a value: it can be drawn, printed and repeated.
 */
import { Effect, FastCheck } from "effect"
import type { Scope } from "effect"
import * as zmq from "zeromq"
import { socket } from "../../support/processes.ts"
import * as Arbitrary from "./arbitrary.ts"
import * as Zmtp from "./zmtp.ts"

/** The ports of one server, as endpoints of tcp. */
export interface Ports {
  readonly frontend: string
  readonly state: string
  readonly backend: string
  readonly http: string
}

const ports = ["frontend", "state", "backend", "http"] as const

type Port = typeof ports[number]

/** The socket type that a port expects. */
const typeOf: { readonly [P in Port]: string } = { frontend: "DEALER", state: "SUB", backend: "REP", http: "DEALER" }

export type Attack =
  /** Bytes, followed by nothing or a reset. */
  | { readonly _tag: "Noise"; readonly port: Port; readonly bytes: Uint8Array; readonly isReset: boolean }
  /** A handshake with some bytes changed and the end cut off. */
  | {
    readonly _tag: "Broken"
    readonly port: Port
    readonly changes: ReadonlyArray<readonly [at: number, byte: number]>
    readonly length: number
  }
  /** Connections that stay open after a number of bytes of a valid handshake. */
  | { readonly _tag: "Half"; readonly port: Port; readonly lengths: ReadonlyArray<number> }
  /** A valid handshake and a message, one byte at a time. */
  | { readonly _tag: "Slow"; readonly port: Port; readonly body: Uint8Array }
  /** The beginning of a frame that claims a length. */
  | { readonly _tag: "Huge"; readonly port: Port; readonly length: number; readonly flag: number }
  /** A message without an end. */
  | { readonly _tag: "Endless"; readonly port: Port; readonly mebibytes: number }
  /** Frames of all kinds, also commands, after a complete handshake. */
  | {
    readonly _tag: "Frames"
    readonly port: Port
    readonly type: string
    readonly frames: ReadonlyArray<readonly [flag: number, body: Uint8Array]>
  }
  /** Messages through a real socket. */
  | { readonly _tag: "Messages"; readonly port: Port; readonly messages: ReadonlyArray<ReadonlyArray<Uint8Array>> }
  /** Many short connections. */
  | { readonly _tag: "Churn"; readonly port: Port; readonly count: number; readonly isIntroduced: boolean }
  /** Text similar to an HTTP request. */
  | { readonly _tag: "Http"; readonly head: string; readonly body: string }

const port = FastCheck.constantFrom(...ports)
const type = FastCheck.constantFrom(
  "DEALER",
  "REQ",
  "ROUTER",
  "REP",
  "SUB",
  "XSUB",
  "PUB",
  "PAIR",
  "PUSH",
  "NONSENSE",
  ""
)
const tagged = <T extends string>(_tag: T) => FastCheck.constant(_tag)

const line = FastCheck.tuple(
  FastCheck.constantFrom("GET", "POST", "PUT", "HEAD", "CONNECT", "BLAH", ""),
  FastCheck.constantFrom("/status", "/pause", "/switchover", "/promote", "/events", "/metrics", "/%zz", "*", "//", ""),
  FastCheck.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "")
).map((parts) => parts.join(" "))

const header = FastCheck.oneof(
  FastCheck.constantFrom(
    "host: localhost",
    "content-length: 5",
    "content-length: -1",
    "transfer-encoding: chunked",
    "authorization: Bearer x",
    "accept: text/event-stream",
    "upgrade: websocket\r\nconnection: upgrade",
    "expect: 100-continue",
    `x: ${"y".repeat(20_000)}`
  ),
  FastCheck.string()
)

/** Attacks whose size grows with `most`. */
export const attack = (most: number): FastCheck.Arbitrary<Attack> =>
  FastCheck.oneof(
    FastCheck.record({ _tag: tagged("Noise"), port, bytes: Arbitrary.bytes(2000), isReset: FastCheck.boolean() }),
    FastCheck.record({
      _tag: tagged("Broken"),
      port,
      changes: FastCheck.array(FastCheck.tuple(FastCheck.nat(120), FastCheck.nat(255)), { maxLength: 5 }),
      length: FastCheck.integer({ min: 1, max: 120 })
    }),
    FastCheck.record({
      _tag: tagged("Half"),
      port,
      lengths: FastCheck.array(FastCheck.nat(120), { minLength: 1, maxLength: most })
    }),
    FastCheck.record({ _tag: tagged("Slow"), port, body: Arbitrary.bytes(40) }),
    FastCheck.record({
      _tag: tagged("Huge"),
      port,
      length: FastCheck.oneof(FastCheck.maxSafeNat(), FastCheck.integer({ min: 1024, max: 4_000_000 })),
      flag: FastCheck.nat(7)
    }),
    FastCheck.record({ _tag: tagged("Endless"), port, mebibytes: FastCheck.integer({ min: 1, max: most }) }),
    FastCheck.record({
      _tag: tagged("Frames"),
      port,
      type,
      frames: FastCheck.array(
        FastCheck.tuple(
          FastCheck.nat(7),
          FastCheck.oneof(
            Arbitrary.bytes(300),
            FastCheck.constantFrom(
              "\x04PING\0\0x",
              "\x04PONG",
              "\x05ERROR\x01x",
              "\x09SUBSCRIBE",
              "\x06CANCEL",
              "\x05READY"
            )
              .map((text) => Buffer.from(text, "latin1"))
          )
        ),
        { maxLength: 20 }
      )
    }),
    FastCheck.record({
      _tag: tagged("Messages"),
      port: FastCheck.constantFrom("frontend" as const, "backend" as const),
      messages: FastCheck.array(Arbitrary.request, { maxLength: 20 })
    }),
    FastCheck.record({
      _tag: tagged("Churn"),
      port,
      count: FastCheck.integer({ min: 1, max: 10 * most }),
      isIntroduced: FastCheck.boolean()
    }),
    FastCheck.record({
      _tag: tagged("Http"),
      head: FastCheck.tuple(line, FastCheck.array(header, { maxLength: 5 })).map(([line, headers]) =>
        [line, ...headers, "", ""].join("\r\n")
      ),
      body: FastCheck.string({ maxLength: 30 })
    })
  )

const beginning = (port: Port): Buffer => Buffer.concat([Zmtp.greeting, Zmtp.ready(typeOf[port])])

const mebibyte = Zmtp.frame(Buffer.alloc(1024 * 1024), false)

/** Carries out an attack. Its connections stay open until the scope closes. */
export const carryOut = (attack: Attack, at: Ports): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    switch (attack._tag) {
      case "Noise": {
        const raw = yield* Zmtp.connect(at[attack.port])
        yield* raw.write(Buffer.from(attack.bytes))
        return attack.isReset ? yield* raw.reset : undefined
      }
      case "Broken": {
        const bytes = beginning(attack.port)
        attack.changes.forEach(([at, byte]) => bytes[at % bytes.length] = byte)
        yield* (yield* Zmtp.connect(at[attack.port])).write(bytes.subarray(0, attack.length))
        return
      }
      case "Half":
        for (const length of attack.lengths) {
          yield* (yield* Zmtp.connect(at[attack.port])).write(beginning(attack.port).subarray(0, length))
        }
        return
      case "Slow": {
        const raw = yield* Zmtp.connect(at[attack.port])
        const bytes = Buffer.concat([beginning(attack.port), Zmtp.message(Buffer.from(attack.body))])
        yield* Effect.forEach(bytes, (byte) => Effect.delay(raw.write(Buffer.from([byte])), "1 millis"), {
          discard: true
        })
        return
      }
      case "Huge": {
        const raw = yield* Zmtp.introduced(at[attack.port], typeOf[attack.port])
        yield* raw.write(Buffer.concat([Zmtp.head(attack.length, attack.flag), Buffer.alloc(2000)]))
        return
      }
      case "Endless": {
        const raw = yield* Zmtp.introduced(at[attack.port], typeOf[attack.port])
        for (let left = attack.mebibytes; left > 0 && (yield* raw.write(mebibyte)); left--);
        return
      }
      case "Frames": {
        const raw = yield* Zmtp.introduced(at[attack.port], attack.type)
        const frames = attack.frames.map(([flag, body]) => Buffer.concat([Zmtp.head(body.length, flag), body]))
        yield* raw.write(Buffer.concat(frames))
        return
      }
      case "Messages": {
        const dealer = yield* socket(() => new zmq.Dealer({ linger: 0, sendTimeout: 1000 }))
        dealer.connect(at[attack.port])
        yield* Effect.forEach(
          attack.messages.filter((message) => message.length > 0),
          (message) => Effect.promise(() => dealer.send(message.map((frame) => Buffer.from(frame))).catch(() => {})),
          { discard: true }
        )
        return
      }
      case "Churn": {
        const connectAndReset = Effect.scoped(Effect.flatMap(
          attack.isIntroduced ? Zmtp.introduced(at[attack.port], typeOf[attack.port]) : Zmtp.connect(at[attack.port]),
          (raw) => raw.reset
        ))
        return yield* Effect.repeatN(connectAndReset, attack.count - 1)
      }
      case "Http": {
        const raw = yield* Zmtp.connect(at.http)
        yield* raw.write(Buffer.from(attack.head + attack.body))
        return
      }
    }
  })

/** An attack as one line. */
export const format = (attack: Attack): string =>
  JSON.stringify(
    attack,
    (_, value: unknown) => value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value
  ).slice(0, 400)
