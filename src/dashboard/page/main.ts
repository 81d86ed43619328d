/**
 * The page: receives messages from its server, updates the state, and shows it.
 */
import * as Banner from "./dom/banner.ts"
import * as Cards from "./dom/cards.ts"
import * as Charts from "./dom/charts.ts"
import * as Commands from "./dom/commands.ts"
import { byId, setText } from "./dom/elements.ts"
import * as Findings from "./dom/findings.ts"
import * as Live from "./dom/live.ts"
import * as Machine from "./dom/machine.ts"
import * as Timeline from "./dom/timeline.ts"
import * as Witness from "./dom/witness.ts"
import * as State from "./state.ts"
import { latestMoves } from "./timeline.ts"

let state = State.initial

const show = (before: State.State): void => {
  const { pair, timeline, traffic } = state
  Banner.show(state)
  setText(byId("announcer"), state.announcement)
  if (timeline.entries !== before.timeline.entries) {
    Timeline.show(timeline.entries)
  }
  if (pair === undefined) {
    return
  }
  Commands.show(pair, state.link === "live")
  if (state.link === "lost") {
    return
  }
  if (pair !== before.pair) {
    Findings.show(pair.findings)
    Cards.show(pair, traffic.measured)
    Witness.show(pair)
  }
  Machine.show(pair, latestMoves(timeline))
  Charts.show(traffic.samples, timeline.entries)
}

Live.connect((message) => {
  const before = state
  state = State.update(before, message)
  show(before)
})
