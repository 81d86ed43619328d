/**
 * All scenarios by name.
 */
import { client, clientFibers, clientMap } from "./client.ts"
import { curve } from "./curve.ts"
import { failover } from "./failover.ts"
import { garbage, memory, pauses } from "./heap.ts"
import { abuse, events, flood } from "./isolation.ts"
import { idle, startup } from "./process.ts"
import { clients, effects, effectsGen, effectsGenLoop, latency, proxy, throughput } from "./requests.ts"
import { rpc, rpcFailover } from "./rpc.ts"
import { coldPlain, coldTakeover } from "./takeover.ts"
import type { Scenario } from "./turns.ts"

export const scenarios: { readonly [name: string]: Scenario } = {
  throughput,
  latency,
  garbage,
  pauses,
  clients,
  effects,
  effectsGen,
  effectsGenLoop,
  proxy,
  client,
  clientMap,
  clientFibers,
  curve,
  rpc,
  rpcFailover,
  failover,
  coldTakeover,
  coldPlain,
  flood,
  abuse,
  events,
  startup,
  idle,
  memory
}
