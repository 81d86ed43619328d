import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["**/*.test.ts"],
    // A socket that waits in a worker thread would abort the whole process when the worker ends.
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
