// Opens members until libzmq has no socket left, closes them, and ends by itself. The first argument is libzmq's limit.
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import * as zmq from "zeromq"
import * as BinaryStar from "../../dist/member/BinaryStar.js"
import * as Zmq from "../../dist/zeromq/Zmq.js"
import * as ZmqSocket from "../../dist/zeromq/ZmqSocket.js"

const [, , limit] = process.argv
const options = {
  role: "primary",
  policy: "hardened",
  frontend: "tcp://127.0.0.1:*",
  stateEndpoint: "tcp://127.0.0.1:*",
  peerEndpoint: "tcp://127.0.0.1:9",
  heartbeat: "1 minute"
}
const member = BinaryStar.layer(options, ({ body }) => body).pipe(
  Layer.provide(Zmq.layer(options)),
  Layer.provide(Logger.remove(Logger.defaultLogger))
)

const open = (layerOrSocket) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const exit = yield* Effect.exit(layerOrSocket(scope))
    return { scope, exit }
  })

const openAll = (one, most) =>
  Effect.gen(function*() {
    const scopes = []
    let why = "none"
    while (scopes.length < most) {
      const { exit, scope } = yield* open(one)
      scopes.push(scope)
      if (Exit.isFailure(exit)) {
        why = String(exit.cause).split("\n")[0]
        break
      }
    }
    yield* Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.void), { concurrency: "unbounded" })
    return `${scopes.length}: ${why}`
  })

if (limit === undefined) {
  // More than libzmq's own limit of 1,023.
  console.log(await Effect.runPromise(openAll((scope) => Scope.extend(ZmqSocket.makeRequest(), scope), 1100)))
} else {
  zmq.context.maxSockets = Number(limit)
  console.log(await Effect.runPromise(openAll((scope) => Layer.buildWithScope(member, scope), 1000)))
}
