import type { ChildProcess } from "node:child_process"

/**
 * A child process that has its streams. Where descriptors are used up it has none, and reports why a turn later: unheard, that
 * would end this process.
 */
export const withStreams = <Child extends ChildProcess>(child: Child): Child => {
  if ((child.stdout as unknown) === undefined) {
    child.on("error", () => {})
    throw new Error("it cannot be started: too many open files")
  }
  return child
}
