/** Makes the connections of a socket, one for each endpoint, and makes them anew until the socket is closed. */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as zmq from "zeromq"
import { nextPoll } from "../internal/Scheduler.ts"
import type { SocketError, SocketOperation } from "../ports/SocketError.ts"
import * as Addresses from "./addresses.ts"
import * as OwnAddress from "./ownAddress.ts"

/**
 * A step of a connection that a socket makes. Endpoints of `inproc` have none.
 *
 * - `opened`: the system has connected; the handshake is under way. A peer of ZeroMQ 2 or 3 never gets further than this.
 * - `connected`: the handshake is done.
 * - `lost`: a connection whose handshake was done has ended.
 * - `failed`: an attempt has failed, or a connection has ended before its handshake was done.
 * - `ended`: after `lost` or `failed`, libzmq does not connect again: the other end is of another kind, refuses for good, or
 *   has broken the protocol. The socket itself tries again a second later.
 *
 * @since 0.1.0
 * @category models
 */
export type ConnectionEvent = "opened" | "connected" | "lost" | "failed" | "ended"

/** The connection to one endpoint. */
export interface Link {
  /** Connects now, or as soon as an address is known. Ends the connection that there was before. */
  readonly connect: Effect.Effect<void, SocketError>
  /** Ends the connection. */
  readonly disconnect: Effect.Effect<void>
  /** Has the next connection made to another address of the host; tells whether it has one. */
  readonly skip: Effect.Effect<boolean>
}

export interface Connector {
  readonly link: (endpoint: string) => Effect.Effect<Link, SocketError>
  /** The latest steps of all connections. */
  readonly events: Stream.Stream<ConnectionEvent>
  /** Starts to observe the socket, which the first link does otherwise. */
  readonly observe: Effect.Effect<void, SocketError>
}

/** Events that nobody has taken yet; of more only the latest count. */
const eventsKept = 16

/** Times in milliseconds. */
const times = {
  /** What libzmq may take to report that it connects again, which it does at once. */
  retry: 50,
  /** Between two connections that libzmq has given up. */
  ended: 1000,
  /** Between two look-ups while there is no connection: when no address is known, and when there is one. */
  unknown: 1000,
  known: 5000,
  /** Between two rounds over the addresses of a host. */
  round: 200,
  /** What an address may take to accept a connection until another one is tried: at first, and at the most. */
  opening: 1000,
  slow: 16_000
}

interface State {
  readonly endpoint: string
  /** The address in use. */
  address: string | undefined
  isWanted: boolean
  /** Whether it has been reported that the host cannot be looked up. */
  isUnknown: boolean
  readonly steps: Mailbox.Mailbox<ConnectionEvent>
}

/**
 * Connects a socket. `isSecured` says that something else makes anew what has failed in its handshake.
 *
 * @internal
 */
