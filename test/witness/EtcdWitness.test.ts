import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as BinaryStar from "../../src/member/BinaryStar.ts"
import type { Witness } from "../../src/ports/Witness.ts"
import * as EtcdWitness from "../../src/witness/EtcdWitness.ts"
import { Engine, recordOf, witnessSuite } from "../ports/witnessSuite.ts"
import { makeCertificates, opensslIsMissing } from "../support/certificates.ts"
import type { Engine as Server } from "../support/engine.ts"
import {
  base64,
  enableAuthentication,
  etcdIsMissing,
  postToEtcd as post,
  readWrite,
  startEtcd
} from "../support/etcd.ts"
import { makeLossyProxy } from "../support/lossyProxy.ts"
import { printed } from "../support/printed.ts"
import { eventually } from "../support/sockets.ts"
import { connect, failure, layerAt } from "./support.ts"

const suite = (
  name: string,
  layerOf: (port: number, pair: string) => Layer.Layer<Witness, unknown>,
  { scheduler }: { readonly scheduler?: Layer.Layer<never> } = {}
) =>
  witnessSuite(
    name,
    Layer.scoped(
      Engine,
      Effect.map(startEtcd(), ({ kill, pause, port, resume, start }) => ({
        makeRegister: Effect.sync(() => {
          const layer = layerOf(port, crypto.randomUUID())
          return {
            layers: { primary: layer, backup: layer },
            pause,
            resume,
            crash: { kill, start },
            executesLate: false
          }
        })
      }))
    ),
    { crashes: true, missing: etcdIsMissing, scheduler }
  )

suite(
  "on etcd",
  (port, name) => Layer.provide(EtcdWitness.layer({ urls: [`http://127.0.0.1:${port}`], name }), NodeHttpClient.layer)
)

suite("on etcd, as the program connects", (port, name) => layerAt(`etcd://127.0.0.1:${port}/${name}`), {
  scheduler: BinaryStar.layerScheduler
})

const create = (witness: Witness["Type"], number: number) =>
  Effect.map(witness.swap(Option.none(), recordOf(number)), (result) => {
    assert.strictEqual(result._tag, "Swapped")
    return Option.some((result as typeof result & { readonly _tag: "Swapped" }).version)
  })

const numberAt = (witness: Witness["Type"]) =>
  Effect.map(witness.look, (seen) => Option.getOrUndefined(seen)?.record.number)

const restart = ({ kill, start }: Server) => Effect.zipRight(kill, start)

