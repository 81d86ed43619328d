import type { ChildProcess } from "node:child_process"

/**
 * Requires that a child process has its streams. Without free descriptors it has none, and emits an `error` later, which would
 * end this process if not handled.
 */
export const withStreams = <Child extends ChildProcess>(child: Child): Child => {
  if ((child.stdout as unknown) === undefined) {
    child.on("error", () => {})
    throw new Error("it cannot be started: too many open files")
  }
  return child
}
