/** Makes the connections of a socket, one for each endpoint, and makes them again until the socket is closed. */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as zmq from "zeromq"
import { monotonicReader } from "../internal/Clock.ts"
import * as LogOnce from "../internal/LogOnce.ts"
import { nextPoll } from "../internal/Scheduler.ts"
import type { SocketError, SocketOperation } from "../ports/SocketError.ts"
import { isInproc } from "../settings/Inproc.ts"
import * as Addresses from "./addresses.ts"
import { mismatchCode } from "./handshakes.ts"
import type { Connecting, Connection, ConnectionEvent } from "./models.ts"
import * as OwnAddress from "./ownAddress.ts"
import * as Reconnect from "./reconnect.ts"
import { eventCapacity } from "./socketOptions.ts"

export interface Connector {
  readonly connection: (endpoint: string) => Effect.Effect<Connection, SocketError>
  /** The latest steps of all connections. */
  readonly events: Stream.Stream<ConnectionEvent>
  /** Starts to observe the socket. Otherwise the first connection does. */
  readonly observe: Effect.Effect<void, SocketError>
}

/** Connects as it is. */
export const connectDirectly: Connecting = (_, { connect }) => connect

/** Times in milliseconds. */
const times = {
  /** How long libzmq may take to report that it connects again, which it does at once. */
  retry: 50,
  /** Between two look-ups while there is no connection: without a known address, and with one. */
  unknown: 1000,
  known: 5000
}

/** A connection to an endpoint. */
interface State {
  readonly endpoint: string
  /** The address in use. */
  address: string | undefined
  /** Whether it is to be connected as soon as an address is known. */
  isWanted: boolean
  /** Whether a failed look-up of the host was logged. */
  isUnknown: boolean
  attempts: Reconnect.Attempts
  readonly steps: Mailbox.Mailbox<ConnectionEvent>
}

interface Options {
  readonly failed: (operation: SocketOperation, cause: unknown, endpoint?: string) => SocketError
  /** Whether `SocketSecurity` retries failed handshakes. */
  readonly isSecured: boolean
}

/** Servers that require keys: by endpoint for the whole process, because a client may open one socket after the other. */
const keyed = new LogOnce.Bursts<undefined>({ windowMillis: 10_000, isExtended: true })

interface Session extends Options {
  readonly now: () => number
  readonly socket: zmq.Socket
  readonly events: Mailbox.Mailbox<ConnectionEvent>
  /** Runs an effect in a fiber that ends with the socket, or when the next one with the same key begins. */
  readonly run: (key: string, effect: Effect.Effect<unknown>, options?: { readonly onlyIfMissing: boolean }) => void
  readonly states: Set<State>
  /** Addresses whose handshake is done. */
  readonly connected: Set<string>
  isObserved: boolean
}

const emit = ({ events, states }: Session, event: ConnectionEvent, address: string) => {
  for (const state of states) {
    if (state.address === address) {
      events.unsafeOffer(event)
      state.steps.unsafeOffer(event)
    }
  }
}

/** Warns, without keys of its own, of a server that has them: libzmq would try in silence for ever. */
const warnOfKeys = ({ isSecured, now, run, states }: Session, address: string) => {
  for (const { address: current, endpoint } of states) {
    if (!isSecured && current === address && keyed.add(endpoint, undefined, now())) {
      run(
        `keys ${endpoint}`,
        Effect.logWarning(
          `the server at ${endpoint} requires a key, and this side has none: start both with --keys, or neither ` +
            "(bstar keygen makes keys); trying again"
        )
      )
    }
  }
}

/** Observes the socket, once. The observer ends with it: closed by itself, it would leave an unhandled rejection behind. */
const observe = (session: Session) => {
  const { connected, isObserved, run, socket } = session
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
  // libzmq reports that it connects again, but not that it gives up.
  const endUnlessRetried = (address: string) =>
    Effect.sleep(times.retry).pipe(
      Effect.zipRight(nextPoll),
      Effect.zipRight(Effect.sync(() => emit(session, "ended", address)))
    )
  on("connect", (address) => emit(session, "opened", address))
  on("handshake", (address) => {
    connected.add(address)
    emit(session, "connected", address)
  })
  on("disconnect", (address) => {
    emit(session, connected.delete(address) ? "lost" : "failed", address)
    run(`end ${address}`, endUnlessRetried(address))
  })
  on("close", (address) => emit(session, "failed", address))
  socket.events.on(
    "handshake:error:protocol",
    ({ address, error }) =>
      address !== undefined && "code" in error && error.code === mismatchCode
        ? warnOfKeys(session, OwnAddress.withoutSource(address))
        : undefined
  )
  on("connect:retry", (address) => run(`end ${address}`, Effect.void))
  session.isObserved = true
}

