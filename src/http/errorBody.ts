/** The body of an error answer: `{ "error": TEXT }`, as every error answer of the status API. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Status from "../status/Status.ts"

const decode = Schema.decodeEither(Schema.parseJson(Status.ErrorBody))

/** The message in the body of an error answer. `undefined` if the body is of another kind. */
export const messageIn = (body: string): string | undefined =>
  Either.match(decode(body), { onLeft: () => undefined, onRight: ({ error }) => error })
