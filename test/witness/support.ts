/** Witnesses as the program connects to them, with its scheduler. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Access } from "../../src/cli/engine.ts"
import { connectionOf } from "../../src/cli/witness.ts"
import { Witness, type WitnessError } from "../../src/ports/Witness.ts"
import * as WitnessEndpoint from "../../src/wire/WitnessEndpoint.ts"

export interface Given {
  readonly password?: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The layer of the witness at a URL. */
export const layerAt = (url: string, { key, password, ...given }: Given = {}) =>
  Layer.unwrapEffect(Effect.suspend(() => {
    const endpoint = WitnessEndpoint.parse(url)
    assert.isFalse(WitnessEndpoint.isInvalid(endpoint), url)
    const access: Access = {
      endpoint: endpoint as WitnessEndpoint.WitnessEndpoint,
      password: password === undefined ? undefined : Redacted.make(password),
      ca: undefined,
      cert: undefined,
      key: key === undefined ? undefined : Redacted.make(key),
      ...given
    }
    return Effect.map(connectionOf(access), ({ layer }) => layer)
  }))

/** The witness at a URL. */
export const connect = (url: string, given?: Given) =>
  Effect.map(Effect.orDie(Layer.build(layerAt(url, given))), (context) => Context.get(context, Witness))

/** The reason and the problem of a request that fails. */
export const failure = <A>(request: Effect.Effect<A, WitnessError>) =>
  Effect.map(Effect.either(request), (outcome) => {
    assert.isTrue(Either.isLeft(outcome), JSON.stringify(outcome))
    const { problem, reason } = (outcome as Either.Left<WitnessError, A>).left
    return `${reason}: ${problem}`
  })
