/** When a bound socket has to be reset, for memory or for file descriptors: plain data and pure functions. */

/** Growth that allows another reset for memory. Memory that a reset does not free belongs to something else. */
const growth = 1.25

/**
 * Looks in a row with scarce descriptors until the socket is reset, at first and at most: rejected connections give theirs back
 * sooner. Each reset doubles the number, since closed connections return together, until descriptors are plentiful for a while.
 */
const scarceLooks = { first: 5, max: 80 }
const plentifulLooks = 100

export interface Pressure {
  /** MiB until the next reset for memory. */
  readonly allowedMebibytes: number
  /** Looks in a row with scarce descriptors, and with plentiful ones. */
  readonly scarceCount: number
  readonly plentifulCount: number
  /** Looks with scarce descriptors until the next reset. */
  readonly toleratedCount: number
}

export const none = (maxMebibytes: number): Pressure => ({
  allowedMebibytes: maxMebibytes,
  scarceCount: 0,
  plentifulCount: 0,
  toleratedCount: scarceLooks.first
})

/** What one look finds. `mebibytes` is `undefined` if it cannot be read. */
export interface Sample {
  readonly mebibytes: number | undefined
  readonly areDescriptorsScarce: boolean
}

export interface Look {
  readonly pressure: Pressure
  readonly cause: "Memory" | "Descriptors" | undefined
}

const onDescriptors = (pressure: Pressure, areScarce: boolean): Look => {
  const scarceCount = areScarce ? pressure.scarceCount + 1 : 0
  const plentifulCount = areScarce ? 0 : pressure.plentifulCount + 1
  const toleratedCount = plentifulCount === plentifulLooks ? scarceLooks.first : pressure.toleratedCount
  return scarceCount < toleratedCount
    ? { pressure: { ...pressure, scarceCount, plentifulCount, toleratedCount }, cause: undefined }
    : {
      pressure: {
        ...pressure,
        scarceCount: 0,
        plentifulCount,
        toleratedCount: Math.min(2 * toleratedCount, scarceLooks.max)
      },
      cause: "Descriptors"
    }
}

/** Judges one look: the next pressure, and why the socket is to be reset now. */
export const look = (pressure: Pressure, maxMebibytes: number, { areDescriptorsScarce, mebibytes }: Sample): Look => {
  if (mebibytes !== undefined && mebibytes > pressure.allowedMebibytes) {
    return { pressure: { ...pressure, allowedMebibytes: mebibytes * growth }, cause: "Memory" }
  }
  const shrunk = Math.min(pressure.allowedMebibytes, (mebibytes ?? pressure.allowedMebibytes) * growth)
  return onDescriptors({ ...pressure, allowedMebibytes: Math.max(maxMebibytes, shrunk) }, areDescriptorsScarce)
}
