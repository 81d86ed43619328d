import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as WitnessEndpoint from "../../src/wire/WitnessEndpoint.ts"

const etcd = (more: Partial<WitnessEndpoint.Etcd> = {}): WitnessEndpoint.Etcd => ({
  engine: "etcd",
  servers: ["10.0.0.3:2379"],
  isSecure: false,
  user: undefined,
  name: "orders",
  ...more
})

const postgres = (more: Partial<WitnessEndpoint.Postgres> = {}): WitnessEndpoint.Postgres => ({
  engine: "postgres",
  host: "db.example",
  port: 5432,
  database: "bstar",
  user: "ann",
  sslMode: undefined,
  name: "orders",
  ...more
})

const valid: ReadonlyArray<readonly [string, WitnessEndpoint.WitnessEndpoint]> = [
  ["etcd://10.0.0.3:2379/orders", etcd()],
  ["etcds://ann@a.example:1,[fd00::2]:65535/prod/orders-2", {
    ...etcd({ servers: ["a.example:1", "[fd00::2]:65535"], isSecure: true, user: "ann", name: "prod/orders-2" })
  }],
  ["etcd://a%40b%3A@localhost:2379/x", etcd({ servers: ["localhost:2379"], user: "a@b:", name: "x" })],
  ["postgres://ann@db.example/bstar?pair=orders", postgres()],
  ["postgres://ann@[fd00::2]:6432/my%20db?pair=prod/orders&sslmode=verify-full", {
    ...postgres({ host: "fd00::2", port: 6432, database: "my db", name: "prod/orders", sslMode: "verify-full" })
  }],
  ["postgres://ann@db.example/bstar?sslmode=disable&pair=a%2Fb", postgres({ sslMode: "disable", name: "a/b" })]
]

const invalid: ReadonlyArray<readonly [string, RegExp]> = [
  ["", /^expected a witness such as "etcd:.*" or "postgres:.*", got ""$/],
  ["10.0.0.3:2379", /got "10\.0\.0\.3:2379"/],
  ["redis://10.0.0.3/orders", /got "redis:/],
  ["http://ann:secret@10.0.0.3/orders", /^expected a witness [^,]*$/],
  ["etcd://10.0.0.3/orders", /HOST:PORT.*got "10\.0\.0\.3"/],
  ["etcd://10.0.0.3:0/orders", /HOST:PORT.*got "10\.0\.0\.3:0"/],
  ["etcd://10.0.0.3:65536/orders", /got "10\.0\.0\.3:65536"/],
  ["etcds://a:1,,b:2/orders", /etcds:.*got ""/],
  ["etcd://a:1,b/orders", /got "b"/],
  ["etcd://a:1", /name.*got ""/],
  ["etcd://a:1/", /name.*got ""/],
  ["etcd://a:1//x", /name.*got "\/x"/],
  ["etcd://a:1/x y", /name.*got "x y"/],
  [`etcd://a:1/${"x".repeat(101)}`, /name/],
  ["etcd://a:1/x?y", /name.*got "x\?y"/],
  ["etcd://@a:1/x", /a user before "@"/],
  ["etcd://%@a:1/x", /a user before "@"/],
  ["postgres://db.example/bstar?pair=orders", /postgres:\/\/USER@HOST/],
  ["postgres://ann@db.example?pair=orders", /postgres:\/\/USER@HOST/],
  ["postgres://ann@db.example:70000/bstar?pair=orders", /postgres:\/\/USER@HOST/],
  ["postgres://ann@db.example/bstar", /name.*got ""/],
  ["postgres://ann@db.example/bstar?pair=", /name/],
  ["postgres://ann@db.example/bstar?pair=x&sslmode=prefer", /sslmode=disable\|require.*got "prefer"/],
  ["postgres://ann@db.example/bstar?pair=x&connect_timeout=1", /pair and sslmode, got "connect_timeout"/]
]

const withPassword = [
  "etcd://ann:secret@10.0.0.3:2379/orders",
  "etcd://ann:sec/ret@10.0.0.3:2379/orders",
  "etcd://ann:sec?r@et@10.0.0.3:2379/orders",
  "etcds://ann:@10.0.0.3:2379/orders",
  "postgres://ann:secret@db.example/bstar?pair=orders",
  "postgres://ann:sec@ret#@db.example:5432/bstar?pair=orders",
  "postgres://ann@db.example/bstar?pair=orders&password=secret"
]

describe("the URL of a witness", () => {
  for (const [url, endpoint] of valid) {
    it(`valid: ${url}`, () => assert.deepStrictEqual(WitnessEndpoint.parse(url), endpoint))
  }

  for (const [url, problem] of invalid) {
    it(`invalid: ${url.slice(0, 60)}`, () => {
      const parsed = WitnessEndpoint.parse(url)
      assert.isTrue(WitnessEndpoint.isInvalid(parsed))
      assert.match((parsed as WitnessEndpoint.Invalid).problem, problem)
    })
  }

  it("a password is an error that names where it belongs, and does not repeat it", () => {
    for (const url of withPassword) {
      const parsed = WitnessEndpoint.parse(url) as WitnessEndpoint.Invalid
      assert.match(parsed.problem, /BSTAR_WITNESS_PASSWORD.*--witness-password-file/, url)
      assert.notMatch(parsed.problem, /sec|ret/, url)
    }
  })

  it.prop(
    "no text breaks the parser, and no password is repeated",
    [FastCheck.string(), FastCheck.string()],
    ([a, b]) => {
      const secret = "pAsSwOrD"
      for (
        const url of [
          a,
          `etcd://${a}`,
          `postgres://${a}`,
          `etcd://${a}:${secret}${b}@h:1/x`,
          `${a}://u:${secret}${b}@h`
        ]
      ) {
        const parsed = WitnessEndpoint.parse(url)
        if (WitnessEndpoint.isInvalid(parsed)) {
          assert.notInclude(parsed.problem, secret)
        }
      }
    }
  )

  it("for people it has no user, and names the same register", () => {
    for (const [, endpoint] of valid) {
      const text = WitnessEndpoint.format(endpoint)
      assert.notInclude(text, "@")
      const withUser = text.replace("://", "://ann@")
      const { user: _, ...parsed } = WitnessEndpoint.parse(withUser) as WitnessEndpoint.WitnessEndpoint
      const { user: __, ...original } = endpoint
      assert.deepStrictEqual(parsed, original.engine === "postgres" ? { ...original, sslMode: undefined } : original)
    }
  })
})
