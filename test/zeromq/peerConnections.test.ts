import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { ConnectionEvent } from "../../src/zeromq/models.ts"
import * as PeerConnections from "../../src/zeromq/peerConnections.ts"

const heartbeatMillis = 100
const rules: PeerConnections.Rules = { heartbeatMillis, isSecured: false, crashDetection: true }

/** More than the silence after which another connection is made. */
const whenSilent = 3 * heartbeatMillis + 1

/** Runs inputs as the session does: an opened socket becomes the candidate. */
const makeRun = (of: PeerConnections.Rules = rules) => {
  let connections = PeerConnections.make(1, 0)
  let lastId = 1
  const take = (input: PeerConnections.Input, now: number, isAddressUnknown = false) => {
    const [next, outputs] = PeerConnections.step(of, connections, input, now, isAddressUnknown)
    connections = next
    for (const { _tag } of outputs) {
      if (_tag === "Open") {
        connections = PeerConnections.addCandidate(connections, ++lastId, now)
      }
    }
    return outputs
  }
  return {
    step: (id: number, step: ConnectionEvent, now: number) => take({ _tag: "Step", id, step }, now),
    check: (now: number, isAddressUnknown = false) => take({ _tag: "Check" }, now, isAddressUnknown),
    receive: (id: number, now: number) => {
      connections = PeerConnections.receive(connections, id, now) ?? connections
    },
    connections: () => connections
  }
}

describe("the connections to the peer", () => {
  it("F2 a silent connection gets a candidate, which replaces it once it is connected", () => {
    const { check, connections, step } = makeRun()
    step(1, "opened", 1)
    step(1, "connected", 2)
    assert.deepStrictEqual(check(whenSilent - 1), [])
    assert.deepStrictEqual(check(whenSilent), [{ _tag: "Open" }])
    assert.deepStrictEqual(check(whenSilent + 1), [])
    step(2, "opened", whenSilent + 2)
    assert.deepStrictEqual(step(2, "connected", whenSilent + 3), [
      { _tag: "StopProbe", id: 2 },
      { _tag: "Close", id: 1 }
    ])
    assert.strictEqual(connections().current.id, 2)
    assert.isUndefined(connections().candidate)
  })

  it("F2 a message on the current connection ends the candidate", () => {
    const { check, receive } = makeRun()
    check(whenSilent)
    receive(1, whenSilent + 1)
    assert.deepInclude(check(whenSilent + 2), { _tag: "Close", id: 2 })
  })

  it("F2 a candidate that does not connect within 4 heartbeats is replaced", () => {
    const { check } = makeRun()
    check(whenSilent)
    assert.deepStrictEqual(check(whenSilent + 4 * heartbeatMillis), [])
    assert.deepStrictEqual(check(whenSilent + 4 * heartbeatMillis + 1), [{ _tag: "Close", id: 2 }, { _tag: "Open" }])
  })

  it("a socket that fails again and again is left alone: it retries by itself", () => {
    const { check, step } = makeRun()
    for (let now = 0; now <= 10 * whenSilent; now += heartbeatMillis) {
      step(1, "failed", now)
      assert.deepStrictEqual(check(now), [])
    }
  })

  it("F12 nothing is opened while the address of the peer is unknown, which is reported as Connecting", () => {
    const { check } = makeRun()
    assert.deepStrictEqual(check(whenSilent, true), [{ _tag: "Report", step: "Connecting" }])
    assert.deepStrictEqual(check(2 * whenSilent, true), [])
  })

  it("H7 crash evidence is looked for as long as there is no connection", () => {
    const { step } = makeRun()
    assert.deepInclude(step(1, "failed", 1), { _tag: "Probe", id: 1 })
    assert.deepInclude(step(1, "opened", 2), { _tag: "StopProbe", id: 1 })
    assert.deepInclude(step(1, "connected", 3), { _tag: "StopProbe", id: 1 })
    assert.deepInclude(step(1, "lost", 4), { _tag: "Probe", id: 1 })
    const blind = makeRun({ ...rules, crashDetection: false })
    assert.deepStrictEqual(blind.step(1, "failed", 1), [])
  })

  it("F3 a handshake of two round trips that are longer than a heartbeat is reported as slow", () => {
    for (const [isSecured, roundTrips] of [[false, 2], [true, 3]] as const) {
      const { step } = makeRun({ ...rules, isSecured })
      step(1, "opened", 0)
      assert.isFalse(step(1, "connected", roundTrips * heartbeatMillis).some(({ _tag }) => _tag === "SlowRoundTrip"))
      step(1, "opened", 0)
      const [, slow] = step(1, "connected", roundTrips * heartbeatMillis + roundTrips)
      assert.deepStrictEqual(slow, { _tag: "SlowRoundTrip", millis: heartbeatMillis + 1 })
    }
  })

  const input = FastCheck.record({
    kind: FastCheck.constantFrom(
      "current" as const,
      "candidate" as const,
      "stale" as const,
      "receive" as const,
      "check" as const
    ),
    step: FastCheck.constantFrom<ConnectionEvent>("opened", "connected", "lost", "failed", "ended"),
    afterMillis: FastCheck.nat({ max: 2 * whenSilent }),
    isAddressUnknown: FastCheck.boolean()
  })

  it("whatever happens, one or two sockets are open, each is closed once, and each report is a change", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(input, { maxLength: 100 }), (inputs) => {
      let now = 0
      let lastId = 1
      let connections = PeerConnections.make(1, now)
      const open = new Set([1])
      for (const { afterMillis, isAddressUnknown, kind, step } of inputs) {
        now += afterMillis
        const { candidate, current, reported } = connections
        if (kind === "receive") {
          connections = PeerConnections.receive(connections, current.id, now)!
          continue
        }
        const ids = { current: current.id, candidate: candidate?.id ?? 0, stale: current.id - 1 }
        const [next, outputs] = PeerConnections.step(
          rules,
          connections,
          kind === "check" ? { _tag: "Check" } : { _tag: "Step", id: ids[kind], step },
          now,
          isAddressUnknown
        )
        connections = next
        for (const output of outputs) {
          if (output._tag === "Open") {
            assert.isAbove(now - current.receivedAt, 3 * heartbeatMillis)
            connections = PeerConnections.addCandidate(connections, ++lastId, now)
            open.add(lastId)
          } else if (output._tag === "Close") {
            assert.isTrue(open.delete(output.id))
          } else if (output._tag === "Report") {
            assert.notStrictEqual(output.step, reported)
          }
        }
        assert.deepStrictEqual(
          [...open],
          [connections.current, connections.candidate].flatMap((connection) => connection?.id ?? [])
        )
      }
    }))
  })
})
