import { describe } from "@effect/vitest"
import { simulationSuite } from "./simulation.ts"

describe("a simulated pair that is killed, stopped and paused", () => simulationSuite("bounded"))