export const make = (socket: zmq.Socket, { failed, isSecured }: {
  readonly failed: (operation: SocketOperation, cause: unknown, endpoint?: string) => SocketError
  readonly isSecured: boolean
}): Effect.Effect<Connector, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* Effect.acquireRelease(
      Mailbox.make<ConnectionEvent>({ capacity: eventsKept, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    )
    const runAny = yield* FiberMap.makeRuntime<never, string>()
    // A socket may be opened where fibers would inherit that they cannot be interrupted.
    const run = (key: string, effect: Effect.Effect<unknown>, options?: { readonly onlyIfMissing: boolean }) =>
      runAny(key, Effect.interruptible(effect), options)
    const links = new Set<State>()
    const connected = new Set<string>()
    let isObserved = false

    const emit = (event: ConnectionEvent, address: string) => {
      for (const { address: own, steps } of links) {
        if (own === address) {
          events.unsafeOffer(event)
          steps.unsafeOffer(event)
        }
      }
    }
    /** libzmq reports that it connects again, but not that it gives up. */
    const endUnlessRetried = (address: string) =>
      Effect.sleep(times.retry).pipe(
        Effect.zipRight(nextPoll),
        Effect.zipRight(Effect.sync(() => emit("ended", address)))
      )
    /** The observer ends with its socket. Closing it by itself would leave an unhandled rejection behind. */
    const observeOnce = () => {
      if (isObserved) {
        return
      }
      const on = (
        type: "connect" | "handshake" | "disconnect" | "close" | "connect:retry",
        react: (address: string) => void
      ) =>
        // An event of a port that could not be bound has no address.
        socket.events.on(
          type,
          ({ address }: { readonly address?: string }) =>
            address === undefined ? undefined : react(OwnAddress.withoutSource(address))
        )
      on("connect", (address) => emit("opened", address))
      on("handshake", (address) => {
        connected.add(address)
        emit("connected", address)
      })
      on("disconnect", (address) => {
        emit(connected.delete(address) ? "lost" : "failed", address)
        run(`end ${address}`, endUnlessRetried(address))
      })
      on("close", (address) => emit("failed", address))
      on("connect:retry", (address) => run(`end ${address}`, Effect.void))
      isObserved = true
    }
    const observe = Effect.try({ try: observeOnce, catch: (cause) => failed("open", cause) })

    const disconnect = (state: State) => {
      const { address } = state
      state.address = undefined
      if (address !== undefined) {
        connected.delete(address)
        try {
          socket.disconnect(OwnAddress.withSource(address))
        } catch {
          // libzmq has given it up already, or the socket is closed.
        }
      }
    }

    const connect = (state: State) =>
      Effect.zipRight(
        state.steps.clear,
        Effect.try({
          try: () => {
            disconnect(state)
            state.isWanted = true
            const address = Addresses.current(state.endpoint)
            if (address !== undefined) {
              Addresses.attempt(state.endpoint)
              allowIpv6(socket, address)
              if ("send" in socket && Addresses.known(state.endpoint).length > 1) {
                // What was queued for one address would be lost with it when the next one is tried.
                socket.immediate = true
              }
              socket.connect(OwnAddress.withSource(address))
              state.address = address
            }
          },
          catch: (cause) => failed("connect", cause, state.endpoint)
        })
      )

    /** Has the addresses of a host looked up until there is a connection. */
    const lookUp = (state: State) => {
      const { endpoint } = state
      const once = Effect.matchEffect(Effect.tryPromise(() => Addresses.lookUp(endpoint)), {
        onFailure: ({ error }) => {
          const isNew = !state.isUnknown && Addresses.known(endpoint).length === 0
          state.isUnknown ||= isNew
          const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : ""
          return isNew
            ? Effect.logWarning(`cannot look up the host of ${endpoint}${code}; trying again`)
            : Effect.void
        },
        onSuccess: () => {
          const { address } = state
          const wasUnknown = state.isUnknown
          state.isUnknown = false
          const isToMove = state.isWanted &&
            (address === undefined || !connected.has(address) && !Addresses.known(endpoint).includes(address))
          return Effect.zipRight(
            wasUnknown ? Effect.logInfo(`the host of ${endpoint} is known now`) : Effect.void,
            isToMove ? connect(state) : Effect.void
          )
        }
      })
      const pause = Effect.suspend(() =>
        Effect.sleep(Addresses.known(endpoint).length === 0 ? times.unknown : times.known)
      )
      run(`look ${endpoint}`, once.pipe(logFailure, Effect.zipRight(pause), Effect.forever), { onlyIfMissing: true })
    }

    /** Another address, and the same again once all had their turn. */
    const turn = (state: State, pauseMillis: number) =>
      Effect.sleep(pauseMillis).pipe(
        Effect.zipRight(Effect.suspend(() => {
          if (state.address === undefined) {
            return Effect.void
          }
          Addresses.skip(state.endpoint, state.address)
          return connect(state)
        }))
      )

    const supervise = (state: State) => {
      const { endpoint, steps } = state
      let failures = 0
      let last: ConnectionEvent | undefined
      const count = () => Addresses.known(endpoint).length
      const next = Effect.suspend(() => {
        const patience = Math.min(times.slow, times.opening * 2 ** Math.floor(failures / Math.max(1, count())))
        return count() > 1 && state.address !== undefined && last !== "opened" && last !== "connected"
          ? Effect.timeoutTo(steps.take, {
            duration: patience,
            onTimeout: () => "failed" as const,
            onSuccess: (step) => step
          })
          : steps.take
      })
      const react = (step: ConnectionEvent) => {
        const before = last
        last = step
        switch (step) {
          case "opened":
            return Effect.void
          case "connected":
            failures = 0
            run(`look ${endpoint}`, Effect.void)
            Addresses.prove(endpoint, state.address)
            return Effect.void
          case "lost":
          case "failed": {
            if (Addresses.isName(endpoint)) {
              lookUp(state)
            }
            if (step === "lost" || count() < 2 || isSecured && before === "opened") {
              return Effect.void
            }
            failures++
            last = undefined
            return turn(state, failures % count() === 0 ? times.round : 0)
          }
          case "ended":
            return isSecured && before === "failed" ? Effect.void : turn(state, times.ended)
        }
      }
      run(
        `supervise ${endpoint}`,
        Effect.flatMap(next, (step) => logFailure(react(step))).pipe(Effect.forever, Effect.ignore)
      )
    }

    const link = (endpoint: string) =>
      Effect.gen(function*() {
        const state: State = {
          endpoint,
          address: undefined,
          isWanted: false,
          isUnknown: false,
          steps: yield* Mailbox.make<ConnectionEvent>({ capacity: eventsKept, strategy: "sliding" })
        }
        Addresses.begin(endpoint)
        links.add(state)
        if (!endpoint.startsWith("inproc:")) {
          yield* Effect.try({ try: observeOnce, catch: (cause) => failed("connect", cause, endpoint) })
          supervise(state)
        }
        return {
          connect: Effect.zipRight(
            connect(state),
            Effect.sync(() => Addresses.isName(endpoint) ? lookUp(state) : undefined)
          ),
          disconnect: Effect.sync(() => {
            state.isWanted = false
            disconnect(state)
          }),
          skip: Effect.sync(() => Addresses.skip(endpoint, state.address))
        }
      })
    return { link, events: Mailbox.toStream(events), observe }
  })

const logFailure = Effect.catchAll((error: SocketError) => Effect.logError(error.message))

const allowIpv6 = (socket: zmq.Socket, endpoint: string) => {
  if (endpoint.startsWith("tcp://[")) {
    socket.ipv6 = true
  }
}
