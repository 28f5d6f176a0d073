// python3's own regression tests on pagerun, with Python's own small-block allocator switched off, so that every
// object of the interpreter is a block of malloc. Whatever passes without the library passes with it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pythonWithTests } from "../tools/system-tools.js";
import { execute, expectOnPagerun, freshFolder, type Job, plainEnvironment, runPreloaded } from "./preload.js";

const modules = [
  ...["list", "dict", "set", "bytes", "unicode", "array", "json", "re", "struct", "pickle", "decimal", "generators"],
  ...["gc", "weakref", "ctypes", "capi", "mmap", "zlib", "bz2", "sqlite3", "xml_etree_c", "subprocess"],
  ...["thread", "threading", "threading_local", "queue", "fork1"],
].map((name) => `test_${name}`);

/** The names of the tests that passed, as Python's report has them. */
function passedIn(folder: string): Set<string> {
  const report = readFileSync(join(folder, "report.xml"), "utf8");
  const tests = [...report.matchAll(/<testcase\b[^>]*?\bname="([^"]+)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)];
  return new Set(
    tests.filter(([, , inside = ""]) => !/<(failure|error|skipped)\b/.test(inside)).map(([, name]) => name!),
  );
}

test("python3 passes its own tests: containers, text, memory, C interfaces, processes and threads", async () => {
  const command = pythonWithTests();
  if (command === undefined) return expect.fail("no python3 with the package of its own tests");
  const args = ["-m", "test", "-j2", "--timeout=200", "--junit-xml=report.xml", ...modules];
  const job: Job = { name: "python", command, args, env: { PYTHONMALLOC: "malloc", PYTHONHASHSEED: "1" } };

  const cwd = freshFolder(job.name, "plain");
  const [, { lines }] = await Promise.all([execute(job, { cwd, env: plainEnvironment(job.env) }), runPreloaded(job)]);
  const plain = passedIn(cwd);
  const preloaded = passedIn(join(cwd, "../preloaded"));

  expect(plain.size).toBeGreaterThan(2000);
  expect([...plain].filter((name) => !preloaded.has(name))).toEqual([]);
  expectOnPagerun(lines, []);
  expect(
    lines.filter(({ program, event }) => program.startsWith("python") && event === "start").length,
  ).toBeGreaterThan(modules.length);
  // Python builds its whole heap on malloc: thousands of blocks at the end of a process, and few otherwise.
  expect(Math.max(...lines.map(({ liveBlocks }) => liveBlocks))).toBeGreaterThan(2000);
});
