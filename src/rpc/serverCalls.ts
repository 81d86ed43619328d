/**
 * Calls at a server: which run, which responses wait for a poll, which polls wait for a response. Plain data without
 * Effect, clock or sockets; every instant is a parameter, in seconds.
 */
import type * as Frames from "../wire/Frames.ts"
import * as ControlFrame from "./controlFrame.ts"

const none: ReadonlyArray<never> = []

/**
 * - `Running`: the RPC server executes it.
 * - `Abandoned`: its result is not wanted any more. It stays until the RPC server reports its end.
 * - `Ended`: its last response is buffered or delivered.
 */
type Phase = "Running" | "Abandoned" | "Ended"

/** A call that runs, or whose last response has not been fetched yet. */
export class Call<Waiter> {
  readonly client: Client<Waiter>
  readonly id: string
  readonly isStream: boolean
  phase: Phase = "Running"
  /** Responses that arrived while no poll waited, in order. */
  readonly bufferedResponses: Array<Frames.Input> = []
  /** Polls that wait. There are several if the client has repeated its poll; each receives the same response. */
  waiters: ReadonlyArray<Waiter> = none
  /** Instant at which the first of the waiters arrived. */
  waitingSince: number
  /** Instant at which the client last polled the call or kept it alive. */
  lastPollAt: number

  constructor(client: Client<Waiter>, id: string, isStream: boolean, now: number) {
    this.client = client
    this.id = id
    this.isStream = isStream
    this.waitingSince = now
    this.lastPollAt = now
  }
}

/** A client's connection, with its calls by their id. */
export interface Client<Waiter> {
  readonly id: number
  readonly name: string
  readonly calls: Map<string, Call<Waiter>>
  lastMessageAt: number
}

/** Consequences of time: polls to reply to, calls to interrupt, clients that are no longer connected. */
interface Expired<Waiter> {
  readonly polls: ReadonlyArray<Waiter>
  readonly calls: ReadonlyArray<Call<Waiter>>
  readonly clients: ReadonlyArray<number>
}

/**
 * A method that returns waiters has removed them: each has to be given the response. Calls that a method returns have to be
 * interrupted.
 */
export class ServerCalls<Waiter> {
  readonly #clients = new Map<string, Client<Waiter>>()
  readonly #clientsById = new Map<number, Client<Waiter>>()
  #lastClientId = 0

  get clientIds(): Iterable<number> {
    return this.#clientsById.keys()
  }

