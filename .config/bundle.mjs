// Bundles the program into one file and makes its code cache, so that it starts several times faster, and writes the licenses of the
// packages in it.
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { tsImport } from "tsx/esm/api"

for (const file of fs.readdirSync("dist").filter((name) => /^chunks$|^program\./.test(name))) {
  fs.rmSync(`dist/${file}`, { recursive: true })
}

// The page of the dashboard is bundled here, once: neither the program nor the library brings a bundler.
const { markup, script, styles } = await tsImport("../src/dashboard/bundle.ts", import.meta.url)
const page = Object.entries({ markup, script, styles })
  .map(([name, text]) => `export const ${name} = ${JSON.stringify(text)}\n`)
  .join("")
fs.writeFileSync("dist/dashboard/bundle.js", page)
fs.rmSync("dist/dashboard/bundle.js.map", { force: true })
const bundledPage = {
  name: "bundled-page",
  setup: ({ onLoad }) => onLoad({ filter: /[/\\]dashboard[/\\]bundle\.ts$/ }, () => ({ contents: page, loader: "js" }))
}

const options = { bundle: true, platform: "node", target: "node20", outdir: "dist", logLevel: "warning" }

const { metafile } = await build({
  ...options,
  entryPoints: { program: "src/cli/program.ts" },
  format: "cjs",
  outExtension: { ".js": ".cjs" },
  // The driver of PostgreSQL has an optional native twin, which is not used.
  external: ["zeromq", "pg-native"],
  plugins: [bundledPage],
  define: { "import.meta.url": "moduleUrl" },
  banner: { js: '"use strict"; const moduleUrl = require("node:url").pathToFileURL(__filename).href' },
  metafile: true
})
// ASCII, also in comments and regular expressions: V8 keeps it as one byte a character.
const program = fs.readFileSync("dist/program.cjs", "utf8")
fs.writeFileSync(
  "dist/program.cjs",
  program.replace(/[^\0-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
)
await build({ ...options, entryPoints: { bstar: "src/bin.ts" }, format: "esm" })
execFileSync(process.execPath, [".config/codeCache.mjs"], {
  stdio: ["ignore", "ignore", "inherit"],
  // Options of Node change what V8 makes, and those of the program what it does.
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(BSTAR|NODE)_/.test(name)))
})

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [])
)
const notices = [...packages].sort().map((name) => {
  const folder = `node_modules/${name}`
  const license = fs.readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
  const { version, license: kind } = JSON.parse(fs.readFileSync(`${folder}/package.json`, "utf8"))
  return `${name} ${version} (${kind})\n\n${license ? fs.readFileSync(`${folder}/${license}`, "utf8").trim() : ""}\n`
})
fs.writeFileSync("dist/THIRD-PARTY-NOTICES.txt", notices.join(`\n${"-".repeat(80)}\n\n`))
