/** The service: orders in PostgreSQL, which only the active server can write. */
import { SqlClient } from "@effect/sql"
import { Context, Effect, Layer } from "effect"
import type { BinaryStarConfig } from "effect-binary-star"
import { BinaryStar, Handler, Term } from "effect-binary-star"
import * as Fence from "effect-binary-star/Fence"
import type { Place } from "./contract.ts"
import { NoSuchOrder, Orders, Unavailable } from "./contract.ts"

/** Each order has the term of the server that has placed it, to see later who has written what. */
export const createTables = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Fence.createTable()
  yield* sql`CREATE TABLE IF NOT EXISTS orders (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    term BIGINT NOT NULL
  )`
})

class OrdersFence extends Context.Tag("OrdersFence")<OrdersFence, Fence.Fence>() {
  static readonly layer = Layer.effect(OrdersFence, Fence.sql({ name: "orders" }))
}

interface Row {
  readonly id: number
  readonly item: string
  readonly quantity: number
}

const find = (key: string) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql<Row>`SELECT CAST(id AS INTEGER) AS id, item, quantity FROM orders WHERE key = ${key}`
  )

const place = ({ item, key, quantity }: typeof Place.Type) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const term = Term.toToken(yield* BinaryStar.term)
    yield* sql`INSERT INTO orders ${sql.insert({ key, item, quantity, term })} ON CONFLICT (key) DO NOTHING`
    return yield* find(key)
  })

/** The store has seen a later term, or this server is not active any more: the other one has to answer. */
const notActive = () => new Handler.RequestFailure({ reason: "NotActive" })

const handler = Orders.handler((request) =>
  Effect.gen(function*() {
    const fence = yield* OrdersFence
    const [order] = yield* fence.transaction(request._tag === "Place" ? place(request) : find(request.key))
    return order ?? (yield* new NoSuchOrder({ key: request.key }))
  }).pipe(
    Effect.catchTags({
      Stale: (error) => Effect.zipRight(Effect.logWarning(error.message), notActive()),
      NoTerm: notActive,
      SqlError: ({ message }) => new Unavailable({ why: message })
    })
  )
)

/** A server of the pair. It needs its sockets, its witness and the database. */
export const layer = (options: BinaryStarConfig.Options) =>
  BinaryStar.layer({ ...options, policy: "witnessed", fencing: "required" }, handler).pipe(
    Layer.provide(OrdersFence.layer)
  )
