/**
 * Arbitrary input, often nearly valid.
 */
import * as FastCheck from "effect/FastCheck"
import * as Settings from "../../../src/settings/Settings.ts"

const latin = (text: string): Uint8Array => Buffer.from(text, "latin1")

export const bytes = (maxLength: number) => FastCheck.uint8Array({ maxLength })

const known = [
  "",
  "1",
  "2",
  "3",
  "4",
  "5",
  "\0",
  "11",
  "bstar/1 ",
  "bstar/1 x.1",
  "bstar/1 .",
  "bstar/1 9.9",
  "bstar/2 ",
  "bstar/2 {}",
  "!NotActive",
  "!Busy",
  "!__proto__",
  "Stream",
  "Wait",
  "Keep",
  "All",
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "[]",
  "{}",
  `{"_tag":"Request","id":"1","tag":"Length","payload":null,"headers":[]}`,
  `[{"_tag":"Ack","requestId":"1"},{"_tag":"Interrupt","requestId":"1"},{"_tag":"Eof"},{"_tag":"Ping"}]`,
  `{"_tag":"Request","id":"__proto__","tag":"constructor","payload":{},"headers":[["a"]]}`
]

const frame = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constantFrom(...known).map(latin) },
  { weight: 1, arbitrary: bytes(64) }
)

export const frames = FastCheck.array(frame, { maxLength: 6 })

/** A message of a DEALER to a frontend, often in an envelope of this library. */
export const request = FastCheck.oneof(
  frames,
  FastCheck.tuple(FastCheck.nat(3), frames).map(([id, rest]) => [latin(`bstar/1 ${id}.1`), latin(""), ...rest])
)

const heartbeatFields = {
  life: ["a1", "", 1],
  sequence: [1, 2 ** 53 - 1, -1, "1"],
  state: ["ACTIVE", "PASSIVE", "REJOINING", 3],
  received: [{ life: "b2", sequence: 9 }, {}, null, "b2"],
  term: [{ number: 1, step: 2 }, { number: 1e300, step: -1 }, 65_537],
  isRecorded: [false, true, 0],
  question: ["Serve", "serve"],
  promises: [false, true, null],
  handsOver: [false, true, "yes"],
  activeMillis: [0, 1e12, 0.5],
  witness: ["etcd", "\"", 7]
}

/** A heartbeat: each field is most often valid, or missing, or wrong. */
export const heartbeat = FastCheck.tuple(
  ...Object.entries(heartbeatFields).map(([name, values]) =>
    FastCheck.oneof(
      { weight: 16, arbitrary: FastCheck.constant({ [name]: values[0] as unknown }) },
      {
        weight: 1,
        arbitrary: FastCheck.constantFrom(...values as ReadonlyArray<unknown>).map((value) => ({ [name]: value }))
      },
      { weight: 1, arbitrary: FastCheck.jsonValue().map((value) => ({ [name]: value as unknown })) },
      { weight: 1, arbitrary: FastCheck.constant({}) }
    )
  )
).map((fields) => [Buffer.from(`bstar/2 ${JSON.stringify(Object.assign({}, ...fields))}`)])

export const text = FastCheck.oneof(
  FastCheck.string(),
  FastCheck.tuple(
    FastCheck.constantFrom("tcp://", "ipc://", "inproc://", "tcp://*:", "tcp://[::1]:", "http://", ""),
    FastCheck.string()
  ).map((parts) => parts.join("")),
  FastCheck.webUrl()
)

const names = [
  "",
  "primary",
  "backup",
  "client",
  "role",
  ...Settings.of("server").map(({ flag }) => flag),
  "__proto__",
  "constructor"
]

const value = FastCheck.oneof(
  FastCheck.jsonValue(),
  FastCheck.constantFrom("tcp://*:5001", "1 second", "Infinity", "hardened", -1, 1e300, true, "")
)

const table = FastCheck.dictionary(FastCheck.oneof(FastCheck.constantFrom(...names), FastCheck.string()), value, {
  maxKeys: 6
})

/** The content of a configuration file, sometimes in the format of its name. */
export const fileOf = (name: string) =>
  FastCheck.oneof(
    FastCheck.string({ unit: "binary" }),
    table.map((table) =>
      name.endsWith(".json")
        ? JSON.stringify(table)
        : Object.entries(table).map(([key, value]) => `${JSON.stringify(key)} = ${JSON.stringify(value)}`).join("\n")
    )
  )

/** A command line. */
export const commandLine = (options: ReadonlyArray<string>) =>
  FastCheck.array(
    FastCheck.oneof(
      FastCheck.constantFrom(...options).map((name) => `--${name}`),
      FastCheck.constantFrom("-p", "-b", "--", "-", "=", "--=", "--config=", "1 second", "tcp://*:5001"),
      FastCheck.string().map((text) => text.replaceAll("\0", ""))
    ),
    { maxLength: 8 }
  )