  /** The client that sends from a connection; a new one if the connection is new. */
  connect(name: string, now: number): Client<Waiter> {
    let client = this.#clients.get(name)
    if (client === undefined) {
      client = { id: ++this.#lastClientId, name, calls: new Map(), lastMessageAt: now }
      this.#clients.set(name, client)
      this.#clientsById.set(client.id, client)
    }
    client.lastMessageAt = now
    return client
  }

  clientById(id: number): Client<Waiter> | undefined {
    return this.#clientsById.get(id)
  }

  /** Removes a client and all its calls. */
  disconnect(client: Client<Waiter>): void {
    this.#clients.delete(client.name)
    this.#clientsById.delete(client.id)
  }

  /** Removes all clients, and returns their ids. */
  disconnectAll(): ReadonlyArray<number> {
    const ids = [...this.#clientsById.keys()]
    this.#clients.clear()
    this.#clientsById.clear()
    return ids
  }

  add(client: Client<Waiter>, id: string, isStream: boolean, now: number): Call<Waiter> {
    const call = new Call(client, id, isStream, now)
    client.calls.set(id, call)
    return call
  }

  /** The next response of a call; `undefined` if there is none yet, and the poll has to wait. */
  poll(call: Call<Waiter>, now: number): Frames.Input | undefined {
    call.lastPollAt = now
    const response = call.bufferedResponses.shift()
    if (response === undefined) {
      return call.phase === "Ended" ? ControlFrame.unknown : undefined
    }
    if (call.phase === "Ended" && call.bufferedResponses.length === 0) {
      this.#delete(call)
    }
    return response
  }

  keepAlive(client: Client<Waiter>, ids: Iterable<string>, now: number): void {
    for (const id of ids) {
      const call = client.calls.get(id)
      if (call !== undefined) {
        call.lastPollAt = now
      }
    }
  }

  addWaiter(call: Call<Waiter>, waiter: Waiter, now: number): void {
    if (call.waiters.length === 0) {
      call.waitingSince = now
    }
    call.waiters = call.waiters.length === 0 ? [waiter] : [...call.waiters, waiter]
  }

  /** Removes a poll that was cancelled, and returns whether its call has to be interrupted: no other poll waits. */
  removeWaiter(call: Call<Waiter>, waiter: Waiter): boolean {
    call.waiters = call.waiters.filter((other) => other !== waiter)
    return call.waiters.length === 0 && this.abandon(call)
  }

  /** Takes a response of a call that goes on. */
  onChunk(call: Call<Waiter>, response: Frames.Input): ReadonlyArray<Waiter> {
    if (call.phase !== "Running") {
      return []
    }
    const waiters = this.#takeWaiters(call)
    if (waiters.length === 0) {
      call.bufferedResponses.push(response)
    }
    return waiters
  }

  /** Takes the last response of a call. That of an abandoned one is only for polls that wait by now. */
  onEnd(call: Call<Waiter>, response: Frames.Input): ReadonlyArray<Waiter> {
    if (call.phase === "Ended") {
      return []
    }
    const wasAbandoned = call.phase === "Abandoned"
    call.phase = "Ended"
    const waiters = this.#takeWaiters(call)
    if (waiters.length > 0 || wasAbandoned) {
      this.#delete(call)
    } else {
      call.bufferedResponses.push(response)
    }
    return waiters
  }

  /** Ends every call of a client with the same response. Streams go on at the RPC server and have to be interrupted. */
  onDefect(client: Client<Waiter>, response: Frames.Input): {
    readonly waiters: ReadonlyArray<Waiter>
    readonly streams: ReadonlyArray<Call<Waiter>>
  } {
    const calls = [...client.calls.values()].filter(({ phase }) => phase !== "Ended")
    return {
      waiters: calls.flatMap((call) => this.onEnd(call, response)),
      streams: calls.filter(({ isStream }) => isStream)
    }
  }

  /** Gives up a call, and returns whether it has to be interrupted. */
  abandon(call: Call<Waiter>): boolean {
    if (call.phase !== "Running") {
      return false
    }
    call.phase = "Abandoned"
    call.bufferedResponses.length = 0
    return true
  }

  abandonAll(): ReadonlyArray<Call<Waiter>> {
    return this.#calls().filter((call) => this.abandon(call))
  }

  /** Gives up every stream, since it may have no end. */
  abandonStreams(): { readonly waiters: ReadonlyArray<Waiter>; readonly calls: ReadonlyArray<Call<Waiter>> } {
    const streams = this.#calls().filter(({ isStream }) => isStream)
    return {
      waiters: streams.flatMap((call) => this.#takeWaiters(call)),
      calls: streams.filter((call) => this.abandon(call))
    }
  }

  /** Whether a client still has to poll for a response that it wants. */
  get hasUnpolledCalls(): boolean {
    return this.#calls().some(({ phase, waiters }) => phase !== "Abandoned" && waiters.length === 0)
  }

  /** Ends what has taken too long. With `holdsPolls` each poll waits for its response, however long that takes. */
  expire(now: number, holdsPolls: boolean): Expired<Waiter> {
    const polls: Array<Waiter> = []
    const calls: Array<Call<Waiter>> = []
    const clients: Array<number> = []
    for (const client of this.#clients.values()) {
      for (const call of client.calls.values()) {
        const isSilent = now - call.lastPollAt >= ControlFrame.silenceSeconds
        if (call.waiters.length > 0) {
          if (now - call.waitingSince >= ControlFrame.pollSeconds && !holdsPolls) {
            polls.push(...this.#takeWaiters(call))
          }
        } else if (isSilent && call.phase === "Ended") {
          this.#delete(call)
        } else if (isSilent && this.abandon(call)) {
          calls.push(call)
        }
      }
      if (client.calls.size === 0 && now - client.lastMessageAt >= ControlFrame.silenceSeconds) {
        this.disconnect(client)
        clients.push(client.id)
      }
    }
    return { polls, calls, clients }
  }

  #calls(): ReadonlyArray<Call<Waiter>> {
    return [...this.#clients.values()].flatMap(({ calls }) => [...calls.values()])
  }

  #takeWaiters(call: Call<Waiter>): ReadonlyArray<Waiter> {
    const { waiters } = call
    call.waiters = none
    return waiters
  }

  #delete(call: Call<Waiter>): void {
    call.client.calls.delete(call.id)
  }
}
