// npm run test:mutations: applies each seeded fault of test/mutations to a copy of the sources, builds the C++ tests that
// shall find it, and runs them. Ends with 1 when a fault survives, does not build, or the copy without any is not clean.
//   --only a,b     faults whose names hold one of the words   --list       only their names and what they are
//   --jobs n       copies that are built side by side
// Owns the copies (build-test/mutations). What a fault is and how it is applied is mutation.ts.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { applied, type Killer, type Mutation, readMutations } from "./mutation.js";
import { handOnSignals, heading, root, run } from "./steps.js";
import { ensure } from "./system-tools.js";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    jobs: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
  },
});

/** A test that a fault lets hang is killed by its deadline. */
const testSeconds = 120;
const canFixAddresses = spawnSync("setarch", ["-R", "true"]).status === 0;

/** A copy of the sources with a build of its own. */
interface Copy {
  directory: string;
  threadSanitizer: boolean;
}

interface Verdict {
  mutation: Mutation;
  killedBy?: string;
  problem?: string;
}

function isChanged(from: string, to: string): boolean {
  if (statSync(from).isDirectory() || !existsSync(to)) return true;
  return !readFileSync(from).equals(readFileSync(to));
}

async function makeCopy(job: number, threadSanitizer: boolean): Promise<Copy> {
  const directory = join(root, "build-test/mutations", `${threadSanitizer ? "thread" : "plain"}-${job}`);
  for (const part of ["native", "test/native", "CMakeLists.txt"]) {
    mkdirSync(directory, { recursive: true });
    // What has not changed keeps its time, which says that it was built already.
    cpSync(join(root, part), join(directory, part), { recursive: true, filter: isChanged });
  }
  // Faults need no fast code, and there are many to build.
  const list = join(directory, "native/sources.json");
  const flags = readFileSync(join(root, "native/sources.json"), "utf8").replace('"-O3"', '"-O1"');
  writeFileSync(list, flags);
  const sanitize = `-DPAGERUN_SANITIZE=${threadSanitizer ? "thread" : ""}`;
  const args = [
    "-S",
    directory,
    "-B",
    `${directory}/build`,
    "-DCMAKE_BUILD_TYPE=Release",
    "-DPAGERUN_TESTS=ON",
    sanitize,
  ];
  const { code, output } = await run("cmake", args, { quiet: true });
  if (code !== 0) throw new Error(output);
  return { directory, threadSanitizer };
}

/** The compiler's words when the programs do not build. */
async function buildProblem({ directory }: Copy, programs: readonly string[]): Promise<string | undefined> {
  const args = ["--build", `${directory}/build`, "--target", ...new Set(programs)];
  const { code, output } = await run("cmake", args, { quiet: true });
  return code === 0 ? undefined : output;
}

/** What the killer's tests print when one of them fails; undefined when all pass. */
async function failureOf(
  { directory, threadSanitizer }: Copy,
  { program, filter }: Killer,
): Promise<string | undefined> {
  const path = `${directory}/build/Release/${program}`;
  const args = filter === "" ? [] : ["--filter", filter];
  const command = threadSanitizer && canFixAddresses ? ["setarch", "-R", path, ...args] : [path, ...args];
  const env = { TSAN_OPTIONS: "halt_on_error=1", PAGERUN_TEST_SEED: "1" };
  const options = { env, quiet: true, deadlineSeconds: testSeconds };
  const { code, output } = await run(command[0] as string, command.slice(1), options);
  return code === 0 && !/^0 passed/m.test(output) ? undefined : output;
}

function labelOf({ program, filter }: Killer): string {
  return filter === "" ? program : `${program}: ${filter}`;
}

/** Builds and runs every killer on sources without a fault: each must pass. */
async function expectClean(copy: Copy, mutations: readonly Mutation[]): Promise<void> {
  const killers = new Map(mutations.flatMap(({ killers }) => killers).map((killer) => [labelOf(killer), killer]));
  const problem = await buildProblem(
    copy,
    [...killers.values()].map(({ program }) => program),
  );
  if (problem !== undefined) throw new Error(problem);
  for (const [label, killer] of killers) {
    const failure = await failureOf(copy, killer);
    if (failure !== undefined) throw new Error(`without any fault, ${label} does not pass:\n${failure}`);
  }
}

async function judge(copy: Copy, mutation: Mutation): Promise<Verdict> {
  const problem = await buildProblem(
    copy,
    mutation.killers.map(({ program }) => program),
  );
  if (problem !== undefined) return { mutation, problem: `does not build:\n${problem}` };
  for (const killer of mutation.killers) {
    if ((await failureOf(copy, killer)) !== undefined) return { mutation, killedBy: labelOf(killer) };
  }
  return { mutation, problem: "survives" };
}

function report({ mutation, killedBy, problem }: Verdict): void {
  console.log(
    killedBy === undefined ? `FAILED  ${mutation.name}: ${problem}` : `killed  ${mutation.name} (${killedBy})`,
  );
}

/** The faults of one file, one after the other, so that what does not depend on it is built once. */
async function judgeFile(copy: Copy, mutations: readonly Mutation[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const mutation of mutations) {
    const path = join(copy.directory, mutation.file);
    const text = readFileSync(join(root, mutation.file), "utf8");
    writeFileSync(path, applied(mutation, text));
    const verdict = await judge(copy, mutation);
    writeFileSync(path, text);
    report(verdict);
    verdicts.push(verdict);
  }
  return verdicts;
}

function byFile(mutations: readonly Mutation[]): Mutation[][] {
  const files = new Map<string, Mutation[]>();
  for (const mutation of mutations) files.set(mutation.file, [...(files.get(mutation.file) ?? []), mutation]);
  return [...files.values()];
}

/** One copy's share: it takes files until none is left. */
async function work(job: number, waiting: Mutation[][], threadSanitizer: boolean): Promise<Verdict[]> {
  const copy = await makeCopy(job, threadSanitizer);
  await expectClean(copy, waiting.flat());
  const verdicts: Verdict[] = [];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    verdicts.push(...(await judgeFile(copy, next)));
  }
  return verdicts;
}

async function judgeAll(mutations: readonly Mutation[], threadSanitizer: boolean): Promise<Verdict[]> {
  const waiting = byFile(mutations.filter((mutation) => mutation.underThreadSanitizer === threadSanitizer));
  const jobs = Math.min(Number(values.jobs), waiting.length);
  const shares = Array.from({ length: jobs }, (_, job) => work(job + 1, waiting, threadSanitizer));
  return (await Promise.all(shares)).flat();
}

const words = values.only.split(",");
const chosen = readMutations(root).filter(({ name }) => words.some((word) => name.includes(word)));
if (values.list) {
  for (const { name, file, says } of chosen) console.log(`${name} (${file}): ${says}`);
  process.exit(0);
}
if (!(Number(values.jobs) >= 1) || chosen.length === 0) {
  console.error(chosen.length === 0 ? `no fault's name holds "${values.only}"` : "--jobs is a number from 1 on");
  process.exit(2);
}
handOnSignals();
if (ensure(["cmake", "g++"]).length > 0) process.exit(1);
heading(`${chosen.length} seeded faults, each to be found by the C++ tests`);
const verdicts = [...(await judgeAll(chosen, false)), ...(await judgeAll(chosen, true))];
const survivors = verdicts.filter(({ killedBy }) => killedBy === undefined);
console.log(`${verdicts.length - survivors.length} killed, ${survivors.length} not`);
for (const { mutation } of survivors) console.log(`  ${mutation.name}: ${mutation.says}`);
process.exit(survivors.length > 0 ? 1 : 0);
