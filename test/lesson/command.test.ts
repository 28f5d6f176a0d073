// The command `pagerun lesson` as a reader types it: in a pipe, at a prompt, with wrong options; and the document made by it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Step } from "../../lib/lesson/step.js";
import { steps } from "../../lib/lesson/steps.js";
import { renderStep, type Screen, stepAfter, walk } from "../../lib/lesson/terminal-walk.js";
import { root } from "../tools/steps.js";

function pagerun(...args: string[]) {
  const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined };
  return spawnSync(process.execPath, [join(root, "dist/cjs/cli.js"), ...args], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  });
}

const titles = steps.map(({ title }) => title);

describe("pagerun lesson in a pipe", () => {
  const { status, stdout, stderr } = pagerun("lesson");

  test("prints every step in its order and ends", () => {
    expect(status).toBe(0);
    expect(stderr).toBe("");
    const headings = [...stdout.matchAll(/^(\d+)\/\d+ {2}(.+)$/gm)].map(([, , title]) => title);
    expect(headings).toEqual(titles);
  });

  test("uses no colours and no line that is wider than a terminal for words", () => {
    expect(stdout).not.toContain("\x1b");
    const sentences = stdout.split("\n").filter((line) => /^[A-Z][a-z]+ [a-z]/.test(line));
    expect(sentences.length).toBeGreaterThan(15);
    expect(Math.max(...sentences.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("draws malloc(5000) with the two OS pages and the rest of them", () => {
    expect(stdout).toContain("+0  header   5004 bytes  size 5000");
    expect(stdout).toContain("+5004  node     3188 bytes  size 3184  next: none");
  });
});

describe("pagerun at the command line", () => {
  test("npx in a working copy runs it without compiling the addon anew", () => {
    const cache = mkdtempSync(join(tmpdir(), "pagerun-npx-"));
    const addon = join(root, "build/Release/pagerun.node");
    const before = statSync(addon).mtimeMs;
    const env = { ...process.env, npm_config_cache: cache };
    const { status, stdout } = spawnSync("npx", ["pagerun", "--help"], {
      cwd: root,
      env,
      encoding: "utf8",
      timeout: 120_000,
    });
    rmSync(cache, { recursive: true, force: true });
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining("pagerun lesson") });
    expect(statSync(addon).mtimeMs).toBe(before);
  });

  test("without a command or a subcommand, it lists them and exits with 2", () => {
    expect(pagerun()).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("pagerun lesson") });
  });

  test("--help tells of the subcommands, lesson --help of the options", () => {
    expect(pagerun("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("lesson") });
    expect(pagerun("lesson", "--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("--browser") });
  });

  test.each([
    [["--nonsense"], "--nonsense"],
    [["--port", "70000", "--browser"], "0 to 65535"],
    [["--port", "1e3", "--browser"], "0 to 65535"],
    [["--port", "80"], "--browser"],
    [["extra"], "extra"],
  ])("lesson %j is refused with a line that says why", (args, message) => {
    const { status, stdout, stderr } = pagerun("lesson", ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("at ");
  });
});

describe("the document", () => {
  test("docs/lesson.md has the steps of the lesson, and is what the command makes but for addresses and figures", () => {
    const written = readFileSync(join(root, "docs/lesson.md"), "utf8");
    const { status, stdout } = pagerun("lesson", "--markdown");
    expect(status).toBe(0);
    const frame = (text: string) =>
      text.split("\n").filter((line) => /^(#|\*[^*]+\*$)/.test(line) && !/\d\d/.test(line));
    expect(frame(written)).toEqual(frame(stdout));
    const headings = [...written.matchAll(/^## \d+\. (.+)$/gm)].map(([, title]) => title);
    expect(headings).toEqual(titles);
  });
});

/** Steps that tell how often they were run. */
function countedSteps(count: number): { steps: Step[]; runs: number[] } {
  const runs: number[] = [];
  const made = Array.from({ length: count }, (_, i) => ({
    id: `s${i}`,
    title: `Step ${i}`,
    run() {
      runs.push(i);
      return [{ kind: "text", text: `This is step ${i}.` } as const];
    },
  }));
  return { steps: made, runs };
}

/** A screen that keeps what is written to it. */
function recordingScreen(): Screen & { written: string[] } {
  const written: string[] = [];
  return { columns: 60, hasColours: false, written, write: (text) => written.push(text) };
}

describe("the walk at a prompt", () => {
  test("Enter goes on, b goes back, r runs again, a number goes there, q ends", async () => {
    const { steps: made, runs } = countedSteps(4);
    const screen = recordingScreen();
    await walk(made, screen, Readable.from(["\n\nb\nr\n4\nq\n\n"]));
    expect(runs).toEqual([0, 1, 2, 1, 1, 3]);
    expect(screen.written.join("").match(/\[Enter\] next/g)).toHaveLength(6);
  });

  test("Enter after the last step ends the walk, and so does the end of the input", async () => {
    const { steps: made, runs } = countedSteps(2);
    await walk(made, recordingScreen(), Readable.from(["\n\n\n\n"]));
    expect(runs).toEqual([0, 1]);
    const other = countedSteps(3);
    await walk(other.steps, recordingScreen(), Readable.from(["\n"]));
    expect(other.runs).toEqual([0, 1]);
  });

  test("b at the first step stays there, and an answer that means nothing repeats the step", () => {
    expect(stepAfter(0, "b", 5)).toBe(0);
    for (const answer of ["0", "6", "1.5", "hello", "-1"]) expect(stepAfter(2, answer, 5)).toBe(2);
    expect(stepAfter(2, " Q ", 5)).toBeUndefined();
  });

  test("a narrow screen gets narrow words", () => {
    const text = renderStep(steps, 0, { columns: 50, hasColours: false, write: () => {} });
    const sentences = text.split("\n").filter((line) => /^[A-Z][a-z]+ [a-z]/.test(line));
    expect(Math.max(...sentences.map((line) => line.length))).toBeLessThan(50);
  });
});
