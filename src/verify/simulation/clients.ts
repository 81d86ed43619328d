/** The clients of a simulated run: two of the library, each with one request at a time, and one at each server that only votes. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as BinaryStarClient from "../../client/BinaryStarClient.ts"
import { ClientLink } from "../../ports/ClientLink.ts"
import type { SocketError } from "../../ports/SocketError.ts"
import type { Role } from "../../protocol/StateMachine.ts"
import type { InvalidConfig } from "../../settings/InvalidConfig.ts"
import * as Frames from "../../wire/Frames.ts"
import { fork, roles, type Run, upTo } from "./run.ts"
import { once } from "./servers.ts"

type Client = Effect.Effect<never, InvalidConfig | SocketError, ClientLink | Scope.Scope>

const sendRequests = (run: Run, resend: boolean): Client =>
  Effect.gen(function*() {
    const client = yield* BinaryStarClient.make({
      servers: roles.map((role) => `inproc://${role}`),
      timeout: "1 second"
    })
    for (let i = 0;; i++) {
      const text = `${resend ? "" : once}${i}`
      const reply = yield* Effect.either(client.request(text, { resend }))
      if (reply._tag === "Right" && Frames.toString(reply.right) !== text) {
        run.history.violate("WrongReply", `${Frames.toString(reply.right)} to ${text}`)
      }
      yield* Effect.sleep(upTo(run, 1))
    }
  })

const sendVotes = (run: Run, role: Role): Client =>
  Effect.gen(function*() {
    const connection = yield* run.network.clientLink.connect(role)
    for (let i = 0;; i++) {
      yield* connection.send([...Frames.make(`vote ${i}`), Frames.delimiter, ...Frames.make(String(i))])
      yield* Effect.sleep(upTo(run, 1))
    }
  })

/** Starts all clients. */
export const start = (run: Run): ReadonlyArray<Fiber.Fiber<unknown, unknown>> =>
  [sendRequests(run, true), sendRequests(run, false), ...roles.map((role) => sendVotes(run, role))].map((client) =>
    fork(
      run,
      Effect.scoped(client).pipe(Effect.provideService(ClientLink, run.network.clientLink)),
      run.outside,
      (line) => run.history.note(`client: ${line}`)
    )
  )
