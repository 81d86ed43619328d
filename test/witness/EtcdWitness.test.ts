import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as crypto from "node:crypto"
import * as EtcdWitness from "../../src/witness/EtcdWitness.ts"
import { Engine, witnessSuite } from "../ports/witnessSuite.ts"
import { etcdIsMissing, startEtcd } from "../support/etcd.ts"

const engine = Layer.scoped(
  Engine,
  Effect.map(startEtcd(), ({ kill, pause, port, resume, start }) => ({
    makeRegister: Effect.sync(() => {
      const layer = Layer.provide(
        EtcdWitness.layer({ urls: [`http://127.0.0.1:${port}`], name: crypto.randomUUID() }),
        NodeHttpClient.layer
      )
      return { layers: { primary: layer, backup: layer }, pause, resume, crash: { kill, start }, executesLate: false }
    })
  }))
)

witnessSuite("on etcd", engine, { crashes: true, missing: etcdIsMissing })
