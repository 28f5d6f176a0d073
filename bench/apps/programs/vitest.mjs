// vitest on those of this project's tests that need nothing but Node.js: what a watch mode holds when the run is over.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startVitest } from "vitest/node";
import { rest } from "../support/rest.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const files = [
  "test/bench_figures",
  "test/bench_output",
  "test/bench_script_verdicts",
  "test/bench_verdicts",
  "test/cli/bench-parts",
];
const vitest = await startVitest("test", files, { root, watch: false, reporters: ["dot"] });
const failed = vitest.state.getCountOfFailedTests();
await vitest.close();
if (failed > 0) {
  console.error(`${failed} tests failed`);
  process.exit(1);
}
await rest();
