// A limit on the memory of a group of processes, as containers have it: the kernel ends who exceeds it, so that memory
// which waits for its next use must give way before. Skipped where no such group can be made.
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compile, runPreloaded } from "./programs.js";

const name = `pagerun-test-${process.pid}`;
const ways = [
  { folder: `/sys/fs/cgroup/memory/${name}`, limit: "memory.limit_in_bytes" },
  { folder: `/sys/fs/cgroup/${name}`, limit: "memory.max" },
];

/** A group with the limit, by the first or the second version of the interface; undefined when refused. */
function makeGroup(limitBytes: number): string | undefined {
  for (const { folder, limit } of ways) {
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    try {
      // Without the controller the file is not there, and cannot be made.
      writeFileSync(`${folder}/${limit}`, `${limitBytes}`, { flag: "r+" });
      return folder;
    } catch {
      rmdirSync(folder);
    }
  }
  return undefined;
}

test.for([
  { profile: "fast", limitMiB: 64 },
  { profile: "hardened", limitMiB: 80 },
])(
  "40 MiB in phases of all sizes, $profile profile, fit a group of $limitMiB MiB",
  {
    timeout: 70_000,
  },
  ({ profile, limitMiB }, context) => {
    const group = makeGroup(limitMiB << 20);
    if (group === undefined) return context.skip("no group with a limit on memory can be made here");
    try {
      const script = `echo $$ > ${group}/cgroup.procs && exec "$0" phases`;
      const env = { PAGERUN_PROFILE: profile };
      const outcome = runPreloaded("/bin/sh", ["-c", script, compile("limits.c")], { env });
      expect(outcome).toEqual({ output: "ok\n", errors: "", end: "exit 0" });
    } finally {
      rmdirSync(group);
    }
  },
);
