/**
 * Preloaded into a process: its monotonic clock stands still while the process is stopped, as that of a machine that is suspended.
 * Nothing in the process shows the pause then, until it compares its clock with another one.
 */
const now = performance.now.bind(performance)
const longestMillis = 300
let last = now()
let lost = 0

performance.now = () => {
  const at = now()
  if (at - last > longestMillis) {
    lost += at - last
  }
  last = at
  return at - lost
}

// A process that is only idle reads the clock, too.
setInterval(() => performance.now(), longestMillis / 10).unref()
