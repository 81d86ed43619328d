/**
 * `--http`: the status server of a server.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as StatusServer from "../http/StatusServer.ts"
import type { BinaryStar } from "../member/BinaryStar.ts"
import type { SocketError } from "../ports/SocketError.ts"
import type * as Curve from "../security/Curve.ts"
import type { InvalidConfig } from "../settings/InvalidConfig.ts"
import type { Values } from "../settings/Settings.ts"
import * as Token from "./token.ts"

type HttpValues = Pick<Values<"server">, "httpHost" | "httpToken" | "httpTokenFile" | "peerHttp">

/** The member, and its status server at an address. */
export const around = <A, E, R>(
  address: string,
  values: HttpValues,
  security: Curve.Server | undefined,
  member: Layer.Layer<A | BinaryStar, E, R>
): Layer.Layer<A | BinaryStar, E | InvalidConfig | SocketError, R> =>
  Layer.unwrapEffect(
    Effect.map(Token.ofServer(values), (token) =>
      StatusServer.around(member, {
        http: address,
        httpHosts: values.httpHost,
        peerHttp: values.peerHttp,
        token,
        rejectedConnections: security?.rejectedConnections
      }))
  )
