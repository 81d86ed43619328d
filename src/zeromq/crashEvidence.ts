import * as Effect from "effect/Effect"
import * as RefusalProbe from "../internal/RefusalProbe.ts"
import * as Endpoint from "../wire/Endpoint.ts"
import * as Addresses from "./addresses.ts"

/** Time within which the system has to answer, in milliseconds. No answer is no evidence. */
const timeoutMillisDefault = 1000

const isAddressRefused = (endpoint: string, timeoutMillis: number): Effect.Effect<boolean> => {
  const address = RefusalProbe.addressOf(Endpoint.parse(endpoint))
  return address === undefined ? Effect.succeed(false) : Effect.async((resume) => {
    const cancel = RefusalProbe.probe(address, timeoutMillis, (isRefused) => resume(Effect.succeed(isRefused)))
    return Effect.sync(cancel)
  })
}

/**
 * Whether the system refuses connections to an endpoint, because no process listens there. Names are not looked up: the address of
 * the last connection counts, or, before there was one, each known address. `timeoutMillis` is for all of them.
 *
 * @internal
 */
export const isRefused = (endpoint: string, timeoutMillis = timeoutMillisDefault): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const addresses = Addresses.peerAddresses(endpoint)
    const each = Math.max(1, Math.ceil(timeoutMillis / addresses.length))
    return addresses.length === 0
      ? Effect.succeed(false)
      // One after the other: an interrupted concurrent `forEach` was seen not to end.
      : Effect.map(
        Effect.forEach(addresses, (address) => isAddressRefused(address, each)),
        (refusals) => refusals.every((isRefused) => isRefused)
      )
  })
