/**
 * An observer sends requests to one server at short intervals and records its replies. It is a plain DEALER, not a client of
 * this library.
 */
import { Effect, Exit, Scope } from "effect"
import * as zmq from "zeromq"
import { socketOptions } from "../../support/keys.ts"
import type { Role } from "../../support/processes.ts"
import { roles, socket } from "../../support/processes.ts"
import type { Answer } from "./history.ts"
import type { Node, Pair } from "./nodes.ts"

export interface Observers {
  /** Replies since the last call. */
  readonly take: () => ReadonlyArray<Answer>
  /** Connects anew to a server whose host was cut off: the old connection may need long to recover. */
  readonly reconnect: (role: Role) => Effect.Effect<void>
}

/** The name of the client in the key files. */
export const client = "chaos"

/** With keys, each is the client `chaos` of the key files. */
export const makeObservers = (
  pair: Pair,
  keys?: string,
  periodMillis = 3
): Effect.Effect<Observers, never, Scope.Scope> =>
  Effect.gen(function*() {
    let answers: Array<Answer> = []
    const scopes = { primary: yield* Scope.make(), backup: yield* Scope.make() }
    const connect = (role: Role) =>
      Effect.gen(function*() {
        yield* Scope.close(scopes[role], Exit.void)
        scopes[role] = yield* Scope.make()
        yield* observe(pair.nodes[role], pair.at[role].frontend, keys, periodMillis, (answer) => answers.push(answer))
          .pipe(Scope.extend(scopes[role]))
      })
    yield* Effect.addFinalizer(() => Effect.forEach(roles, (role) => Scope.close(scopes[role], Exit.void)))
    yield* Effect.forEach(roles, connect)
    return {
      reconnect: connect,
      take: () => {
        const taken = answers
        answers = []
        return taken
      }
    }
  })

const observe = (
  node: Node,
  frontend: string,
  keys: string | undefined,
  periodMillis: number,
  record: (answer: Answer) => void
) =>
  Effect.gen(function*() {
    const dealer = yield* socket(() =>
      new zmq.Dealer({
        linger: 0,
        immediate: true,
        sendTimeout: 0,
        reconnectInterval: 5,
        reconnectMaxInterval: 20,
        ...keys === undefined ? {} : socketOptions(keys, client, node.role)
      })
    )
    dealer.connect(frontend)
    receive(dealer, node, record).catch((error: unknown) => {
      if (!dealer.closed) {
        throw error
      }
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => setInterval(() => send(dealer, node), periodMillis)),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
  })

/** A request carries its time and the number of the process, so that no table of pending requests is needed. */
const send = (dealer: zmq.Dealer, node: Node) => {
  if (dealer.writable) {
    dealer.send(["", `${performance.now()} ${node.incarnation()}`]).catch(() => {})
  }
}

const receive = async (
  dealer: zmq.Dealer,
  { incarnation, role }: { role: Role; incarnation: () => number },
  record: (answer: Answer) => void
) => {
  for await (const [, request] of dealer) {
    const received = performance.now()
    const [sent, process] = String(request).split(" ").map(Number) as [number, number]
    // A request that was sent before a restart may have been answered by either process.
    if (process === incarnation()) {
      record({ role, incarnation: process, sent, received })
    }
  }
}
