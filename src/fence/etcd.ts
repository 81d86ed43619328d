/** A transaction of etcd with the comparison and the write of a fence, for the JSON gateway. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
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

/** Schema of a result. What etcd leaves out is `false`, or empty. */
export const Result = Schema.Struct({
  succeeded: Schema.optionalWith(Schema.Boolean, { default: () => false }),
  responses: Schema.optionalWith(Schema.Array(Schema.Unknown), { default: () => [] })
})

const Kept = Schema.Struct({
  kvs: Schema.optionalWith(Schema.Array(Schema.Struct({ value: Schema.String })), { default: () => [] })
})

/** Schema of the answer to a {@link guard}. */
export const Guarded = Schema.Union(
  Schema.Struct({
    succeeded: Schema.Literal(true),
    responses: Schema.Tuple(Schema.Unknown, Schema.Struct({ response_txn: Result }))
  }),
  Schema.Struct({
    succeeded: Schema.optionalWith(Schema.Literal(false), { default: () => false }),
    responses: Schema.Tuple(Schema.Struct({ response_range: Kept }))
  })
)

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

/** The token that the key has; `undefined` if there is none. */
export const keptToken = ({ kvs: [kept] }: typeof Kept.Type): number | undefined => {
  const value = kept === undefined ? "" : Either.getOrElse(Encoding.decodeBase64String(kept.value), () => "")
  return /^[0-9]{16}$/.test(value) ? Number(value) : undefined
}
