/**
 * A preload script (`node --import`) that measures what a server allocates in V8's heap. It replies to each message with the bytes
 * that were allocated since the one before: what the garbage collections freed, and the growth of the heap.
 */
import { GCProfiler, getHeapStatistics } from "node:v8"

const usedBytes = () => getHeapStatistics().used_heap_size

let before = usedBytes()
let profiler = new GCProfiler()
profiler.start()

process.on("message", () => {
  const freed = profiler.stop().statistics.reduce(
    (sum, { afterGC, beforeGC }) => sum + beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize,
    0
  )
  const used = usedBytes()
  process.send(freed + used - before)
  profiler = new GCProfiler()
  profiler.start()
  before = usedBytes()
})
// The benchmark ends this process. The channel must not keep it alive.
process.channel.unref()
