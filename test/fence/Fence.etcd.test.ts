import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as crypto from "node:crypto"
import * as Fence from "../../src/fence/Fence.ts"
import { NoTerm } from "../../src/member/MemberError.ts"
import type { Term } from "../../src/protocol/Term.ts"
import { base64, enableAuthentication, etcdIsMissing, startEtcd } from "../support/etcd.ts"
import { freePorts } from "../support/ports.ts"
import { printed } from "../support/printed.ts"
import { first, inTerm, second, third } from "./support.ts"

class Endpoint extends Context.Tag("Endpoint")<Endpoint, string>() {}

const engine = Layer.merge(
  Layer.scoped(Endpoint, Effect.map(startEtcd(), ({ port }) => `http://127.0.0.1:${port}`)),
  FetchHttpClient.layer
)

const post = (path: string, body: unknown) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post((yield* Endpoint) + path)
    const response = yield* client.execute(HttpClientRequest.bodyUnsafeJson(request, body))
    return (yield* response.json) as {
      readonly kvs?: ReadonlyArray<{ readonly value: string; readonly version: string }>
    }
  })

const makeFence = Effect.gen(function*() {
  const endpoint = yield* Endpoint
  const name = crypto.randomUUID()
  const key = base64(`data/${name}`)
  const fence = yield* Fence.etcd({ name, endpoint })
  const put = (what: string) => ({ request_put: { key, value: base64(what) } })
  return {
    name,
    endpoint,
    key,
    put,
    fence,
    write: (term: Term | undefined, what: string) => fence.transaction({ success: [put(what)] }).pipe(inTerm(term)),
    written: Effect.map(post("/v3/kv/range", { key }), ({ kvs = [] }) => kvs.map(({ value }) => atob(value)))
  }
})

