/** A witness on etcd, version 3.4 or later, over its JSON gateway. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Witness, WitnessError } from "../ports/Witness.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import { validate } from "../settings/Validation.ts"
import * as WitnessEndpoint from "../wire/WitnessEndpoint.ts"
import * as EtcdGateway from "./EtcdGateway.ts"
import * as register from "./register.ts"

/**
 * Options of a witness on etcd.
 *
 * @category models
 */
export interface Options {
  /**
   * URLs of the members of the cluster, such as `https://10.0.0.3:2379`, tried in order. A request stays with the one that has
   * answered last.
   */
  readonly urls: ReadonlyArray<string>
  /** The name of the pair, the same on both members. Its record is the value of the key `bstar/NAME`. */
  readonly name: string
  /** Whom etcd authenticates, where its authentication is enabled. The role needs `readwrite` on the key. */
  readonly user?: EtcdGateway.User | undefined
}

const Checked = Schema.Struct({
  urls: Schema.Array(Schema.String.pipe(Schema.filter((url) => /^https?:\/\/[^/?#@\s]+$/.test(url), {
    message: ({ actual }) => `expected a URL such as "http://10.0.0.3:2379", got ${JSON.stringify(actual)}`
  }))).pipe(Schema.minItems(1, { message: () => "expected at least one URL" })),
  name: Schema.String.pipe(Schema.filter(WitnessEndpoint.isName, {
    message: ({ actual }) => `expected a name such as "orders", got ${JSON.stringify(actual)}`
  }))
})

const KeyValue = Schema.Struct({
  mod_revision: Schema.String,
  value: Schema.optionalWith(Schema.String, { default: () => "" })
})

const Range = Schema.Struct({ kvs: Schema.optionalWith(Schema.Array(KeyValue), { default: () => [] }) })

const Txn = Schema.Struct({
  header: Schema.Struct({ revision: Schema.String }),
  succeeded: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  responses: Schema.optionalWith(Schema.Array(Schema.Struct({ response_range: Schema.optional(Range) })), {
    default: () => []
  })
})

const storedOf = ({ kvs: [one] }: typeof Range.Type): Option.Option<register.Stored> =>
  one === undefined ? Option.none() : Option.some({
    version: one.mod_revision,
    json: Option.getOrElse(Option.getRight(Encoding.decodeBase64String(one.value)), () => "")
  })

const urlOf = (urls: ReadonlyArray<string>, name: string): string => {
  const isSecure = urls[0]?.startsWith("https:") === true
  return WitnessEndpoint.format({
    engine: "etcd",
    servers: urls.map((url) => url.replace(/^https?:\/\//, "")),
    isSecure,
    user: undefined,
    name
  })
}

/**
 * Makes a witness on etcd. Requests are made by the `HttpClient` at hand, which also holds the certificates for TLS. It must abort
 * a request that is interrupted. Fails only if the options are invalid.
 *
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Witness["Type"], InvalidConfig, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const { name, urls } = yield* validate(Checked, { name: options.name, urls: options.urls })
    const place = `bstar/${name}`
    const key = Encoding.encodeBase64(place)
    const endpoint = urlOf(urls, name)
    const request = yield* EtcdGateway.make({ urls, user: options.user })
    const fail = ({ cause, problem, reason }: EtcdGateway.GatewayError) =>
      new WitnessError({ reason, endpoint, problem, cause })
    return register.make({
      endpoint,
      place: `the key ${place}`,
      // Linearizable by default.
      look: request("/v3/kv/range", { key }, Range).pipe(
        Effect.mapBoth({ onFailure: fail, onSuccess: ({ answer }) => storedOf(answer) })
      ),
      swap: (expected, json) =>
        request("/v3/kv/txn", {
          compare: [
            Option.match(expected, {
              onNone: () => ({ key, target: "VERSION", result: "EQUAL", version: "0" }),
              onSome: (version) => ({ key, target: "MOD", result: "EQUAL", mod_revision: version })
            })
          ],
          success: [{ request_put: { key, value: Encoding.encodeBase64(json) } }],
          failure: [{ request_range: { key } }]
        }, Txn).pipe(Effect.mapBoth({
          onFailure: fail,
          onSuccess: ({ answer: { header, responses: [response], succeeded }, isRepeated }) =>
            succeeded
              ? { _tag: "Swapped", version: header.revision } as const
              : {
                _tag: "Conflict",
                stored: response?.response_range === undefined ? Option.none() : storedOf(response.response_range),
                mayBeOwn: isRepeated
              } as const
        }))
    })
  })

/**
 * A witness on etcd.
 *
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Witness, InvalidConfig, HttpClient.HttpClient> =>
  Layer.effect(Witness, make(options))
