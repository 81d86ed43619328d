/** Explorations of small models, and what they find. */
import { afterEach } from "@effect/vitest"
import * as Policies from "../../../src/protocol/Policies.ts"
import { explore, type Progress } from "../../../src/verify/model/Explore.ts"
import * as Model from "../../../src/verify/model/Model.ts"
import type { Property } from "../../../src/verify/model/Properties.ts"

export type Name = Property["name"]

/** Explores all of a model. */
export const exhaust = (options: Model.Options): { readonly model: Model.Model; readonly result: Progress } => {
  const model = Model.make(options)
  const exploration = explore(model)
  while (true) {
    const { done, value } = exploration.next()
    if (done === true) {
      return { model, result: value }
    }
  }
}

/** The violated properties, each with the number of ticks until its violation. */
export const violations = (options: Model.Options): { readonly [P in Name]?: number } =>
  Object.fromEntries(exhaust(options).result.violations.map(({ property, ticks }) => [property.name, ticks]))

/** Explores until one of the properties is violated. */
export const violates = (options: Model.Options, ...names: ReadonlyArray<Name>): boolean => {
  const exploration = explore(Model.make(options), 1000)
  while (true) {
    const { done, value } = exploration.next()
    const isFound = value.violations.some(({ property }) => names.includes(property.name))
    if (isFound || done === true) {
      return isFound
    }
  }
}

/** A world in which connections and heartbeats take no time, where that makes no difference, is smaller. */
export const atOnce = { handshake: 0, delay: 0 }

export const classic = (budgets: Omit<Model.Options, "policy">) => ({ ...budgets, policy: Policies.classic })

export const hardened = (budgets: Omit<Model.Options, "policy">) => ({
  ...budgets,
  policy: Policies.hardened,
  evidence: true
})

/** Explorations hold the event loop, and vitest gives up a worker that does not answer for a minute. */
export const yieldAfterEach = () => afterEach(() => new Promise<void>((resolve) => setImmediate(resolve)))
