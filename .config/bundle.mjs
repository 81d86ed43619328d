// Bundles the program into one file and a few chunks, so that it starts in a third of the time, and writes the licenses of
// the packages in it.
import { build } from "esbuild"
import * as fs from "node:fs"
import { tsImport } from "tsx/esm/api"

fs.rmSync("dist/chunks", { recursive: true, force: true })

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

const { metafile } = await build({
  entryPoints: { bstar: "src/bin.ts" },
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  // The driver of PostgreSQL has an optional native twin, which is not used.
  external: ["zeromq", "pg-native"],
  plugins: [bundledPage],
  // CommonJS packages of the HTTP server load modules of Node by this name.
  banner: { js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url)' },
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  logLevel: "warning",
  metafile: true
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
