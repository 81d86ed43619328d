// The changelog. `npm version` runs this before it commits and tags: the commits since the last release become the section of the new one,
// and the version goes into the source. To edit the section, amend the commit and tag it again.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { pathToFileURL } from "node:url"

const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim()

/** The newest release that is not of this commit. */
const lastRelease = () => {
  const own = git("tag", "--points-at", "HEAD").split("\n")
  return git("tag", "--list", "v*", "--sort=-version:refname").split("\n").find((tag) => !own.includes(tag)) ?? ""
}

/** What stands for the date of the first release until it is made. */
const unreleased = "(unreleased)"

/** What has been committed since the last release, the newest first. */
export const sectionOf = (version) => {
  const last = lastRelease()
  const changes = last === ""
    ? "First release."
    : git("log", "--no-merges", "--format=- %s", `${last}..HEAD`)
  return `## ${version} (${git("log", "-1", "--format=%cs")})\n\n${changes}\n`
}

/** Whether the changelog has a section of a version. */
export const hasSection = (version) =>
  fs.readFileSync("CHANGELOG.md", "utf8").split("\n").some((line) =>
    line.startsWith(`## ${version} `) && !line.endsWith(unreleased)
  )

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { version } = JSON.parse(fs.readFileSync("package.json", "utf8"))
  if (!hasSection(version)) {
    const [title, ...sections] = fs.readFileSync("CHANGELOG.md", "utf8").split(/\n(?=## )/)
      .filter((section) => !section.startsWith(`## ${version} ${unreleased}`))
    fs.writeFileSync("CHANGELOG.md", [`${title.trim()}\n`, sectionOf(version), ...sections].join("\n"))
  }
  const file = "src/internal/Version.ts"
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/"[^"]*"/, `"${version}"`))
}
