/**
 * The engine of the witness on its host: etcd or PostgreSQL of this system.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Engine, Host } from "../../support/engine.ts"
import { etcdIsMissing, startEtcd } from "../../support/etcd.ts"
import { owner, password, postgresIsMissing, startPostgres } from "../../support/postgres.ts"

export const engineNames = ["etcd", "postgres"] as const

export type EngineName = typeof engineNames[number]

/** An engine, and what the servers need to use it. */
export interface WitnessEngine extends Engine {
  readonly url: string
  readonly env: NodeJS.ProcessEnv
}

/** Why this system does not have an engine. */
export const missing: { readonly [N in EngineName]: string | undefined } = {
  etcd: etcdIsMissing,
  postgres: postgresIsMissing
}

/** Starts an engine. It is ready. */
export const startWitness = (name: EngineName, host: Host): Effect.Effect<WitnessEngine, never, Scope.Scope> =>
  Effect.gen(function*() {
    const engine = yield* name === "etcd" ? startEtcd({ host }) : startPostgres({ host })
    const at = `${host.address}:${engine.port}`
    return {
      ...engine,
      ...name === "etcd"
        ? { url: `etcd://${at}/chaos`, env: {} }
        : { url: `postgres://${owner}@${at}/postgres?pair=chaos`, env: { BSTAR_WITNESS_PASSWORD: password } }
    }
  }).pipe(Effect.orDie)
