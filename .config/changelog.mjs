// The changelog. `npm version` runs this: the commits since the last release become the section of the new one, to be edited before the
// commit is tagged by hand, and the version goes into the source.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { pathToFileURL } from "node:url"

const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim()

const lastRelease = () => git("tag", "--list", "v*", "--sort=-version:refname").split("\n")[0]

/** What has been committed since the last release, the newest first. */
export const sectionOf = (version) => {
  const last = lastRelease()
  const changes = last === ""
    ? "First release."
    : git("log", "--no-merges", "--format=- %s", `${last}..HEAD`)
  return `## ${version} (${git("log", "-1", "--format=%cs")})\n\n${changes}\n`
}

/** Whether the changelog has a section of a version. */
export const hasSection = (version) => fs.readFileSync("CHANGELOG.md", "utf8").includes(`\n## ${version} `)

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { version } = JSON.parse(fs.readFileSync("package.json", "utf8"))
  if (!hasSection(version)) {
    const [title, ...sections] = fs.readFileSync("CHANGELOG.md", "utf8").split(/\n(?=## )/)
    fs.writeFileSync("CHANGELOG.md", [`${title.trim()}\n`, sectionOf(version), ...sections].join("\n"))
  }
  const file = "src/internal/Version.ts"
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/"[^"]*"/, `"${version}"`))
}
