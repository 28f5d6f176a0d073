// npm run test:stress: the shadow model over threads for ten million operations on four threads, verify() at the end.
// Options are handed on to the test program: --operations n, --threads n, --seed n.
import { join } from "node:path";
import { cmakeTestsOrExit } from "./native-build.js";
import { handOnSignals, heading, run } from "./steps.js";

const options = process.argv.length > 2 ? process.argv.slice(2) : ["--operations", "10000000", "--threads", "4"];

handOnSignals();
heading("random operations on several threads, compared with a shadow model");
const programs = await cmakeTestsOrExit();
const { code } = await run(join(programs, "model_thread_test"), options);
process.exit(code);
