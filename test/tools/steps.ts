// Steps of the test commands: runs a program, shows what it prints, and adds up what passed and what failed.
// Owns the counts and the closing line. Does not know what the steps are (run.mjs, sanitize.mjs).
import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

const counts = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

/** Adds to the sum; `what` names the step when anything failed. */
export function count(what, { passed = 0, failed = 0, skipped = 0 }) {
  counts.passed += passed;
  counts.failed += failed;
  counts.skipped += skipped;
  if (failed > 0) failures.push(`${what}: ${failed} failed`);
}

/**
 * Runs a program in the project's root and passes its output on.
 * @returns its exit code (128 when a signal or the deadline ended it) and all that it printed
 */
export function run(command, args, { env = {}, deadlineSeconds = 1200, quiet = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: when the deadline passes, its children end with it.
      detached: true,
    });
    let output = "";
    const take = (stream) => (data) => {
      output += data;
      if (!quiet) stream.write(data);
    };
    child.stdout.on("data", take(process.stdout));
    child.stderr.on("data", take(process.stderr));
    const timer = setTimeout(() => {
      console.error(`\n${command}: ended after its deadline of ${deadlineSeconds} s`);
      endGroup(child.pid);
    }, deadlineSeconds * 1000);
    const end = (code, message = "") => {
      clearTimeout(timer);
      running.delete(child.pid);
      resolve({ code, output: output + message });
    };
    if (child.pid !== undefined) running.add(child.pid);
    child.on("error", (error) => end(127, `${command}: ${error.message}\n`));
    child.on("close", (code) => end(code ?? 128));
  });
}

/** Process groups that were started and have not ended. */
const running = new Set();

function endGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}

// The groups of their own do not hear the terminal's Ctrl-C, so it is handed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const pid of running) endGroup(pid);
    process.exit(130);
  });
}

/** One heading a step, so that a long log can be read. */
export function heading(text) {
  console.log(`\n=== ${text}`);
}

/** A step that passes or fails as a whole: counts as one. Its output is shown when it fails. */
export async function check(what, command, args, options = {}) {
  heading(what);
  const started = Date.now();
  const result = await run(command, args, { quiet: true, ...options });
  if (result.code !== 0) console.log(result.output);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${result.code === 0 ? "passed" : `FAILED (exit ${result.code})`} in ${seconds} s`);
  count(what, result.code === 0 ? { passed: 1 } : { failed: 1 });
  return result.code === 0;
}

/** Prints what failed and the closing line, leaves the sum to .ci/run where that asks for it, and ends the process. */
export function finish() {
  console.log("");
  for (const failure of failures) console.log(`FAILED ${failure}`);
  const line = closingLine(counts);
  console.log(line);
  const file = process.env.PAGERUN_TEST_COUNTS;
  if (file) appendFileSync(file, `${line}\n`);
  process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
}

export function closingLine({ passed, failed, skipped = 0 }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** The directory for what tests leave behind; inside the project and ignored by git. */
export function scratch() {
  const directory = `${root}/build-test`;
  mkdirSync(directory, { recursive: true });
  return directory;
}
