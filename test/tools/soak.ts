// npm run soak -- --minutes n: the heap over a long time. For n minutes (10) threads come and go and hand blocks around;
// then a million threads are made and ended, and ten thousand forks while others churn; each in both profiles, which
// share the minutes. At last a thousand workers. Memory must stay where it was and verify() find nothing; the figures are printed.
//   --threads n, --forks n, --workers n    other numbers           --seed n    where random numbers begin (printed)
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cmakeTestsOrExit } from "./native-build.js";
import { count, finish, handOnSignals, heading, run } from "./steps.js";
import { vitest } from "./suites.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    threads: { type: "string", default: "1000000" },
    forks: { type: "string", default: "10000" },
    workers: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
  },
});

const manyHours = 24 * 3600;

async function soak(what: string, profile: string, args: readonly string[]): Promise<void> {
  heading(`${what}, ${profile} profile`);
  const program = join(programs, "soak_test");
  const options = { env: { PAGERUN_PROFILE: profile }, deadlineSeconds: manyHours };
  const { code } = await run(program, [...args, "--seed", values.seed], options);
  count(`${what}, ${profile} profile`, code === 0 ? { passed: 1 } : { failed: 1 });
}

const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error("--minutes is a number above 0");
  process.exit(2);
}
handOnSignals();
const programs = await cmakeTestsOrExit();
const seconds = String(Math.ceil(minutes * 30));
for (const profile of ["fast", "hardened"]) {
  await soak("churn", profile, ["--filter", "come and go", "--seconds", seconds]);
  await soak(`${values.threads} threads`, profile, ["--filter", "made and ended", "--threads", values.threads]);
  await soak(`${values.forks} forks`, profile, ["--filter", "children", "--forks", values.forks]);
}
heading(`${values.workers} workers`);
await vitest("workers", ["test/workers/leaving.test.ts"], {
  env: { PAGERUN_TEST_WORKERS: values.workers },
  deadlineSeconds: manyHours,
});
finish();
