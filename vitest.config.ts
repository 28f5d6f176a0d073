// How the TypeScript tests run. Owns: which files, which process model, which copy of the package is under test.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Tests import "pagerun" as users do. They get the sources, or with PAGERUN_TEST_DIST=1 what the package ships.
const entry = process.env.PAGERUN_TEST_DIST === "1" ? "./dist/esm/index.js" : "./lib/index.ts";

export default defineConfig({
  // Vite leaves .cts alone otherwise.
  oxc: { include: /\.[cm]?ts$/ },
  test: {
    include: ["test/**/*.test.ts"],
    alias: { pagerun: fileURLToPath(new URL(entry, import.meta.url)) },
    // A process for each file: a crash takes down one file, and every file meets a fresh heap.
    pool: "forks",
    isolate: true,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
