/**
 * `--http`: a server tells its operators how it is.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import * as StatusServer from "../http/StatusServer.ts"
import type { BinaryStar } from "../member/BinaryStar.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { http, Parsed } from "./options.ts"

const tokenIn = (file: string) =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) =>
      new InvalidConfig({
        issues: [{ field: "http-token-file", message: error instanceof Error ? error.message : file }]
      })
  }).pipe(Effect.map((text) => Redacted.make(text.trim())))

const tokenOf = (file: Option.Option<string>) =>
  Option.match(file, {
    onNone: () => Effect.map(Effect.orDie(Config.option(Config.redacted("BSTAR_HTTP_TOKEN"))), Option.getOrUndefined),
    onSome: tokenIn
  })

/** What is given as options comes before the environment. */
const hostsOf = (given: ReadonlyArray<string>) =>
  given.length > 0
    ? Effect.succeed(given)
    : Effect.orDie(Config.withDefault(Config.array(Config.string(), "BSTAR_HTTP_HOSTS"), []))

/** The member, and its status server at an address. */
export const around = <A, E, R>(
  address: string,
  parsed: Parsed<typeof http>,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar, E, R>
): Layer.Layer<A | BinaryStar, E | InvalidConfig | SocketError, R> =>
  Layer.unwrapEffect(
    Effect.map(Effect.all([tokenOf(parsed.httpTokenFile), hostsOf(parsed.httpHost)]), ([token, httpHosts]) =>
      StatusServer.around(member, {
        http: address,
        httpHosts,
        peerHttp: Option.getOrUndefined(parsed.peerHttp),
        token,
        rejectedConnections: security?.rejectedConnections
      }))
  )
