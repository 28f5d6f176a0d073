// The malloc family means what the C library's means: programs that print what every call did, run on both, and the two
// texts compared. The C library of this machine is the measure, in what it does rather than in what is written of it.
import { describe, expect, test } from "vitest";
import { compile, type Outcome, runPlain, runPreloaded } from "./programs.js";

interface Both {
  theirs: Outcome;
  ours: Outcome;
}

function onBoth(program: string): Both {
  return { theirs: runPlain(program), ours: runPreloaded(program) };
}

/** Lines that differ, as "theirs -> ours". */
function differences({ theirs, ours }: Both): string[] {
  const [expected, actual] = [theirs.output.split("\n"), ours.output.split("\n")];
  const length = Math.max(expected.length, actual.length);
  return Array.from({ length }, (_, i) => i)
    .filter((i) => expected[i] !== actual[i])
    .map((i) => `${expected[i]} -> ${actual[i]}`);
}

const programs = [
  { what: "malloc, calloc, realloc, free and the aligned forms", file: "family.c", lines: 2500 },
  { what: "mallopt, malloc_trim, mallinfo, malloc_info and malloc_stats", file: "tuning.c", lines: 300 },
  { what: "functions of the C library that allocate for their caller", file: "callers.c", lines: 30 },
  { what: "all forms of operator new and delete", file: "operators.cc", lines: 7000 },
  { what: "the other operators where a program has its own basic ones", file: "replaced.cc", lines: 10 },
  {
    what: "the other operators where a program has its own array forms as well",
    file: "replaced.cc",
    flags: ["-DREPLACES_ARRAYS"],
    lines: 10,
  },
];

describe("the same as the C library", () => {
  test.each(programs)("$what", ({ file, flags = [], lines }) => {
    const both = onBoth(compile(file, flags, `oracle-${file.replace(".", "-")}${flags.join("")}`));
    expect(both.theirs.end).toBe("exit 0");
    expect(both.theirs.output.split("\n").length).toBeGreaterThan(lines);
    expect(both.ours.errors).toBe(both.theirs.errors);
    expect(differences(both)).toEqual([]);
    expect(both.ours.end).toBe("exit 0");
    expect(both.ours.output).not.toMatch(/NOT |WRONG|CHANGED|TOO SMALL|DIFFER/);
  });

  test("malloc and its family in the hardened profile, too", () => {
    const program = compile("family.c", [], "oracle-family-hardened");
    const both = {
      theirs: runPlain(program),
      ours: runPreloaded(program, [], { env: { PAGERUN_PROFILE: "hardened" } }),
    };
    expect(differences(both)).toEqual([]);
    expect(both.ours.end).toBe("exit 0");
  });
});
