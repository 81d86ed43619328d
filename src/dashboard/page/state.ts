/**
 * The state of the page, and how messages from the server change it.
 */
import type { HistoryEntry, PairStatus, TransitionEvent } from "../../status/Status.ts"
import type { Pair } from "./pair.ts"
import { pairOf } from "./pair.ts"
import * as Timeline from "./timeline.ts"
import * as Traffic from "./traffic.ts"

export interface State {
  readonly link: "connecting" | "live" | "lost"
  readonly pair: Pair | undefined
  readonly timeline: Timeline.Timeline
  readonly traffic: Traffic.Traffic
  /** A sentence for screen readers: the latest transition. */
  readonly announcement: string
}

export type Message =
  | { readonly _tag: "Pair"; readonly status: PairStatus; readonly receivedAt: number }
  | { readonly _tag: "Transition"; readonly event: TransitionEvent }
  | { readonly _tag: "History"; readonly entries: ReadonlyArray<HistoryEntry> }
  | { readonly _tag: "Lost" }

export const initial: State = {
  link: "connecting",
  pair: undefined,
  timeline: Timeline.empty,
  traffic: Traffic.empty,
  announcement: ""
}

export const update = (state: State, message: Message): State => {
  switch (message._tag) {
    case "Pair": {
      const pair = pairOf(message.status, message.receivedAt)
      const observed = Timeline.observePeer(state.timeline, pair)
      return { ...announce(state, observed), link: "live", pair, traffic: Traffic.measurePair(state.traffic, pair) }
    }
    case "Transition":
      return announce(state, Timeline.add(state.timeline, [message.event]))
    case "History": {
      const { pair } = state
      if (pair === undefined) {
        return state
      }
      const entries = message.entries.map((entry) => ({ ...entry, role: pair.self.role }))
      return { ...state, timeline: Timeline.add(state.timeline, entries).timeline }
    }
    case "Lost":
      return { ...state, link: "lost" }
  }
}

const announce = (state: State, { added, timeline }: Timeline.Added): State => {
  const latest = added.at(-1)
  return { ...state, timeline, announcement: latest === undefined ? state.announcement : Timeline.sentenceOf(latest) }
}
