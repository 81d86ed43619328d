/**
 * The parts of the page, bundled from `page/`. This module needs esbuild, so the build replaces it by its results.
 */
import { buildSync } from "esbuild"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

const pathOf = (file: string): string => fileURLToPath(new URL(`page/${file}`, import.meta.url))

const bundle = (file: string): string =>
  buildSync({
    entryPoints: [pathOf(file)],
    bundle: true,
    minify: true,
    write: false,
    platform: "browser",
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none"
  }).outputFiles[0]!.text.trim()

export const script: string = bundle("main.ts")

export const styles: string = bundle("styles.css")

/** The markup. It has a place for each of the other parts. */
export const markup: string = fs.readFileSync(pathOf("index.html"), "utf8")
