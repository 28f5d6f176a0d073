// git on pagerun: every object, pack and log is the same, and git finds no fault with what it wrote.
import { expect, test } from "vitest";
import { compare, jobFile } from "./preload.js";

test("git commits, merges, logs, collects garbage, checks, bundles and clones", async () => {
  const { stdout } = await compare({ name: "git", command: "bash", args: [jobFile("git.sh")] }, ["bash", "git"]);
  expect(stdout).toMatch(/^garbage: 0$/m);
  expect(stdout).toMatch(/^same files$/m);
});
