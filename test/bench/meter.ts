/**
 * Measures a closed loop of requests.
 */
import type { Histogram } from "./histogram.ts"
import { makeRecorder } from "./histogram.ts"

/** CPU time in milliseconds: of a process, and of its event loop. */
export interface Cpu {
  readonly all: number
  readonly loop: number
}

/** What a load measures. */
export interface Measured {
  readonly replies: number
  /** All replies, also those that were not measured. */
  readonly allReplies: number
  readonly seconds: number
  /** CPU time in milliseconds, and that of the event loop. Null where it cannot be measured. */
  readonly cpu: number | null
  readonly loopCpu: number | null
  readonly latencies: Histogram
}

export interface Options {
  /** The time before the measurement begins, so that all clients take part in it. */
  readonly warmUpSeconds: number
  /** Ends after this time ... */
  readonly seconds: number
  /** ... or, if earlier, after this number of replies. */
  readonly requests: number
  /** Reads the CPU time of the measured process. */
  readonly cpu: () => Cpu
}

/** Counts the replies between the end of the warm-up and the end of the measurement. */
export class Meter {
  #phase: "warm-up" | "measured" | "over" = "warm-up"
  #phaseEnd: number
  #start = 0
  #cpuAtStart: Cpu = { all: 0, loop: 0 }
  #replies = 0
  #allReplies = 0
  #result: Omit<Measured, "allReplies"> | undefined
  readonly #latencies = makeRecorder()
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
    this.#phaseEnd = performance.now() + options.warmUpSeconds * 1000
  }

  /** Counts a reply, with the time of its request. Returns whether another request has to be sent. */
  count(sentAt: number, now: number): boolean {
    this.#allReplies++
    if (this.#phase !== "over" && (now >= this.#phaseEnd || this.#replies >= this.#options.requests)) {
      this.#beginNextPhase(now)
    }
    if (this.#phase === "measured") {
      this.#latencies.record((now - sentAt) * 1000)
      this.#replies++
    }
    return this.#phase !== "over"
  }

  /** The result, once no request is in flight any more. */
  result(): Measured {
    return { ...this.#result!, allReplies: this.#allReplies }
  }

  #beginNextPhase(now: number): void {
    const cpu = this.#options.cpu()
    if (this.#phase === "warm-up") {
      this.#phase = "measured"
      this.#start = now
      this.#phaseEnd = now + this.#options.seconds * 1000
      this.#cpuAtStart = cpu
    } else {
      this.#phase = "over"
      this.#result = {
        replies: this.#replies,
        seconds: (now - this.#start) / 1000,
        cpu: cpu.all - this.#cpuAtStart.all,
        loopCpu: cpu.loop - this.#cpuAtStart.loop,
        latencies: this.#latencies.histogram()
      }
    }
  }
}
