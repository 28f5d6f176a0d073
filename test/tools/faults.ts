// npm run test:faults: each of the first two thousand system calls of a mixed workload is refused once, in both profiles.
// Options are handed on to the test program: --every n, --calls n, --seed n. npm test walks a share of the calls.
import { join } from "node:path";
import { cmakeTestsOrExit } from "./native-build.js";
import { count, finish, handOnSignals, heading, run } from "./steps.js";

const options = process.argv.length > 2 ? process.argv.slice(2) : ["--every", "1"];

handOnSignals();
const programs = await cmakeTestsOrExit();
for (const profile of ["fast", "hardened"]) {
  heading(`refused system calls, ${profile} profile`);
  const env = { PAGERUN_PROFILE: profile };
  const program = join(programs, "fault_sweep_test");
  const { code } = await run(program, options, { env, deadlineSeconds: 3600 });
  count(`refused system calls, ${profile} profile`, code === 0 ? { passed: 1 } : { failed: 1 });
}
finish();
