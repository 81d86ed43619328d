/**
 * The connection to the server: its events, its history, and the loss of both.
 */
import type { Message } from "../state.ts"
import { capacity } from "../timeline.ts"

/** The server sends an event every second. Without one for this long the connection is lost. */
const silenceMillis = 4000
const retryMillis = 1000

const getHistory = async (): Promise<Message | undefined> => {
  const response = await fetch(`./history?limit=${capacity}`)
  return response.ok ? { _tag: "History", entries: await response.json() } : undefined
}

/** Connects, and again whenever the connection is lost. */
export const connect = (onMessage: (message: Message) => void): void => {
  const source = new EventSource("./events")
  let watchdog = setTimeout(() => lose(), silenceMillis)
  let isNew = true

  const lose = (): void => {
    clearTimeout(watchdog)
    source.close()
    onMessage({ _tag: "Lost" })
    setTimeout(() => connect(onMessage), retryMillis)
  }
  const received = (message: Message): void => {
    clearTimeout(watchdog)
    watchdog = setTimeout(lose, silenceMillis)
    onMessage(message)
  }
  source.addEventListener("pair", ({ data }) => {
    received({ _tag: "Pair", status: JSON.parse(data), receivedAt: performance.now() })
    if (isNew) {
      isNew = false
      // The page is live without the history; the next connection requests it again.
      getHistory().then((message) => message && onMessage(message), () => {})
    }
  })
  source.addEventListener("transition", ({ data }) => received({ _tag: "Transition", event: JSON.parse(data) }))
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.OPEN) {
      lose()
    }
  })
}
