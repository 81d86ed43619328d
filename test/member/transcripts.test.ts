/**
 * Transcripts of the core, as text: scripts of inputs, and everything that follows. `BSTAR_REWRITE=1` writes what follows anew;
 * read the difference before it is committed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { run } from "./script.ts"

const directory = path.join(import.meta.dirname, "transcripts")
const isRewriting = process.env.BSTAR_REWRITE === "1"
const separator = "====\n"
const divider = "----\n"

/** A scenario with what follows from its script as it is now. */
const replay = (scenario: string): string => {
  const script = scenario.split(divider)[0]!
  return `${script.trimEnd()}\n${divider}${run(script.split("\n")).join("\n")}\n`
}

const titleOf = (scenario: string): string => /^# (.*)$/m.exec(scenario)?.[1] ?? "without a title"

for (const file of fs.readdirSync(directory).sort()) {
  describe(`transcripts: ${path.basename(file, ".txt")}`, () => {
    const location = path.join(directory, file)
    const text = fs.readFileSync(location, "utf8")
    const scenarios = text.split(separator)
    for (const scenario of scenarios) {
      it(titleOf(scenario), () => {
        const actual = replay(scenario)
        if (!isRewriting) {
          assert.strictEqual(scenario, actual)
        }
      })
    }
    if (isRewriting) {
      fs.writeFileSync(location, scenarios.map(replay).join(separator))
    }
  })
}
