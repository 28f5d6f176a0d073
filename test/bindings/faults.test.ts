// System calls that fail: whatever call is refused, the program gets an error it can handle and every block is intact.

import { spawnSync } from "node:child_process";
import {
  alignedAlloc,
  calloc,
  copyOut,
  free,
  malloc,
  memoryStats,
  PagerunError,
  realloc,
  snapshot,
  verify,
  view,
} from "pagerun";
import { afterEach, describe, expect, test } from "vitest";
import { failSystemCall, systemCalls } from "../../lib/internal/testing.js";
import { root } from "../structure/tree.js";
import {
  expectLiveBlocks,
  fillWith,
  holds,
  isFastProfile,
  isOwnHeap,
  kilobyte,
  megabyte,
  strayBlocks,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

afterEach(() => failSystemCall(0));

/** The call's result, or undefined when it is out of memory; any other error is passed on. */
function orOutOfMemory<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof PagerunError && error.code === "ERR_OUT_OF_MEMORY") return undefined;
    throw error;
  }
}

const works: { name: string; work: (blocks: bigint[]) => void }[] = [
  {
    name: "small blocks that need new pages",
    work: (blocks) => {
      for (let i = 0; i < 3000; i++) blocks.push(malloc(2000));
    },
  },
  {
    name: "large blocks that need new stretches",
    work: (blocks) => {
      for (let i = 0; i < 30; i++) blocks.push(malloc(3 * megabyte));
    },
  },
  {
    name: "huge blocks with mappings of their own",
    work: (blocks) => {
      for (let i = 0; i < 5; i++) {
        blocks.push(malloc(40 * megabyte));
        blocks.push(calloc(64 * megabyte));
      }
    },
  },
  {
    name: "alignments beyond a page",
    work: (blocks) => {
      for (let i = 0; i < 5; i++) {
        blocks.push(alignedAlloc(2 ** 23, 100 * kilobyte));
        blocks.push(alignedAlloc(2 ** 24, 50 * megabyte));
      }
    },
  },
];

// A call that fails is the process's: where Node.js shares the heap, it would be Node.js that gets no memory, and ends.
describe.runIf(isOwnHeap)("every system call failing once", () => {
  test.each(works)("$name: out of memory or success, never a crash", ({ work }) => {
    const before = totalsAtRest().liveBlocks;
    for (let n = 1; n <= 40; n++) {
      const blocks: bigint[] = [];
      failSystemCall(n);
      orOutOfMemory(() => work(blocks));
      failSystemCall(0);
      expect(verify(), `call ${n}`).toEqual({ ok: true });
      for (const ptr of blocks) free(ptr);
      expectLiveBlocks(before, `call ${n}`);
    }
    free(malloc(megabyte));
  });

  test.each([
    { from: 100, to: 5 * megabyte },
    { from: 5 * megabyte, to: 20 * megabyte },
    { from: 20 * megabyte, to: 64 * megabyte },
    { from: 64 * megabyte, to: 200 * megabyte },
    { from: 200 * megabyte, to: 40 * megabyte },
    { from: 64 * megabyte, to: 1000 },
  ])("realloc from $from to $to bytes leaves the block as it was when it fails", ({ from, to }) => {
    let failures = 0;
    for (let n = 1; n <= 6; n++) {
      const ptr = malloc(from);
      fillWith(ptr, 100, n);
      failSystemCall(n);
      const resized = orOutOfMemory(() => realloc(ptr, to));
      failSystemCall(0);
      if (resized === undefined) failures++;
      expect(holds(resized ?? ptr, 100, n)).toBe(true);
      free(resized ?? ptr);
    }
    // One failing call can be made good by another way: no failure has to show, but none may do harm.
    expect(failures).toBeLessThanOrEqual(6);
  });

  test("views of huge blocks, snapshots and frees do no harm either", () => {
    for (let n = 1; n <= 10; n++) {
      const ptr = malloc(64 * megabyte);
      failSystemCall(n);
      const bytes = view(ptr, 64 * megabyte);
      bytes[0] = 1;
      orOutOfMemory(() => snapshot());
      free(ptr);
      failSystemCall(0);
    }
  });
});

test.runIf(isOwnHeap)("the first system call of a huge block failing does not keep the next try from working", () => {
  failSystemCall(1);
  const huge = expect.objectContaining({ code: "ERR_OUT_OF_MEMORY", size: 64 * megabyte });
  // The hardened profile has a second way to such a block.
  if (isFastProfile) expect(() => malloc(64 * megabyte)).toThrow(huge);
  else free(malloc(64 * megabyte));
  const ptr = malloc(64 * megabyte);
  expect(copyOut(ptr, 1)).toHaveLength(1);
  free(ptr);
});

test.runIf(isOwnHeap)("a snapshot without memory for itself is out of memory", () => {
  failSystemCall(1);
  expect(() => snapshot()).toThrow(expect.objectContaining({ code: "ERR_OUT_OF_MEMORY" }));
  expect(snapshot().totals).toEqual(memoryStats());
});

test("under a limit on address space malloc is out of memory, and the program goes on", () => {
  const program = `
    import { free, malloc, verify, view } from "pagerun";
    const blocks = [];
    let code;
    try { for (;;) blocks.push(malloc(2 ** 26)); } catch (error) { code = error.code; }
    view(blocks[0], 100).fill(1);
    const count = blocks.length;
    for (const ptr of blocks) free(ptr);
    free(malloc(2 ** 26));
    console.log(code, count > 1 && count < 40, JSON.stringify(verify()));`;
  const limited = `ulimit -v 2000000; exec "$@"`;
  const args = ["-c", limited, "sh", process.execPath, "--input-type=module", "-e", program];
  const { stdout, stderr } = spawnSync("sh", args, { cwd: root, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toBe('ERR_OUT_OF_MEMORY true {"ok":true}\n');
});

test("system calls are counted, and a small pair of malloc and free makes none", () => {
  free(malloc(100));
  const before = systemCalls();
  for (let i = 0; i < 100_000; i++) free(malloc(100));
  // None of them is for these pairs; Node.js may need some meanwhile.
  expect(systemCalls() - before).toBeLessThanOrEqual(strayBlocks);
  free(malloc(64 * megabyte));
  expect(systemCalls()).toBeGreaterThan(before);
});
