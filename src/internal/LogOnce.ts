/** A burst of messages of one key. */
export interface Burst<A> {
  readonly until: number
  /** The latest message. */
  readonly message: A
  /** How many messages followed the first. */
  readonly repeated: number
}

interface BurstOptions<A> {
  readonly windowMillis: number
  readonly isExtended: boolean
  readonly onEnd?: (burst: Burst<A>) => void
}

/** Maximum number of keys; beyond it the burst that ends first is ended. */
const capacity = 100

/**
 * Bursts of messages by key, of which only the first message is logged. A burst ends `windowMillis` after its first message, or, if
 * messages extend it, after its last one.
 */
export class Bursts<A> {
  private readonly options: BurstOptions<A>
  /** In the order in which they end. */
  private readonly open = new Map<string, Burst<A>>()

  constructor(options: BurstOptions<A>) {
    this.options = options
  }

  /** Adds a message. Returns whether it is the first of a burst. */
  add(key: string, message: A, now: number): boolean {
    this.end(now)
    const burst = this.open.get(key)
    if (burst === undefined) {
      if (this.open.size === capacity) {
        this.close(this.open.keys().next().value!)
      }
      this.open.set(key, { until: now + this.options.windowMillis, message, repeated: 0 })
      return true
    }
    if (this.options.isExtended) {
      this.open.delete(key)
    }
    this.open.set(key, {
      until: this.options.isExtended ? now + this.options.windowMillis : burst.until,
      message,
      repeated: burst.repeated + 1
    })
    return false
  }

  /** Ends the bursts whose time is over. All are where the clock was set back. */
  end(now: number): void {
    for (const [key, { until }] of this.open) {
      if (until > now && until <= now + this.options.windowMillis) {
        break
      }
      this.close(key)
    }
  }

  private close(key: string): void {
    const burst = this.open.get(key)!
    this.open.delete(key)
    this.options.onEnd?.(burst)
  }
}

/** Returns whether a message is the first of a burst, in which messages are less than `quietMillis` apart. */
export const make = (quietMillis: number): (now: number) => boolean => {
  const isFirst = makeByKey(quietMillis, () => now)
  let now = 0
  return (at) => {
    now = at
    return isFirst("")
  }
}

/** {@link make} for each key separately. */
export const makeByKey = (quietMillis: number, now: () => number): (key: string) => boolean => {
  const bursts = new Bursts<undefined>({ windowMillis: quietMillis, isExtended: true })
  return (key) => bursts.add(key, undefined, now())
}
