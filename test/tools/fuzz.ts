// npm run fuzz -- --minutes n: the C++ heap under libFuzzer (clang, with ASan and UBSan) for half of the time, then the
// bindings under fast-check for the other half. What libFuzzer finds new is kept in test/fuzz/corpus, shrunk to what
// covers more; an input that fails is kept in build-test/fuzz and printed. npm test runs the corpus again.
//   --minutes n   in all (2)        --seed n   for both (printed)        --native, --bindings   only one of them
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { count, finish, handOnSignals, heading, root, run } from "./steps.js";
import { vitest } from "./suites.js";
import { ensure } from "./system-tools.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    native: { type: "boolean", default: false },
    bindings: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);
const both = values.native === values.bindings;
const seconds = Math.ceil((minutes * 60) / (both ? 2 : 1));
const directory = join(root, "build-test/fuzz");
const corpus = join(root, "test/fuzz/corpus");
const program = join(directory, "heap_fuzz");

interface Sources {
  base: string[];
  core: string[];
}

async function buildFuzzer(): Promise<boolean> {
  mkdirSync(directory, { recursive: true });
  const { base, core } = JSON.parse(readFileSync(join(root, "native/sources.json"), "utf8")) as Sources;
  const language = ["-std=c++20", "-g", "-O1", "-fno-exceptions", "-fno-rtti", "-DPAGERUN_FUZZER"];
  // Distances to thread-local storage are negative, and kept modulo 2^64.
  const sanitize = [
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize=pointer-overflow",
    "-fno-sanitize-recover=all",
  ];
  const args = [...language, ...sanitize, "-Inative", "-Itest/native", "-pthread", "-o", program];
  const { code, output } = await run("clang++", [...args, ...base, ...core, "test/fuzz/heap_fuzz.cc"], { quiet: true });
  if (code !== 0) console.log(output);
  return code === 0;
}

/** New inputs go into a copy; what covers more than the corpus does is merged back. */
async function fuzzNative(): Promise<void> {
  heading(`libFuzzer: ${seconds} s, seed ${values.seed}`);
  if (!(await buildFuzzer())) return count("libFuzzer", { failed: 1 }, ["the build"]);
  const found = join(directory, "found");
  rmSync(found, { recursive: true, force: true });
  cpSync(corpus, found, { recursive: true });
  const limits = [`-max_total_time=${seconds}`, "-max_len=1600", "-rss_limit_mb=2048", "-timeout=60"];
  const paths = [`-artifact_prefix=${directory}/`, found];
  const options = { env: { ASAN_OPTIONS: "detect_leaks=0" }, quiet: true, deadlineSeconds: seconds + 600 };
  const { code, output } = await run(
    program,
    [...limits, `-seed=${values.seed}`, "-print_final_stats=1", ...paths],
    options,
  );
  const runs = /number_of_executed_units: (\d+)/.exec(output)?.[1] ?? "0";
  console.log(code === 0 ? `${runs} inputs, none went wrong` : output.slice(-4000));
  count("libFuzzer", code === 0 && Number(runs) > 0 ? { passed: 1 } : { failed: 1 });
  const before = readdirSync(corpus).length;
  await run(program, ["-merge=1", "-use_counters=0", corpus, found], options);
  console.log(`corpus: ${before} inputs before, ${readdirSync(corpus).length} now`);
}

async function fuzzBindings(): Promise<void> {
  const env = { PAGERUN_FUZZ_SECONDS: String(seconds), PAGERUN_TEST_SEED: values.seed };
  const files = ["test/bindings/shadow-model.test.ts", "test/bindings/shadow-blocks.test.ts"];
  await vitest("fast-check over the bindings", [...files, `--testTimeout=${(seconds + 300) * 1000}`], {
    env,
    deadlineSeconds: seconds + 600,
  });
}

if (!(minutes > 0)) {
  console.error("--minutes is a number above 0");
  process.exit(2);
}
handOnSignals();
if (both || values.native) {
  const missing = ensure(["clang"]);
  count("programs that the fuzzer needs", { failed: missing.length });
  if (missing.length === 0) await fuzzNative();
}
if (both || values.bindings) await fuzzBindings();
finish();
