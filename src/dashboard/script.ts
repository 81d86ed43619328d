/**
 * The script of the page: its parts in order, in a scope of their own.
 */
import * as StateMachine from "../protocol/StateMachine.ts"
import { causes, edges } from "./machine.ts"
import { cards } from "./scriptCards.ts"
import { charts } from "./scriptCharts.ts"
import { dom } from "./scriptDom.ts"
import { live } from "./scriptLive.ts"
import { machine } from "./scriptMachine.ts"
import { orders } from "./scriptOrders.ts"
import { pair } from "./scriptPair.ts"
import { timeline } from "./scriptTimeline.ts"

const constants = Object.entries({ causes, edges, states: StateMachine.states, words: StateMachine.reportedState }).map(
  (
    [name, value]
  ) => `const ${name} = ${JSON.stringify(value)}`
)

export const script: string = [
  `"use strict"`,
  "{",
  ...constants,
  dom,
  pair,
  cards,
  machine,
  charts,
  timeline,
  orders,
  live,
  "}"
].join("\n")
