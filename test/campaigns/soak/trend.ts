/**
 * Trends of figures over time: pure functions.
 */

/** The slope of a straight line through figures, per unit of time, and its margin at a confidence of 95 %. */
export interface Trend {
  readonly slope: number
  readonly margin: number
}

/**
 * Least squares. The margin assumes independent errors: the real margin of correlated figures is larger.
 */
export const trendOf = (points: ReadonlyArray<readonly [time: number, figure: number]>): Trend => {
  const count = points.length
  const meanTime = points.reduce((sum, [time]) => sum + time, 0) / count
  const mean = points.reduce((sum, [, figure]) => sum + figure, 0) / count
  const spread = points.reduce((sum, [time]) => sum + (time - meanTime) ** 2, 0)
  const slope = points.reduce((sum, [time, figure]) => sum + (time - meanTime) * (figure - mean), 0) / spread
  const residual = points.reduce((sum, [time, figure]) => sum + (figure - mean - slope * (time - meanTime)) ** 2, 0)
  return { slope, margin: 1.96 * Math.sqrt(residual / (count - 2) / spread) }
}

const blocks = "▁▂▃▄▅▆▇█"

/** Figures as a line of blocks, from the smallest to the largest. A missing figure is a blank. */
export const plot = (figures: ReadonlyArray<number>): string => {
  const known = figures.filter(Number.isFinite)
  const [least, most] = [Math.min(...known), Math.max(...known)]
  return figures.map((figure) =>
    Number.isFinite(figure)
      ? blocks[Math.min(blocks.length - 1, Math.floor((figure - least) / (most - least || 1) * blocks.length))]
      : " "
  ).join("")
}
