// The teaching allocators as the malloc of whole programs: they are slow and trusting, but what the family's functions
// mean, they mean as well.
import { describe, expect, test } from "vitest";
import { root } from "../tools/steps.js";
import { compile, type Run, runPlain } from "./programs.js";

const kinds = ["free-list", "arenas", "bucket-pages"] as const;
const origins = ["header", "address"] as const;
const variants = kinds.flatMap((kind) => (kind === "arenas" ? origins.map((origin) => [kind, origin]) : [[kind, ""]]));

const library = `${root}/build/Release/libtextbook.so`;
const family = compile("family.c", [], "oracle-family-c");

function environment(kind: string, origin: string): Run {
  return { env: { LD_PRELOAD: library, PAGERUN_TEXTBOOK: kind, PAGERUN_TEXTBOOK_ORIGIN: origin } };
}

describe.each(variants)("%s %s", (kind = "", origin = "") => {
  const run = environment(kind, origin);

  test("malloc, calloc, realloc, free and the aligned forms do what the C library's do", () => {
    const theirs = runPlain(family);
    const ours = runPlain(family, [], run);
    expect(ours.errors).toBe("");
    expect(ours.end).toBe("exit 0");
    expect(ours.output.split("\n").length).toBeGreaterThan(2500);
    expect(ours.output).toBe(theirs.output);
  });

  test("programs that know nothing of it run: a shell that forks, node with its threads", () => {
    const shell = runPlain("bash", ["-c", "x=$(seq 1 500 | sort -n | tail -1); echo $x"], run);
    expect(shell).toEqual({ output: "500\n", errors: "", end: "exit 0" });
    const node = runPlain(process.execPath, ["-p", "Buffer.alloc(1e6, 1).reduce((a, b) => a + b)"], run);
    expect(node).toEqual({ output: "1000000\n", errors: "", end: "exit 0" });
  });
});

test("a kind that there is not is told, and nothing runs", () => {
  const { end, errors } = runPlain("true", [], environment("slow-list", ""));
  expect(end).toBe("signal SIGABRT");
  expect(errors).toContain("PAGERUN_TEXTBOOK is free-list, arenas or bucket-pages");
});
