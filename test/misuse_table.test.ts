// The command `npm run misuse`: what is expected of pagerun holds in the default profile, and a broken expectation, a
// wrong option and every way in which a case can end are told as they are.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { listCases, type MisuseCase } from "../bench/misuse.js";
import {
  brokenExpectations,
  expectedOf,
  formatTable,
  type kTableEndings,
  type Row,
  runCase,
  type TableContender,
  tableContenders,
} from "../bench/misuse-table.js";
import { root } from "./structure/tree.js";

const release = join(root, "build", "Release");
const program = join(release, "pagerun_misuse");
const cases = listCases(program);
const [fast, hardened, libc] = tableContenders(release, []) as [TableContender, TableContender, TableContender];

function run(...args: string[]) {
  const script = join(root, "dist", "bench", "misuse-table.js");
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
}

describe("the cases", () => {
  test("are 60 and more, in four groups, each with a name and a title of its own", () => {
    expect(cases.length).toBeGreaterThan(60);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const group of ["attack", "free", "damage", "property"]) {
      const ofGroup = cases.filter((one) => one.group === group);
      expect(ofGroup.length, group).toBeGreaterThan(8);
      expect(new Set(ofGroup.map(({ title }) => title)).size).toBe(ofGroup.length);
    }
  });

  const shown = (group: MisuseCase["group"]) => cases.filter((one) => one.group === group);

  test.each(shown("free"))("free: $title: is caught in the default profile, in one line", (misuse) => {
    const { ending, message } = runCase(program, misuse, fast);
    expect(ending).toBe("caught");
    expect(message).toMatch(
      /^pagerun: (double free|interior pointer|foreign pointer|wrong size) of 0x… in \w[\w ]* \(.+\)$/,
    );
  });

  test.each(shown("property"))(
    "property: $title",
    (misuse) => {
      expect(runCase(program, misuse, fast)).toMatchObject({ ending: "passed" });
    },
    60_000,
  );

  test.each(shown("damage"))("damage: $title: does what is expected in the default profile", (misuse) => {
    const { ending } = runCase(program, misuse, fast);
    expect(expectedOf(misuse, "fast") ?? ["caught", "unnoticed", "corrupted"]).toContain(ending);
  });
});

describe("the table", () => {
  const misuse: MisuseCase = { name: "a", group: "free", title: "a wrong free", isHarmlessEnough: false };
  const row = (ending: keyof typeof kTableEndings, one = misuse): Row => ({
    misuse: one,
    outcomes: { pagerun: { ending, message: "" }, libc: { ending: "crashed", message: "" } },
  });

  test("has a line for each expectation that is broken, and none for what is expected of nobody", () => {
    expect(brokenExpectations([row("caught")], [fast, libc])).toEqual([]);
    for (const ending of ["unnoticed", "corrupted", "crashed", "hung", "n/a"] as const) {
      expect(brokenExpectations([row(ending)], [fast, libc])).toHaveLength(1);
    }
  });

  test("expects more of the hardened profile, and nothing of the others", () => {
    const damage: MisuseCase = { ...misuse, group: "damage" };
    expect(expectedOf(damage, "fast")).toBeUndefined();
    expect(expectedOf(damage, "hardened")).toEqual(["caught"]);
    expect(expectedOf({ ...damage, isHarmlessEnough: true }, "hardened")).toEqual(["caught", "unnoticed"]);
    for (const one of cases) expect(expectedOf(one, libc.profile)).toBeUndefined();
    for (const one of cases.filter(({ group }) => group === "free"))
      expect(expectedOf(one, hardened.profile)).toEqual(["caught"]);
  });

  test("sums up each group", () => {
    const text = formatTable([row("caught"), row("unnoticed")], [fast, libc]);
    expect(text).toMatch(/wrong pointers and sizes \(2\) +pagerun +libc/);
    expect(text).toMatch(/caught, of 2 +1 +0/);
  });
});

describe("npm run misuse", () => {
  test("prints what it ran, writes JSON, and ends with 0", () => {
    const folder = mkdtempSync(join(tmpdir(), "misuse-"));
    const file = join(folder, "misuse.json");
    const { status, stdout, stderr } = run(
      "--only",
      "double-free-small,free-null",
      "--contenders",
      "pagerun,libc",
      "--json",
      file,
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("Every expectation of pagerun holds.");
    const written = JSON.parse(readFileSync(file, "utf8"));
    expect(written.contenders).toEqual(["pagerun", "libc"]);
    expect(written.cases.map((one: MisuseCase) => one.name)).toContain("free-null");
    expect(written.broken).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  test("finds that a sized delete names another class, also where realloc may leave a block of that size", () => {
    const names = "sized-delete-half,sized-delete-next-class,sized-delete-large-half";
    const { status, stdout } = run("--only", names, "--contenders", "pagerun,hardened");
    expect(stdout).toContain("Every expectation of pagerun holds.");
    expect(status).toBe(0);
  });

  test("ends with 1 when pagerun does not do what is expected of it", () => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, "dist", "bench", "misuse-table.js"), "--only", "double-free-middle", "--contenders", "pagerun"],
      { encoding: "utf8", env: { ...process.env, PAGERUN_ON_MISUSE: "report" } },
    );
    expect(status).toBe(1);
    expect(stdout).toContain("double-free-middle on pagerun: expected caught, but it went unnoticed");
  });

  test.each([
    ["--so", "mine", "Expected --so name=path but received mine."],
    ["--so", "mine=/nowhere.so", "Expected a shared library for --so mine but /nowhere.so is not there."],
    ["--only", "nothing", "Nothing here is named nothing."],
    ["--contenders", "nobody", "Nothing here is named nobody."],
  ])("refuses %s %s in one line, with 2", (option, value, line) => {
    const { status, stderr } = run(option, value);
    expect(status).toBe(2);
    expect(stderr).toBe(`${line}\n`);
  });
});
