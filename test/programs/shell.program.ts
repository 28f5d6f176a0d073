// Shells and the small programs that scripts are made of, on pagerun.
import { expect, test } from "vitest";
import { compare, jobFile } from "./preload.js";

const megabyte = 2 ** 20;

test("bash runs loops, arrays, functions, here-documents, pipes and subshells", async () => {
  const job = { name: "bash", command: "bash", args: [jobFile("bash.sh")] };
  const { stdout } = await compare(job, ["bash", "cat", "sort", "tr", "seq"]);
  expect(stdout).toContain("globbed: 161");
});

test("bash does so with little address space", async () => {
  const job = { name: "bash-limited", command: "bash", args: [jobFile("bash.sh")], limitBytes: 100 * megabyte };
  await compare(job, ["bash", "cat", "sort", "tr", "seq"]);
});

test("perl builds and tears down hashes, strings, trees and closures, and forks", async () => {
  const { stdout } = await compare({ name: "perl", command: "perl", args: [jobFile("perl.pl")] }, ["perl"]);
  expect(stdout).toContain("child 5: 208");
});

test("sort with threads, awk, tar, gzip, xz with threads, and make give the same files", async () => {
  const job = { name: "text", command: "bash", args: [jobFile("text.sh")] };
  const { lines } = await compare(job, ["sort", "tar", "gzip", "xz", "make", "sha256sum", "diff"]);
  expect(lines.some(({ program }) => program.endsWith("awk"))).toBe(true);
});
