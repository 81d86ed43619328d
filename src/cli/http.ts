/**
 * `--http`: the status server of a server.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import * as StatusServer from "../http/StatusServer.ts"
import type { BinaryStar } from "../member/BinaryStar.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"

type HttpValues = Pick<Values<"server">, "httpHost" | "httpToken" | "httpTokenFile" | "peerHttp">

const tokenIn = (file: string) =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) =>
      new InvalidConfig({
        issues: [{ field: "http-token-file", message: error instanceof Error ? error.message : file }]
      })
  }).pipe(Effect.map((text) => Redacted.make(text.trim())))

const tokenOf = ({ httpToken, httpTokenFile }: HttpValues) =>
  httpTokenFile === undefined
    ? Effect.succeed(httpToken)
    : tokenIn(httpTokenFile)

/** The member, and its status server at an address. */
export const around = <A, E, R>(
  address: string,
  values: HttpValues,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar, E, R>
): Layer.Layer<A | BinaryStar, E | InvalidConfig | SocketError, R> =>
  Layer.unwrapEffect(
    Effect.map(tokenOf(values), (token) =>
      StatusServer.around(member, {
        http: address,
        httpHosts: values.httpHost,
        peerHttp: values.peerHttp,
        token,
        rejectedConnections: security?.rejectedConnections
      }))
  )