describe.skipIf(etcdIsMissing !== undefined)(
  `a fence in etcd${etcdIsMissing ? ` (skipped: ${etcdIsMissing})` : ""}`,
  () => {
    layer(engine, { timeout: "60 seconds", excludeTestServices: true })((it) => {
      it.scoped("a later term passes, and the same one again; an earlier one is stale, and nothing of it is written", () =>
        Effect.gen(function*() {
          const { name, write, written } = yield* makeFence
          yield* write(first, "1")
          yield* write(second, "2")
          yield* write(second, "2 again")
          const error = yield* Effect.flip(write(first, "too late"))
          assert.strictEqual(error.message, `the fence ${name} has seen the term 1.1, and this server is in 1.0`)
          assert.deepStrictEqual(yield* written, ["2 again"])
          yield* write(third, "3")
          assert.strictEqual((yield* Effect.flip(write(second, "too late")))._tag, "Stale")
          assert.deepStrictEqual(yield* written, ["3"])
        }))

      it.scoped("a member without a term sends nothing", () =>
        Effect.gen(function*() {
          const { write, written } = yield* makeFence
          assert.instanceOf(yield* Effect.flip(write(undefined, "never")), NoTerm)
          assert.deepStrictEqual(yield* written, [])
        }))

      it.scoped("the comparisons of the user count, too, and the responses are those of the user's operations", () =>
        Effect.gen(function*() {
          const { fence, key, put, write } = yield* makeFence
          const unlessThere = inTerm(second)(fence.transaction({
            compare: [{ key, target: "CREATE", result: "EQUAL", create_revision: "0" }],
            success: [put("made")],
            failure: [{ request_range: { key } }]
          }))
          const made = yield* unlessThere
          assert.isTrue(made.succeeded)
          assert.strictEqual(made.responses.length, 1)
          const found = yield* unlessThere
          assert.isFalse(found.succeeded)
          assert.deepNestedInclude(found.responses[0], { "response_range.kvs[0].value": base64("made") })
          yield* write(third, "3")
          assert.strictEqual((yield* Effect.flip(unlessThere))._tag, "Stale")
        }))

      it.scoped("a stale server writes nothing, neither where its own comparisons hold nor where they do not", () =>
        Effect.gen(function*() {
          const { fence, key, put, write, written } = yield* makeFence
          yield* write(third, "new")
          for (const mod_revision of ["0", "1"]) {
            const error = yield* Effect.flip(
              inTerm(first)(fence.transaction({
                compare: [{ key, target: "MOD", result: "GREATER", mod_revision }],
                success: [put("stale")],
                failure: [put("stale")]
              }))
            )
            assert.strictEqual(error._tag, "Stale")
          }
          const never = { key, target: "VERSION", result: "LESS", version: "0" }
          const error = yield* Effect.flip(
            inTerm(first)(fence.transaction({ compare: [never], failure: [put("stale")] }))
          )
          assert.strictEqual(error._tag, "Stale")
          assert.deepStrictEqual(yield* written, ["new"])

          const other = yield* inTerm(third)(fence.transaction({ compare: [never], failure: [put("newer")] }))
          assert.isFalse(other.succeeded)
          assert.strictEqual(other.responses.length, 1)
          assert.deepStrictEqual(yield* written, ["newer"])
          assert.deepStrictEqual(yield* inTerm(third)(fence.transaction({})), { succeeded: true, responses: [] })
        }))

      it.scoped("at random, with all servers at once, terms never go back", () =>
        Effect.gen(function*() {
          const { fence, key } = yield* makeFence
          const steps = Array.from({ length: 200 }, (_, i) => Math.floor(i / 10) + Math.floor(10 * Math.random()))
          const results = yield* Effect.forEach(
            steps,
            (step) =>
              fence.transaction({
                success: [{ request_put: { key, value: base64(String(step)) } }, { request_range: { key } }]
              })
                .pipe(inTerm({ number: 1, step }), Effect.either),
            { concurrency: 16 }
          )
          const passed = results.flatMap((one, i) => {
            if (one._tag === "Left") {
              assert.strictEqual(one.left._tag, "Stale")
              return []
            }
            const [, range] = one.right.responses as ReadonlyArray<any>
            return [{ step: steps[i]!, version: Number(range.response_range.kvs[0].version) }]
          }).sort((a, b) => a.version - b.version)
          assert.deepStrictEqual(passed.map(({ step }) => step), passed.map(({ step }) => step).sort((a, b) => a - b))
          assert.isAbove(results.length, passed.length)
        }))

      it.scoped("a key that was removed or overwritten is reported", () =>
        Effect.gen(function*() {
          const { name, write } = yield* makeFence
          const key = base64(`bstar-fence/${name}`)
          yield* post("/v3/kv/put", { key, value: base64("what?") })
          assert.strictEqual(
            (yield* Effect.flip(write(first, "never"))).message,
            `the fence ${name} is lost: its row or key was removed or overwritten`
          )
          yield* post("/v3/kv/deleterange", { key })
          assert.strictEqual((yield* Effect.flip(write(first, "never")))._tag, "Stale")
          yield* makeFence
        }))

      it.scoped("the fence has its term as sixteen digits", () =>
        Effect.gen(function*() {
          const { name, write } = yield* makeFence
          yield* write(third, "3")
          const { kvs } = yield* post("/v3/kv/range", { key: base64(`bstar-fence/${name}`) })
          assert.strictEqual(atob(kvs![0]!.value), "0000000000131072")
        }))

      it.scoped("an operation that etcd rejects is an error, and nothing is written", () =>
        Effect.gen(function*() {
          const { fence, put, write, written } = yield* makeFence
          const error = yield* Effect.flip(inTerm(third)(fence.transaction({ success: [put("1"), put("2")] })))
          assert.strictEqual(error._tag, "EtcdError")
          assert.match(error.message, /^etcd at http:\/\/127.0.0.1:\d+ refused: .*duplicate key/)
          assert.deepStrictEqual(yield* written, [])
          yield* write(first, "1")
        }))
    })

    it.scopedLive("authentication: tokens are renewed after a restart of etcd, and no error contains the password", () =>
      Effect.gen(function*() {
        const { kill, port, start } = yield* startEtcd()
        yield* enableAuthentication(port, "bstar-fence/orders", "orders/1")
        const endpoint = `http://127.0.0.1:${port}`
        const make = (password: string) =>
          Fence.etcd({ name: "orders", endpoint, user: { name: "member", password: Redacted.make(password) } })
        const fence = yield* make("secret")
        const put = inTerm(first)(
          fence.transaction({ success: [{ request_put: { key: base64("orders/1"), value: base64("1") } }] })
        )
        yield* Effect.replicateEffect(put, 10, { concurrency: "unbounded" })
        yield* kill
        assert.strictEqual((yield* Effect.flip(put))._tag, "EtcdError")
        yield* start
        assert.isTrue((yield* Effect.retry(put, Schedule.spaced("50 millis"))).succeeded)

        const wrong = yield* Effect.flip(make("hunter2"))
        assert.match(wrong.message, /refused: .*authentication failed/)
        const other = { name: "invoices", endpoint, user: { name: "member", password: Redacted.make("secret") } }
        assert.match((yield* Effect.flip(Fence.etcd(other))).message, /refused: .*permission denied/)
        yield* kill
        const text = (yield* printed(wrong)) + (yield* printed(yield* Effect.flip(make("hunter2"))))
        assert.include(text, "ECONNREFUSED")
        assert.notInclude(text, "hunter2")
      }).pipe(Effect.provide(FetchHttpClient.layer)))

    it.scopedLive("etcd that is not there is an error that names it", () =>
      Effect.gen(function*() {
        const [port] = yield* Effect.promise(() => freePorts(1))
        const error = yield* Effect.flip(Fence.etcd({ name: "a", endpoint: `http://127.0.0.1:${port}` }))
        assert.include(error.message, `etcd at http://127.0.0.1:${port} does not answer: `)
      }).pipe(Effect.provide(FetchHttpClient.layer)))
  }
)