const disconnect = ({ connected, socket }: Session, state: State) => {
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

const connectNow = (session: Session, state: State) => {
  const { socket } = session
  disconnect(session, state)
  state.isWanted = true
  const address = Addresses.current(state.endpoint)
  if (address === undefined) {
    return
  }
  Addresses.attempt(state.endpoint)
  if (address.startsWith("tcp://[")) {
    socket.ipv6 = true
  }
  if ("send" in socket && Addresses.known(state.endpoint).length > 1) {
    // Messages queued for one address would be lost with it when the next one is tried.
    socket.immediate = true
  }
  socket.connect(OwnAddress.withSource(address))
  state.address = address
}

const connect = (session: Session, state: State): Effect.Effect<void, SocketError> =>
  Effect.zipRight(
    state.steps.clear,
    Effect.try({
      try: () => connectNow(session, state),
      catch: (cause) => session.failed("connect", cause, state.endpoint)
    })
  )

const logFailure = Effect.catchAll((error: SocketError) => Effect.logError(error.message))

const onUnknown = (state: State, error: unknown): Effect.Effect<void> => {
  if (state.isUnknown || Addresses.known(state.endpoint).length > 0) {
    return Effect.void
  }
  state.isUnknown = true
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : ""
  return Effect.logWarning(`cannot look up the host of ${state.endpoint}${code}; trying again`)
}

const onKnown = (session: Session, state: State): Effect.Effect<void, SocketError> => {
  const { address, endpoint, isUnknown, isWanted } = state
  state.isUnknown = false
  const isObsolete = address === undefined ||
    !session.connected.has(address) && !Addresses.known(endpoint).includes(address)
  return Effect.zipRight(
    isUnknown ? Effect.logInfo(`the host of ${endpoint} is known now`) : Effect.void,
    isWanted && isObsolete ? connect(session, state) : Effect.void
  )
}

/** Looks up the addresses of a host until there is a connection. */
const lookUp = (session: Session, state: State) => {
  const { endpoint } = state
  const once = Effect.matchEffect(Effect.tryPromise(() => Addresses.lookUp(endpoint)), {
    onFailure: ({ error }) => onUnknown(state, error),
    onSuccess: () => onKnown(session, state)
  })
  const pause = Effect.suspend(() => Effect.sleep(Addresses.known(endpoint).length === 0 ? times.unknown : times.known))
  session.run(`look ${endpoint}`, once.pipe(logFailure, Effect.zipRight(pause), Effect.forever), {
    onlyIfMissing: true
  })
}

/** Connects the next address; after the last one the first again. */
const connectNext = (session: Session, state: State, afterMillis: number) =>
  Effect.zipRight(
    Effect.sleep(afterMillis),
    Effect.suspend(() => {
      if (state.address === undefined) {
        return Effect.void
      }
      Addresses.skip(state.endpoint, state.address)
      return connect(session, state)
    })
  )

const targetOf = ({ isSecured }: Session, { endpoint }: State): Reconnect.Target => ({
  isName: Addresses.isName(endpoint),
  addressCount: Addresses.known(endpoint).length,
  isSecured
})

/** The next step of a connection. An address that does not accept a connection in time has failed. */
const nextStep = (session: Session, state: State) =>
  Effect.suspend(() => {
    const millis = Reconnect.openingMillis(state.attempts, targetOf(session, state))
    return millis === undefined || state.address === undefined ? state.steps.take : Effect.timeoutTo(state.steps.take, {
      duration: millis,
      onTimeout: () => "failed" as const,
      onSuccess: (step) => step
    })
  })

const react = (session: Session, state: State, step: ConnectionEvent): Effect.Effect<void, SocketError> => {
  const { attempts, lookUp: lookUps, nextAfterMillis } = Reconnect.onStep(
    state.attempts,
    step,
    targetOf(session, state)
  )
  state.attempts = attempts
  if (step === "connected") {
    Addresses.prove(state.endpoint, state.address)
  }
  if (lookUps === "Start") {
    lookUp(session, state)
  } else if (lookUps === "Stop") {
    session.run(`look ${state.endpoint}`, Effect.void)
  }
  return nextAfterMillis === undefined ? Effect.void : connectNext(session, state, nextAfterMillis)
}

const makeConnection = (session: Session, endpoint: string): Effect.Effect<Connection, SocketError> =>
  Effect.gen(function*() {
    const state: State = {
      endpoint,
      address: undefined,
      isWanted: false,
      isUnknown: false,
      attempts: Reconnect.none,
      steps: yield* Mailbox.make<ConnectionEvent>({ capacity: eventCapacity, strategy: "sliding" })
    }
    Addresses.begin(endpoint)
    session.states.add(state)
    if (!isInproc(endpoint)) {
      yield* Effect.try({
        try: () => observe(session),
        catch: (cause) => session.failed("connect", cause, endpoint)
      })
      const supervise = Effect.flatMap(nextStep(session, state), (step) => logFailure(react(session, state, step)))
      session.run(`supervise ${endpoint}`, supervise.pipe(Effect.forever, Effect.ignore))
    }
    return {
      connect: Effect.zipRight(
        connect(session, state),
        Effect.sync(() => Addresses.isName(endpoint) ? lookUp(session, state) : undefined)
      ),
      disconnect: Effect.sync(() => {
        state.isWanted = false
        disconnect(session, state)
      }),
      skip: Effect.sync(() => Addresses.skip(endpoint, state.address))
    }
  })

/** The connector of a socket, for the lifetime of the scope. */
export const make = (socket: zmq.Socket, options: Options): Effect.Effect<Connector, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* Effect.acquireRelease(
      Mailbox.make<ConnectionEvent>({ capacity: eventCapacity, strategy: "sliding" }),
      (mailbox) => mailbox.shutdown
    )
    const run = yield* FiberMap.makeRuntime<never, string>()
    const session: Session = {
      ...options,
      now: yield* monotonicReader,
      socket,
      events,
      // A socket may be opened where fibers would inherit that they cannot be interrupted.
      run: (key, effect, options) => run(key, Effect.interruptible(effect), options),
      states: new Set(),
      connected: new Set(),
      isObserved: false
    }
    return {
      connection: (endpoint) => makeConnection(session, endpoint),
      events: Mailbox.toStream(events),
      observe: Effect.try({ try: () => observe(session), catch: (cause) => options.failed("open", cause) })
    }
  })