describe.skipIf(etcdIsMissing !== undefined)(`etcd ${etcdIsMissing ?? ""}`, () => {
  it.scopedLive("authentication: a role that may read and write the key is enough, and tokens are renewed", () =>
    Effect.gen(function*() {
      const server = yield* startEtcd()
      const root = yield* enableAuthentication(server.port, "bstar/orders")
      const url = (name: string, user = "member@") => `etcd://${user}127.0.0.1:${server.port}/${name}`
      const witness = yield* connect(url("orders"), { password: "secret" })
      yield* create(witness, 1)

      // A change of roles makes tokens stale, and so does a restart of etcd.
      yield* post(server.port, "auth/role/grant", readWrite("another"), root)
      assert.strictEqual(yield* numberAt(witness), 1)
      yield* restart(server)
      assert.strictEqual(yield* Effect.retry(numberAt(witness), Schedule.spaced("50 millis")), 1)

      const wrong = yield* connect(url("orders"), { password: "wrong" })
      assert.match(yield* failure(wrong.look), /^Refused: .*authentication failed, invalid user ID or password/)
      const other = yield* connect(url("invoices"), { password: "secret" })
      assert.match(yield* failure(other.look), /^Refused: .*permission denied/)
      const nobody = yield* connect(url("orders", ""))
      assert.match(yield* failure(nobody.look), /^Refused: .*user name is empty/)
    }))

  it.scopedLive("no error contains the password, however it is printed", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const user = { name: "ann", password: Redacted.make("hunter2") }
      const print = Effect.fn(function*(one: number) {
        const witness = yield* EtcdWitness.make({ urls: [`http://127.0.0.1:${one}`], name: "orders", user })
        return yield* printed(yield* Effect.flip(witness.look))
      })
      assert.notInclude(yield* print(port), "hunter2")
      const refused = yield* print(1)
      assert.include(refused, "ECONNREFUSED")
      assert.notInclude(refused, "hunter2")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)))

  it.scopedLive("a user where authentication is not enabled is refused, and no other answer is taken for one of etcd", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const witness = yield* connect(`etcd://ann@127.0.0.1:${port}/orders`, { password: "secret" })
      assert.match(yield* failure(witness.look), /^Refused: .*authentication is not enabled/)
    }))

  it.scopedLive("a record that somebody else has written is refused, and neither read nor replaced", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const witness = yield* connect(`etcd://127.0.0.1:${port}/orders`)
      for (const value of ["something else", "{}", ""]) {
        yield* post(port, "kv/put", { key: base64("bstar/orders"), value: base64(value) })
        const expected = "Refused: the key bstar/orders contains something else than a record of a pair"
        assert.strictEqual(yield* failure(witness.look), expected)
        assert.strictEqual(yield* failure(witness.swap(Option.none(), recordOf(1))), expected)
      }
    }))

  it.scopedLive("endpoints are tried in order, and the one that answers is kept", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const proxy = yield* makeLossyProxy(port)
      const dead = "127.0.0.1:1"
      const witness = yield* connect(`etcd://${dead},127.0.0.1:${proxy.port},127.0.0.1:${port}/orders`)
      yield* create(witness, 1)
      assert.strictEqual(proxy.openCount(), 1)
      // An endpoint that is silent costs one request. The next one is for the next endpoint.
      yield* proxy.answers("lost")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(witness.look, "500 millis")))
      assert.strictEqual(yield* numberAt(witness), 1)
      yield* eventually(Effect.sync(() => proxy.openCount() === 0))

      const none = yield* connect(`etcd://${dead},127.0.0.1:2/orders`)
      assert.match(
        yield* failure(none.look),
        /^NoAnswer: 127\.0\.0\.1:1: .*ECONNREFUSED.*; 127\.0\.0\.1:2: .*ECONNREFUSED/
      )
    }))

  it.scopedLive("a swap whose answer is lost is executed, and reported as NoAnswer", () =>
    Effect.gen(function*() {
      const { port } = yield* startEtcd()
      const proxy = yield* makeLossyProxy(port)
      const direct = yield* connect(`etcd://127.0.0.1:${port}/orders`)
      const witness = yield* connect(`etcd://127.0.0.1:${proxy.port}/orders`)
      let version = yield* create(direct, 1)
      yield* witness.look
      for (const [fate, servers] of [["reset", ""], ["lost", ""], ["reset", `,127.0.0.1:${port}`]] as const) {
        yield* proxy.answers("pass")
        const one = yield* connect(`etcd://127.0.0.1:${proxy.port}${servers}/orders`)
        const { record } = Option.getOrThrow(yield* one.look)
        yield* proxy.answers(fate)
        const swap = one.swap(version, recordOf(record.number + 1))
        if (fate === "lost") {
          assert.isTrue(Option.isNone(yield* Effect.timeoutOption(swap, "500 millis")))
        } else {
          assert.match(yield* failure(swap), servers === "" ? /^NoAnswer: / : /^NoAnswer: an answer was lost/)
        }
        const seen = Option.getOrThrow(yield* direct.look)
        assert.strictEqual(seen.record.number, record.number + 1)
        version = Option.some(seen.version)
      }
    }))

  it.scopedLive("wrong options are named", () =>
    Effect.gen(function*() {
      const make = (options: EtcdWitness.Options) =>
        Effect.provide(Effect.flip(EtcdWitness.make(options)), NodeHttpClient.layer)
      assert.match((yield* make({ urls: [], name: "orders" })).message, /urls.*at least one/)
      assert.match((yield* make({ urls: ["10.0.0.3:2379"], name: "orders" })).message, /urls.*"10\.0\.0\.3:2379"/)
      const password = Redacted.make("secret")
      const wrong = yield* make({ urls: ["http://u:secret@h:1"], name: "a b", user: { name: "ann", password } })
      assert.match(wrong.message, /name.*"a b"/)
    }))

  describe.skipIf(opensslIsMissing !== undefined)(`TLS ${opensslIsMissing ?? ""}`, () => {
    it.scopedLive("the certificate of etcd is verified, and this server's is presented", () =>
      Effect.gen(function*() {
        const { authority, client, server, stranger } = yield* makeCertificates("member")
        const { port } = yield* startEtcd({ tls: { ...server, authority } })
        const read = (file: string) => fs.readFileSync(file, "utf8")
        const url = `etcds://127.0.0.1:${port}/orders`
        const own = { cert: read(client.certificate), key: read(client.key) }
        yield* create(yield* connect(url, { ca: read(authority), ...own }), 1)
        assert.match(
          yield* failure((yield* connect(url, { ca: read(stranger), ...own })).look),
          /^NoAnswer: .*certificate/
        )
        assert.match(yield* failure((yield* connect(url, { ca: read(authority) })).look), /^NoAnswer: /)
        assert.match(yield* failure((yield* connect(url.replace("etcds", "etcd"))).look), /^(NoAnswer|Refused): /)
      }))
  })
})
