/**
 * The standard streams without blocking writes. Node writes to pipes, terminals and files synchronously, so a reader that has
 * stopped would stop the whole process.
 */
import * as fs from "node:fs"
import * as process from "node:process"

/** A standard stream. One write at a time. */
export interface Channel {
  /** How many bytes of whole lines are written at once. */
  readonly batchBytes: number
  /** Calls back with the number of bytes written, at once or later, and does not block. `EAGAIN`: nothing can be written now. */
  readonly write: (bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void
  /** Whether a thread is blocked in a write. It would keep this process from exiting. */
  readonly isBlocked: () => boolean
  /** Ends such a write, if the stream allows it. Nothing can be written afterwards. */
  readonly abandon: () => void
}

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = fs.constants

/**
 * An open file of our own on the same pipe or terminal. `O_NONBLOCK` belongs to the open file, and the inherited one is
 * shared with other processes, which must not find it changed.
 */
const reopen = (fd: 1 | 2): number | undefined => {
  const stat = fs.fstatSync(fd)
  if (!stat.isFIFO() && !stat.isCharacterDevice()) {
    return undefined
  }
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return undefined
  }
}

/** Writes at once as much as fits. */
const immediate = (fd: number): Channel => ({
  // A write of this size to a pipe is atomic (`PIPE_BUF`), so that lines of several processes are not mixed.
  batchBytes: 4096,
  write: (bytes, done) => {
    let written
    try {
      written = fs.writeSync(fd, bytes)
    } catch (error) {
      return done(error as NodeJS.ErrnoException, 0)
    }
    done(null, written)
  },
  isBlocked: () => false,
  abandon: () => {}
})

/** Writes in a thread of libuv: a file and a socket cannot be opened a second time, and a file always blocks. */
const threaded = (fd: 1 | 2): Channel => {
  let isBlocked = false
  return {
    batchBytes: 65_536,
    write: (bytes, done) => {
      isBlocked = true
      fs.write(fd, bytes, (error, written) => {
        isBlocked = false
        done(error, written)
      })
    },
    isBlocked: () => isBlocked,
    // The shutdown of a socket ends the writes that wait for its reader.
    abandon: () => {
      if (isBlocked) {
        const stream = fd === 1 ? process.stdout : process.stderr
        stream.on("error", () => {}).end()
      }
    }
  }
}

/** Opens a standard stream. */
export const open = (fd: 1 | 2): Channel => {
  const own = reopen(fd)
  return own === undefined ? threaded(fd) : immediate(own)
}

/** Whether both standard streams lead to the same place, where what is written to them has one order. */
export const areOne = (): boolean => {
  const [output, errors] = [fs.fstatSync(1), fs.fstatSync(2)]
  return output.dev === errors.dev && output.ino === errors.ino
}
