/**
 * A preload script (`node --import`) that measures how long each garbage collection stops the event loop of a server. It replies to
 * each message with the milliseconds of those since the one before.
 */
import { PerformanceObserver } from "node:perf_hooks"

let pauses = []
const add = (entries) => entries.forEach(({ duration }) => pauses.push(duration))

const observer = new PerformanceObserver((list) => add(list.getEntries()))
observer.observe({ entryTypes: ["gc"] })

process.on("message", () => {
  add(observer.takeRecords())
  process.send(pauses)
  pauses = []
})
// The benchmark ends this process. The channel must not keep it alive.
process.channel.unref()
