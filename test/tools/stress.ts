// npm run test:stress: the shadow model over threads for ten million operations on four threads, verify() at the end.
// Options are handed on to the test program: --operations n, --threads n, --seed n.
import { join } from "node:path";
import { cmakeTests } from "./native-build.js";
import { handOnSignals, heading, root, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const directory = "build-test/cpp";
const options = process.argv.length > 2 ? process.argv.slice(2) : ["--operations", "10000000", "--threads", "4"];

handOnSignals();
heading("random operations on several threads, compared with a shadow model");
if (ensure(["cmake"]).length > 0) process.exit(1);
const built = await cmakeTests(directory);
if (built.code !== 0) {
  console.error(built.output);
  process.exit(1);
}
const { code } = await run(join(root, directory, "Release/model_thread_test"), options);
process.exit(code);
