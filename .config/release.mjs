// Releases the commit that is checked out, which has to be tagged with its version: packs, installs and tries the package, and publishes
// that very file with its provenance. With --dry-run everything but the last, on any commit.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { hasSection, sectionOf } from "./changelog.mjs"

const isDryRun = process.argv.includes("--dry-run")
const { name, repository, version } = JSON.parse(fs.readFileSync("package.json", "utf8"))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bstar-release-"))

const say = (text) => process.stdout.write(`release: ${text}\n`)

const read = (program, args, cwd = ".") => {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim()
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}\n${error.stdout}${error.stderr}`)
  }
}

const demand = (isSo, problem) => {
  if (isSo) return
  if (!isDryRun) throw new Error(problem)
  say(`would stop here: ${problem}`)
}

const checkSource = () => {
  demand(read("git", ["status", "--porcelain"]) === "", "there are changes that are not committed")
  demand(
    read("git", ["tag", "--points-at", "HEAD"]).split("\n").includes(`v${version}`),
    `this commit has no tag v${version}: npm version makes it`
  )
  demand(hasSection(version), `CHANGELOG.md has no section of ${version}: npm version makes it`)
  demand(repository !== undefined, "package.json names no repository, which provenance needs")
  say(`the changelog since the last release:\n\n${sectionOf(version)}`)
}

/** Builds and packs. */
const pack = () => {
  const [{ filename, entryCount, size }] = JSON.parse(
    read("npm", ["pack", "--json", "--pack-destination", folder]).replace(/^[^[]*(?=\[\s*\{)/, "")
  )
  say(`packed ${filename}: ${entryCount} files, ${Math.round(size / 1024)} KiB`)
  return path.join(folder, filename)
}

/** Installs the file as README says, and runs what a user runs first. */
const smokeTest = (tarball) => {
  const consumer = path.join(folder, "consumer")
  fs.mkdirSync(consumer)
  fs.writeFileSync(path.join(consumer, "package.json"), `{ "private": true, "type": "module" }`)
  const [, others] = new RegExp(`npm install ${name} ([^\`\n]+)`).exec(fs.readFileSync("README.md", "utf8"))
  read("npm", ["install", "--no-audit", "--no-fund", tarball, ...others.trim().split(" ")], consumer)
  say(`installed with ${others.trim()}`)

  const bstar = path.join(consumer, "node_modules/.bin/bstar")
  if (read(bstar, ["--version"], consumer) !== version) throw new Error(`bstar --version does not print ${version}`)
  const modules = read(
    process.execPath,
    ["--input-type=module", "--eval", `console.log(Object.keys(await import("${name}")).length)`],
    consumer
  )
  say(`the library has ${modules} modules`)
  say(read(bstar, ["demo"], consumer).split("\n").findLast((line) => line.includes("failover in")))
}

const publish = (tarball) => {
  const args = ["publish", tarball, "--provenance", "--access", "public"]
  if (isDryRun) {
    say(`would run: npm ${args.join(" ")}`)
  } else {
    read("npm", args)
    say(`published ${name} ${version}`)
  }
}

try {
  checkSource()
  const tarball = pack()
  smokeTest(tarball)
  publish(tarball)
} catch (error) {
  process.stderr.write(`release: ${error.message}\n`)
  process.exitCode = 1
} finally {
  fs.rmSync(folder, { recursive: true, force: true })
}
