// npm run test:programs: real programs with libpagerun.so preloaded, and this project's own tests in the same way.
// Owns what has to be there before: the programs, the build, the witness, and the versions of Node.js. The jobs are in
// `test/programs/`.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { isBuilt, nodeGyp } from "./native-build.js";
import { check, count, finish, handOnSignals, heading, root, scratch } from "./steps.js";
import { vitest } from "./suites.js";
import { ensure, type SystemTool } from "./system-tools.js";

const folder = `${scratch()}/programs`;
const witness = `${folder}/libwitness.so`;
const lines = `${folder}/own-tests-witness`;

/** Programs that the jobs run. */
const programs: SystemTool[] = ["awk", "bash", "g++", "git", "gzip", "make", "perl", "python3 with its own tests"];
programs.push("redis-benchmark", "redis-server", "sqlite3", "tar", "xz");

/** Packages with native code that comes prebuilt, which are given our memory. */
const users = ["sharp@0.35"];

/** Versions of Node.js, each of which npm brings as a package that holds the program. */
const nodeVersions = [20, 22, 24, 26];

async function prepare(): Promise<boolean> {
  heading("programs that are run under preload");
  const missing = ensure(programs);
  console.log(missing.length === 0 ? "all there" : "the tests that need them will fail");
  count("programs that are run under preload", { failed: missing.length });

  mkdirSync(folder, { recursive: true });
  if (!isBuilt() && !(await check("native build (node-gyp)", process.execPath, nodeGyp))) return false;
  const compile = ["-std=c++20", "-O2", "-fPIC", "-shared", "-fno-exceptions", "-fno-rtti", "-fno-builtin-malloc"];
  const source = "test/programs/witness.cc";
  const packages = nodeVersions.map((version) => `node${version}@npm:node-linux-${arch()}@${version}`);
  packages.push(`deno@npm:@deno/linux-${arch()}-glibc`);
  packages.push(`bun@npm:@oven/bun-linux-${arch() === "arm64" ? "aarch64" : arch()}`);
  const npm = ["install", "--no-save", "--no-audit", "--no-fund", "--prefer-offline", "--prefix"];
  const ready = [
    await check("TypeScript build (ESM and CJS)", "npm", ["run", "--silent", "build:ts"]),
    await check("build of the witness", "g++", [...compile, "-Inative", source, "-o", witness]),
    await check(`Node.js ${nodeVersions.join(", ")}, Deno, Bun`, "npm", [...npm, `${folder}/runtimes`, ...packages]),
    await check(users.join(", "), "npm", [...npm, `${folder}/users`, ...users]),
  ];
  return !ready.includes(false);
}

/** The project's own tests, in processes whose every malloc is under test too. */
async function ownTests(): Promise<void> {
  const what = "own tests under preload";
  writeFileSync(lines, "");
  await vitest(what, ["test/bindings/", "test/workers/"], {
    env: { LD_PRELOAD: `${root}/build/Release/libpagerun.so:${witness}`, PAGERUN_TEST_WITNESS: lines },
  });
  const seen = readFileSync(lines, "utf8").trim().split("\n");
  const wrong = seen.filter((line) => !/\t(start\tserved|end\twhole)\t/.test(line));
  const isProven = wrong.length === 0 && seen.filter((line) => line.includes("\tnode\tstart\t")).length > 10;
  console.log(
    `${what}: ${seen.length} starts and ends of processes witnessed${isProven ? "" : `, WRONG: ${wrong.join("\n")}`}`,
  );
  count(`${what}: every process was on pagerun, and its heap whole`, isProven ? { passed: 1 } : { failed: 1 });
}

handOnSignals();
if (await prepare()) {
  await vitest("programs under preload", ["--config", "test/programs/vitest.config.ts"]);
  await ownTests();
} else {
  count("programs under preload", { failed: 1 });
}
finish();
