/** The options of the binding's constructors. Unset ones are left out: the binding rejects `undefined`. */
import type { BindingOptions, Options, RouterOptions } from "./models.ts"

/** With a send timeout of 0 a send never waits, so that no second one can throw EBUSY. */
export const common = (options: Options | undefined) => ({
  linger: options?.lingerMillis ?? 0,
  sendTimeout: 0,
  ...options?.security?.options
})

export const binding = ({ handshakeMillis, maxMessageSize }: BindingOptions = {}) => ({
  ...(maxMessageSize === undefined ? {} : { maxMessageSize }),
  ...(handshakeMillis === undefined ? {} : { handshakeInterval: handshakeMillis })
})

/** Keep-alive probes within the idle time. */
const probeCount = 3

export const keepAlive = ({ keepAliveSeconds, pingMillis }: RouterOptions = {}) => ({
  ...(pingMillis === undefined ? {} : { heartbeatInterval: pingMillis, heartbeatTimeout: pingMillis }),
  ...(keepAliveSeconds === undefined ? {} : {
    tcpKeepalive: 1,
    tcpKeepaliveIdle: keepAliveSeconds,
    tcpKeepaliveInterval: Math.ceil(keepAliveSeconds / probeCount),
    tcpKeepaliveCount: probeCount
  })
})

/** The first attempt follows soon, each further one after twice the time. */
export const reconnect = ({ connectMillis = 0, reconnectMillis = 200 }: Options = {}) => ({
  connectTimeout: connectMillis,
  reconnectInterval: Math.min(10, reconnectMillis),
  reconnectMaxInterval: reconnectMillis
})

/** Events kept until a consumer reads them; of more only the latest. */
export const eventCapacity = 16
