/** What clients of the service may ask, and what they receive. */
import { Schema } from "effect"
import { Contract } from "effect-binary-star"

/** The client chooses the key of an order. An order that is placed again under the same key is the same order. */
export const Place = Schema.TaggedStruct("Place", {
  key: Schema.NonEmptyString,
  item: Schema.NonEmptyString,
  quantity: Schema.Positive.pipe(Schema.int())
})

export const Get = Schema.TaggedStruct("Get", { key: Schema.NonEmptyString })

export class NoSuchOrder extends Schema.TaggedError<NoSuchOrder>()("NoSuchOrder", { key: Schema.String }) {}

/** The database does not answer. Whether the order was placed is not known: the client places it again, under the same key. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", { why: Schema.String }) {}

export const Orders = Contract.make({
  request: Schema.Union(Place, Get),
  reply: Schema.Struct({ id: Schema.Number, item: Schema.String, quantity: Schema.Number }),
  error: Schema.Union(NoSuchOrder, Unavailable)
})
