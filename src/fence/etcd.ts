/** A transaction of etcd with the comparison and the write of a fence, for the JSON gateway. */
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * A transaction as the JSON gateway takes it: `POST /v3/kv/txn`. Keys and values are in Base64.
 *
 * @category models
 */
export interface EtcdTransaction {
  /** All have to hold: for example `{ key, target: "MOD", result: "EQUAL", mod_revision: "7" }`. */
  readonly compare?: ReadonlyArray<object> | undefined
  /** Executed if they hold: for example `{ request_put: { key, value } }`. */
  readonly success?: ReadonlyArray<object> | undefined
  /** Executed otherwise. */
  readonly failure?: ReadonlyArray<object> | undefined
}

/**
 * Result of a transaction: which branch was executed, and the responses of its operations.
 *
 * @category models
 */
export interface EtcdResult {
  readonly succeeded: boolean
  readonly responses: ReadonlyArray<unknown>
}

/** What etcd leaves out is `false`, or empty. */
const Result = Schema.Struct({
  succeeded: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  responses: Schema.optionalWith(Schema.Array(Schema.Unknown), { default: () => [] })
})

const Answer = Schema.parseJson(Result)

const Kept = Schema.Struct({
  response_range: Schema.Struct({
    kvs: Schema.optionalWith(Schema.Array(Schema.Struct({ value: Schema.StringFromBase64 })), { default: () => [] })
  })
})

const decodeKept = Schema.decodeUnknownOption(Kept)

const decodeNested = Schema.decodeUnknown(Schema.Struct({ response_txn: Result }))

export const keyOf = (name: string): string => Encoding.encodeBase64(`bstar-fence/${name}`)

/** Sixteen digits, so that their order as bytes, in which etcd compares them, is that of the numbers. */
const valueOf = (token: number): string => Encoding.encodeBase64(String(token).padStart(16, "0"))

/** Creates the key, unless it exists. */
export const create = (key: string): EtcdTransaction => ({
  compare: [{ key, target: "CREATE", result: "EQUAL", create_revision: "0" }],
  success: [{ request_put: { key, value: valueOf(0) } }]
})

/**
 * Executes a transaction if the key has no later token, and keeps this one. The transaction is nested, so that neither of its
 * branches is executed otherwise. A key that does not exist compares as unequal.
 */
export const guard = (key: string, token: number, transaction: EtcdTransaction): EtcdTransaction => ({
  compare: [{ key, target: "VALUE", result: "LESS", value: valueOf(token + 1) }],
  success: [{ request_put: { key, value: valueOf(token) } }, { request_txn: transaction }],
  failure: [{ request_range: { key } }]
})

/** Reads an answer. */
export const decode = Schema.decode(Answer)

/** The result of the transaction, from the success branch of a {@link guard}. */
export const nested = ([, second]: ReadonlyArray<unknown>) =>
  Effect.map(decodeNested(second), ({ response_txn }): EtcdResult => response_txn)

/** The token that the key has, from the failure branch of a {@link guard}; `undefined` if there is none. */
export const keptToken = ([first]: ReadonlyArray<unknown>): number | undefined => {
  const [kept] = Option.match(decodeKept(first), { onNone: () => [], onSome: ({ response_range: { kvs } }) => kvs })
  return kept !== undefined && /^[0-9]{16}$/.test(kept.value) ? Number(kept.value) : undefined
}
