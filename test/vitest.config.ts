import { defineConfig } from "vitest/config"

const long = ["system/**/*.test.ts", "campaigns/**/*.test.ts"]

export default defineConfig({
  test: {
    root: import.meta.dirname,
    // A socket that waits in a worker thread would abort the whole process when the worker ends.
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "rooms", include: ["**/*.test.ts"], exclude: long } },
      // Real processes: a busy machine takes long to start them.
      { extends: true, test: { name: "system", include: long, testTimeout: 240_000, hookTimeout: 240_000 } }
    ]
  }
})
