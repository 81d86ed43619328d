/**
 * Users: clients of this project. Each always has exactly one request outstanding, unless it pauses between two.
 */
import { Effect, Either, Layer } from "effect"
import type { Scope } from "effect"
import * as path from "node:path"
import { BinaryStarClient, Frames, ZmqClientLink } from "../../../src/index.ts"
import * as ClientLink from "../../../src/ports/ClientLink.ts"
import * as Curve from "../../../src/security/Curve.ts"
import * as Envelope from "../../../src/wire/Envelope.ts"
import type { Role } from "../../support/processes.ts"
import { roles } from "../../support/processes.ts"
import type { Served } from "./history.ts"
import type { Pair } from "./nodes.ts"
import { client } from "./observers.ts"

/** A request of a user, from start to end in milliseconds. `fault` describes a wrong reply or an error. */
export interface UserRequest {
  readonly user: number
  readonly start: number
  readonly end: number
  /** Number of messages, to either server. */
  readonly attempts: number
  readonly servedBy: Served | undefined
  readonly fault: string | undefined
}

/** A second reply to a request, which was therefore executed twice. */
export interface LateReply {
  readonly user: number
  readonly role: Role
  readonly at: number
}

export interface Users {
  /** Requests that have ended and second replies, since the last call. */
  readonly take: () => { readonly requests: ReadonlyArray<UserRequest>; readonly late: ReadonlyArray<LateReply> }
}

export const timeout = "10 seconds"

export const makeUsers = (
  pair: Pair,
  count: number,
  keys?: string,
  pauseMillis = 0
): Effect.Effect<Users, never, Scope.Scope> =>
  Effect.gen(function*() {
    let requests: Array<UserRequest> = []
    let late: Array<LateReply> = []
    for (let user = 1; user <= count; user++) {
      yield* use(pair, user, keys, pauseMillis, (request) => requests.push(request), (reply) => late.push(reply))
    }
    return {
      take: () => {
        const taken = { late, requests }
        requests = []
        late = []
        return taken
      }
    }
  })

/** Observes the messages of one user. */
interface Watch {
  readonly sent: () => void
  readonly replied: (role: Role, id: number) => void
}

const use = (
  pair: Pair,
  user: number,
  keys: string | undefined,
  pauseMillis: number,
  record: (request: UserRequest) => void,
  recordLate: (late: LateReply) => void
) =>
  Effect.gen(function*() {
    let attempts = 0
    let lastReplied = 0
    let servedBy: Served | undefined
    const watch: Watch = {
      sent: () => attempts++,
      replied: (role, id) => {
        const at = performance.now()
        if (id > lastReplied) {
          lastReplied = id
          servedBy = { role, incarnation: pair.nodes[role].incarnation(), at }
        } else {
          recordLate({ user, role, at })
        }
      }
    }
    const client = yield* BinaryStarClient.make({
      servers: roles.map((role) => pair.at[role].frontend),
      timeout
    }).pipe(Effect.provide(watched(pair, watch, keys)), Effect.orDie)

    let number = 0
    const request = Effect.gen(function*() {
      const body = `user ${user} request ${++number}`
      attempts = 0
      servedBy = undefined
      const start = performance.now()
      const reply = yield* Effect.either(client.request(body))
      record({
        user,
        start,
        end: performance.now(),
        attempts,
        servedBy,
        fault: Either.isLeft(reply)
          ? `${body} failed: ${reply.left.message}`
          : Frames.toString(reply.right) === body
          ? undefined
          : `${body} received ${Frames.toString(reply.right)}`
      })
    })
    const paced = pauseMillis === 0 ? request : Effect.zipRight(request, Effect.sleep(pauseMillis))
    yield* Effect.forkScoped(Effect.forever(paced))
  })

/** Connections over ZeroMQ, observed. */
const watched = (pair: Pair, watch: Watch, keys: string | undefined): Layer.Layer<ClientLink.ClientLink> =>
  Layer.effect(
    ClientLink.ClientLink,
    Effect.map(ClientLink.ClientLink, (link) =>
      ClientLink.ClientLink.of({
        connect: (server) => {
          const role = roles.find((role) => pair.at[role].frontend === server)!
          return Effect.map(link.connect(server), (connection) => ({
            ...connection,
            send: (message) => {
              watch.sent()
              return connection.send(message)
            },
            sendNow: (message, onUnsent) => {
              watch.sent()
              connection.sendNow(message, onUnsent)
            },
            run: (onBatch) =>
              connection.run((batch) => {
                for (const id of batch.flatMap(idOf)) {
                  watch.replied(role, id)
                }
                return onBatch(batch)
              })
          }))
        }
      }))
  ).pipe(Layer.provide(
    keys === undefined
      ? ZmqClientLink.layer
      : Layer.orDie(ZmqClientLink.layerCurve(Curve.client(path.join(keys, `client-${client}`))))
  ))

/** Number of the request that a message replies to. A status is not a reply. */
const idOf = (message: Frames.Frames): ReadonlyArray<number> => {
  const reply = Envelope.parseReply(message)
  return reply === undefined || reply.status !== undefined ? [] : [Number(reply.id)]
}
