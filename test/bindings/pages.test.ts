// OS pages that a program maps for itself: bounds, protection, what ends views, and everything that is refused.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import {
  advisePages,
  compare,
  copy,
  copyIn,
  copyOut,
  exportString,
  fill,
  free,
  malloc,
  mapPages,
  memoryStats,
  type PageProtection,
  protectPages,
  realloc,
  residentPages,
  snapshot,
  toString as textAt,
  unmapPages,
  usableSize,
  view,
} from "pagerun";
import { afterEach, describe, expect, test } from "vitest";
import { failSystemCall } from "../../lib/internal/testing.js";
import { root } from "../structure/tree.js";
import { codeOf, isOwnHeap, megabyte, thrownBy, verifyAfterEach } from "../support/heap.js";
import { foreignPointers, notNumeric, wrongNumbers, wrongPointers } from "../support/hostile.js";

verifyAfterEach();

const osPage = 4096;
const osPageN = 4096n;

/** The ranges of this file's tests that are still mapped: none may be left. */
afterEach(() => {
  failSystemCall(0);
  expect(snapshot().ranges).toEqual([]);
  expect(memoryStats()).toMatchObject({ ranges: 0, rangeBytes: 0 });
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Lets finalizers run. */
async function collect(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    collectGarbage();
    await new Promise((done) => setTimeout(done, 2));
  }
}

/** Sanitizers make mlock do nothing. */
const canLock = process.env.PAGERUN_TEST_SANITIZER === undefined;

/** What the kernel says may be done at an address: "rw-p" and the like; undefined where nothing is mapped. */
function kernelSays(address: bigint): string | undefined {
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [, start, end, allowed] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
    if (start !== undefined && address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`)) return allowed;
  }
  return undefined;
}

/** True where a program can move the memory of an ArrayBuffer into another one (Node.js 22). */
const canTransfer = "transfer" in ArrayBuffer.prototype;

/** Moves the memory of a view's ArrayBuffer, filled with 5, away. */
function transferred(base: bigint): ArrayBuffer {
  const { buffer } = view(base, osPage).fill(5);
  return (buffer as unknown as { transfer(): ArrayBuffer }).transfer();
}

describe("mapPages", () => {
  test("gives zero bytes at a multiple of the OS page, as many as whole OS pages have", () => {
    for (const length of [1, 4095, 4096, 4097, 100_000n, 3 * megabyte]) {
      const base = mapPages(length);
      const bytes = Math.ceil(Number(length) / osPage) * osPage;
      expect(base % osPageN).toBe(0n);
      expect(view(base, bytes).every((byte) => byte === 0)).toBe(true);
      view(base, bytes).fill(0xab);
      expect(copyOut(base + BigInt(bytes - 1), 1)[0]).toBe(0xab);
      expect(codeOf(() => view(base, bytes + 1))).toBe("ERR_OUT_OF_BOUNDS");
      unmapPages(base);
    }
    const unseen = mapPages(osPage, { guard: true });
    expect(kernelSays(unseen)).toBe("rw-p");
    unmapPages(unseen);
    expect(kernelSays(unseen)).not.toBe("rw-p");
  });

  test("lets a program lay what it likes anywhere inside, and nothing that goes beyond the end", () => {
    const base = mapPages(osPage);
    view(base + 700n, 64).fill(7);
    expect(copyOut(base + 699n, 3)).toEqual(Uint8Array.of(0, 7, 7));
    expect(view(base + osPageN - 64n, 64)).toHaveLength(64);
    for (const call of [
      () => view(base + osPageN - 63n, 64),
      () => copyOut(base + osPageN - 63n, 64),
      () => copyIn(base + osPageN - 63n, new Uint8Array(64)),
    ]) {
      expect(thrownBy(call)).toMatchObject({ code: "ERR_OUT_OF_BOUNDS", length: 64, available: 63 });
    }
    unmapPages(base);
  });

  test("puts guards on both sides, which nothing may touch", () => {
    const base = mapPages(2 * osPage, { guard: true });
    expect([kernelSays(base - 1n), kernelSays(base), kernelSays(base + 2n * osPageN)]).toEqual([
      "---p",
      "rw-p",
      "---p",
    ]);
    for (const ptr of [base - 1n, base - osPageN, base + 2n * osPageN]) {
      expect(["ERR_FOREIGN_POINTER", "ERR_OUT_OF_BOUNDS"]).toContain(codeOf(() => copyOut(ptr, 1)));
      expect(["ERR_FOREIGN_POINTER", "ERR_OUT_OF_BOUNDS"]).toContain(codeOf(() => view(ptr, 1)));
    }
    expect(snapshot().ranges[0]).toMatchObject({ address: base, bytes: 2 * osPage, guardBytes: osPage });
    unmapPages(base);
    expect(kernelSays(base - 1n)).not.toBe("rw-p");
  });

  test("starts at a multiple of the huge OS page where these are wished for", () => {
    const base = mapPages(3 * megabyte, { huge: true });
    expect(base % BigInt(2 * megabyte)).toBe(0n);
    view(base, 3 * megabyte).fill(1);
    expect(snapshot().ranges[0]).toMatchObject({ huge: true, locked: false });
    unmapPages(base);
  });

  test.runIf(canLock)("brings locked OS pages in at once and keeps them", () => {
    const base = mapPages(4 * osPage, { locked: true });
    expect([...residentPages(base, 4 * osPage)]).toEqual([1, 1, 1, 1]);
    expect(thrownBy(() => advisePages(base, osPage, "dontNeed"))).toMatchObject({
      code: "ERR_SYSTEM_REFUSED",
      reason: "EINVAL",
    });
    expect(snapshot().ranges[0]).toMatchObject({ locked: true });
    unmapPages(base);
  });

  test.runIf(canLock)("says clearly that the process may not lock so much, and maps nothing", () => {
    const program = `
      import { mapPages, memoryStats } from "pagerun";
      if (process.getuid() === 0) process.setuid(65534); // root may lock without a limit
      try { mapPages(1_000_000, { locked: true }) } catch ({ code, limit, size, message }) {
        console.log(JSON.stringify({ code, limit, size, message, ranges: memoryStats().ranges }));
      }`;
    const node = [process.execPath, "--input-type=module", "-e", program];
    const { stdout, stderr } = spawnSync("sh", ["-c", 'ulimit -l 64; exec "$@"', "sh", ...node], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ code: "ERR_LOCK_LIMIT", limit: 65536, size: 1_000_000, ranges: 0 });
    expect(JSON.parse(stdout).message).toContain("ulimit -l");
  });

  test.runIf(canLock)("locks no more than the system has to spare: that would end some process", () => {
    // Without the right to lock so much, so that nothing is locked where it is not refused before.
    const program = `
      import { mapPages, SecureArena } from "pagerun";
      if (process.getuid() === 0) process.setuid(65534);
      const codeOf = (call) => { try { call() } catch ({ code }) { return code } };
      const calls = [() => mapPages(2 ** 40, { locked: true }), () => new SecureArena({ limit: 2 ** 40 })];
      console.log(calls.map(codeOf).join());`;
    const node = [process.execPath, "--input-type=module", "-e", program];
    const { stdout } = spawnSync("sh", ["-c", 'ulimit -l 64; exec "$@"', "sh", ...node], {
      cwd: root,
      encoding: "utf8",
    });
    expect(stdout).toBe("ERR_OUT_OF_MEMORY,ERR_OUT_OF_MEMORY\n");
  });

  test("takes no argument of the wrong type or range, and calls no code of one but getters of options", () => {
    for (const { value } of notNumeric) expect(codeOf(() => mapPages(value as number))).toBe("ERR_INVALID_ARGUMENT");
    for (const value of [...wrongNumbers, 0, 0n, -1n, 2n ** 64n])
      expect(
        codeOf(() => mapPages(value)),
        String(value),
      ).toMatch(/ERR_INVALID_ARGUMENT|ERR_OUT_OF_MEMORY/);
    for (const options of [null, 5, "read", Symbol("a")])
      expect(codeOf(() => mapPages(1, options as never))).toBe("ERR_INVALID_ARGUMENT");
    for (const protection of ["", "write", "rw", 1, 1n, null, ["read"], { toString: () => "read" }])
      expect(codeOf(() => mapPages(1, { protection: protection as never }))).toBe("ERR_INVALID_ARGUMENT");
    for (const option of ["huge", "locked", "guard"])
      for (const value of [1, "true", null, {}, 0n])
        expect(codeOf(() => mapPages(1, { [option]: value }))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => mapPages(1, { locked: true, protection: "none" }))).toBe("ERR_INVALID_ARGUMENT");
  });

  test("reads each option once, whatever its getter does", () => {
    let reads = 0;
    const ptrs: bigint[] = [];
    const options = {
      get protection(): PageProtection {
        reads++;
        ptrs.push(mapPages(osPage));
        return reads === 1 ? "read" : ("rubbish" as PageProtection);
      },
    };
    ptrs.push(mapPages(10 * osPage, options));
    expect(codeOf(() => copyIn(ptrs[1]!, new Uint8Array(1)))).toBe("ERR_PROTECTED_PAGES");
    for (const ptr of ptrs) unmapPages(ptr);
  });

  test("of more than any machine has is out of memory", () => {
    for (const length of [2 ** 47, 2 ** 53 - 1, 2n ** 63n, 2n ** 64n - 1n])
      expect(codeOf(() => mapPages(length, { huge: true, guard: true }))).toBe("ERR_OUT_OF_MEMORY");
  });
});

describe("unmapPages", () => {
  test("ends this thread's views: their length is 0", () => {
    const base = mapPages(10 * osPage);
    protectPages(base + 4n * osPageN, osPage, "read");
    const views = [view(base, 10), view(base + 10n, 0), view(base + 5n * osPageN, osPage), view(base, 4 * osPage)];
    const words = new Uint32Array(views[0]!.buffer, views[0]!.byteOffset, 2);
    unmapPages(base);
    expect([...views, words].map(({ length }) => length)).toEqual([0, 0, 0, 0, 0]);
    expect(codeOf(() => view(base, 1))).toMatch(/ERR_FOREIGN_POINTER|ERR_OUT_OF_BOUNDS/);
  });

  test("takes a mapping whole: nothing else is unmapped, and each refusal has its code", () => {
    const base = mapPages(3 * osPage);
    const block = malloc(100_000);
    expect(thrownBy(() => unmapPages(base + osPageN))).toMatchObject({ code: "ERR_INTERIOR_POINTER", block: base });
    expect(codeOf(() => unmapPages(base + 1n))).toBe("ERR_INTERIOR_POINTER");
    expect(codeOf(() => unmapPages(base, 2 * osPage))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => unmapPages(base, 3 * osPage + 1))).toBe("ERR_INVALID_ARGUMENT");
    for (const ptr of [0n, block, ...foreignPointers, ...wrongPointers])
      expect(codeOf(() => unmapPages(ptr))).toBe("ERR_FOREIGN_POINTER");
    for (const { value } of notNumeric) expect(codeOf(() => unmapPages(value as bigint))).toBe("ERR_INVALID_ARGUMENT");
    expect(view(base, 3 * osPage)).toHaveLength(3 * osPage);
    unmapPages(base, 2 * osPage + 1);
    expect(codeOf(() => unmapPages(base))).toBe("ERR_DOUBLE_FREE");
    free(block);
  });

  test.runIf(canTransfer)(
    "leaves the address to what was transferred away, which shows zeros and nothing else's memory",
    () => {
      const base = mapPages(osPage);
      const buffer = transferred(base);
      const again = view(base, osPage);
      unmapPages(base);
      expect(again).toHaveLength(0);
      const others = Array.from({ length: 20 }, () => mapPages(osPage));
      for (const other of others) view(other, osPage).fill(9);
      expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
      expect(others).not.toContain(base);
      for (const other of others) unmapPages(other);
    },
  );
});

describe("protection", () => {
  test("is the kernel's and ours: every forbidden access is an error and no signal", () => {
    const base = mapPages(osPage, { protection: "read" });
    expect(copyOut(base, 4)).toEqual(new Uint8Array(4));
    expect(codeOf(() => copyIn(base, Uint8Array.of(1)))).toBe("ERR_PROTECTED_PAGES");
    expect(codeOf(() => view(base, 1))).toBe("ERR_PROTECTED_PAGES");
    expect(codeOf(() => view(base, 0))).toBe("ERR_PROTECTED_PAGES");
    protectPages(base, osPage, "none");
    expect(kernelSays(base)).toBe("---p");
    expect(thrownBy(() => copyOut(base + 5n, 4))).toMatchObject({
      code: "ERR_PROTECTED_PAGES",
      ptr: base + 5n,
      length: 4,
    });
    expect(codeOf(() => view(base, osPage + 1))).toBe("ERR_OUT_OF_BOUNDS");
    protectPages(base, osPage, "readWrite");
    view(base, osPage).fill(3);
    expect(copyOut(base, 1)[0]).toBe(3);
    unmapPages(base);
  });

  test("is what moves, comparisons and strings say when they are refused, and of which place", () => {
    const [closed, readOnly, open] = [mapPages(osPage), mapPages(osPage), mapPages(osPage)];
    exportString("text", readOnly, 8);
    protectPages(closed, osPage, "none");
    protectPages(readOnly, osPage, "read");
    const refusals: [() => unknown, string, bigint][] = [
      [() => fill(closed, 1, 8), "fill", closed],
      [() => fill(readOnly, 1, 8), "fill", readOnly],
      [() => copy(readOnly, open, 8), "copy", readOnly],
      [() => copy(open, closed, 8), "copy", closed],
      [() => compare(open, closed, 8), "compare", closed],
      [() => compare(closed, open, 8), "compare", closed],
      [() => textAt(closed), "toString", closed],
    ];
    for (const [call, name, ptr] of refusals) {
      expect(thrownBy(call)).toMatchObject({ code: "ERR_PROTECTED_PAGES", call: name, ptr });
    }
    expect(textAt(readOnly)).toBe("text");
    copy(open, readOnly, 8);
    expect(compare(open, readOnly, 8)).toBe(0);
    for (const base of [closed, readOnly, open]) unmapPages(base);
  });

  test("lets a string be read as far as its OS pages may be", () => {
    const base = mapPages(4 * osPage);
    const at = base + osPageN - 3n;
    exportString("a longer text", at, 100);
    fill(base + osPageN + 100n, 1, 2 * osPage);
    protectPages(base + 3n * osPageN, osPage, "none");
    for (const allowed of ["readWrite", "read"] as const) {
      protectPages(base, 3 * osPage, allowed);
      expect(textAt(at)).toBe("a longer text");
      expect(codeOf(() => textAt(base + osPageN + 100n))).toBe("ERR_PROTECTED_PAGES");
    }
    protectPages(base, 4 * osPage, "readWrite");
    expect(textAt(base + osPageN + 100n)).toBe("\u0001".repeat(2 * osPage));
    fill(base, 1, 4 * osPage);
    expect(codeOf(() => textAt(base))).toBe("ERR_OUT_OF_BOUNDS");
    unmapPages(base);
  });

  test("may differ from OS page to OS page", () => {
    const base = mapPages(5 * osPage);
    view(base, 5 * osPage).fill(1);
    protectPages(base + osPageN, osPage, "read");
    protectPages(base + 3n * osPageN, osPage, "none");
    expect(snapshot().ranges[0]?.parts.map(({ protection, bytes }) => `${protection} ${bytes / osPage}`)).toEqual([
      "readWrite 1",
      "read 1",
      "readWrite 1",
      "none 1",
      "readWrite 1",
    ]);
    expect(copyOut(base, 3 * osPage).every((byte) => byte === 1)).toBe(true);
    expect(codeOf(() => copyOut(base, 3 * osPage + 1))).toBe("ERR_PROTECTED_PAGES");
    expect(codeOf(() => copyIn(base, new Uint8Array(osPage + 1)))).toBe("ERR_PROTECTED_PAGES");
    expect(codeOf(() => view(base + 10n, osPage))).toBe("ERR_PROTECTED_PAGES");
    expect(view(base + 2n * osPageN, osPage)).toHaveLength(osPage);
    expect(view(base + 4n * osPageN, osPage)).toHaveLength(osPage);
    protectPages(base, 5 * osPage, "readWrite");
    expect(snapshot().ranges[0]?.parts).toHaveLength(1);
    expect(view(base, 5 * osPage).every((byte) => byte === 1)).toBe(true);
    unmapPages(base);
  });

  test("that takes writing away ends this thread's views first, and keeps the content", () => {
    const base = mapPages(2 * osPage);
    const bytes = view(base, 2 * osPage).fill(5);
    protectPages(base, osPage, "readWrite");
    expect(bytes).toHaveLength(2 * osPage);
    protectPages(base, osPage, "read");
    expect(bytes).toHaveLength(0);
    expect(view(base + osPageN, osPage)[0]).toBe(5);
    expect(copyOut(base, 1)[0]).toBe(5);
    unmapPages(base);
  });

  test.runIf(canTransfer)(
    "is refused while a transferred ArrayBuffer reaches the OS pages, and this thread's views stay",
    () => {
      const base = mapPages(osPage);
      const buffer = transferred(base);
      const bytes = view(base, osPage);
      expect(codeOf(() => protectPages(base, osPage, "read"))).toBe("ERR_PAGES_IN_USE");
      expect(bytes).toHaveLength(osPage);
      new Uint8Array(buffer).fill(9);
      unmapPages(base);
    },
  );

  test("changes whole OS pages of one mapping only", () => {
    const base = mapPages(2 * osPage);
    for (const call of [
      (ptr: bigint, length: number | bigint) => protectPages(ptr, length, "read"),
      (ptr: bigint, length: number | bigint) => advisePages(ptr, length, "normal"),
    ]) {
      expect(codeOf(() => call(base + 1n, 10))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => call(base, 0))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => call(base, -1))).toBe("ERR_INVALID_ARGUMENT");
      expect(thrownBy(() => call(base + osPageN, osPage + 1))).toMatchObject({
        code: "ERR_OUT_OF_BOUNDS",
        available: osPage,
      });
      for (const ptr of [...wrongPointers, ...foreignPointers])
        expect(codeOf(() => call(ptr, 1))).toBe("ERR_FOREIGN_POINTER");
      for (const { value } of notNumeric) expect(codeOf(() => call(value as bigint, 1))).toBe("ERR_INVALID_ARGUMENT");
      call(base, 1);
    }
    expect(codeOf(() => protectPages(base, 1, "exec" as never))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => advisePages(base, 1, "mergeable" as never))).toBe("ERR_INVALID_ARGUMENT");
    expect(copyOut(base, 1)).toHaveLength(1);
    unmapPages(base);
  });
});

describe("advisePages and residentPages", () => {
  test("agree on what is in memory", () => {
    const base = mapPages(8 * osPage);
    expect(residentPages(base, 8 * osPage).some((page) => page === 1)).toBe(false);
    for (const i of [0n, 3n, 4n, 7n]) copyIn(base + i * osPageN + 17n, Uint8Array.of(1));
    expect([...residentPages(base, 8 * osPage)]).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
    advisePages(base + 2n * osPageN, 2 * osPage, "dontNeed");
    expect([...residentPages(base, 8 * osPage)]).toEqual([1, 0, 0, 0, 1, 0, 0, 1]);
    expect(copyOut(base + 3n * osPageN + 17n, 1)[0]).toBe(0);
    for (const advice of ["normal", "random", "sequential", "willNeed", "free", "noHuge"] as const)
      advisePages(base, 8 * osPage, advice);
    unmapPages(base);
  });

  test("tell of every OS page that has one of the bytes", () => {
    const base = mapPages(4 * osPage);
    expect(residentPages(base + 4095n, 2)).toHaveLength(2);
    expect(residentPages(base + 4095n, 1)).toHaveLength(1);
    expect(residentPages(base + 100n, 0)).toHaveLength(0);
    expect(codeOf(() => residentPages(base + 1n, 4 * osPage))).toBe("ERR_OUT_OF_BOUNDS");
    for (const ptr of [...wrongPointers, ...foreignPointers])
      expect(codeOf(() => residentPages(ptr, 1))).toMatch(/ERR_FOREIGN_POINTER|ERR_OUT_OF_BOUNDS/);
    unmapPages(base);
  });

  test("may be asked of blocks as well", () => {
    const ptr = malloc(64 * megabyte);
    copyIn(ptr + BigInt(32 * megabyte), Uint8Array.of(1));
    const resident = residentPages(ptr, 64 * megabyte);
    expect(resident[(32 * megabyte) / osPage]).toBe(1);
    expect(resident.filter((page) => page === 1).length).toBeLessThan(10_000);
    free(ptr);
  });
});

test("a mapping is no block: the calls of malloc refuse it and change nothing", () => {
  const base = mapPages(osPage);
  for (const call of [() => free(base), () => realloc(base, 100), () => usableSize(base)])
    expect(codeOf(call)).toBe("ERR_FOREIGN_POINTER");
  view(base, osPage).fill(1);
  unmapPages(base);
});

describe("threads", () => {
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { protectPages, unmapPages, view } = require(${JSON.stringify(`${root}/dist/cjs/index.js`)});
    const bytes = view(workerData, 4096).fill(1);
    parentPort.postMessage("ready");
    parentPort.on("message", () => {
      bytes[3] = 7;
      parentPort.postMessage([bytes.length, bytes[3], bytes[4]]);
    });`;
  const message = <Message>(worker: Worker) =>
    new Promise<Message>((resolve, reject) => worker.once("message", resolve).once("error", reject));

  const length = 64 * megabyte;
  const isMapped = (base: bigint) => [0n, 20n, 63n].every((mb) => kernelSays(base + mb * BigInt(megabyte)) === "rw-p");

  /** Ends a mapping that a worker has a view of, and asks the worker for what it sees then. */
  async function unmapUnder(worker: Worker, base: bigint): Promise<void> {
    const own = view(base, 1);
    expect(codeOf(() => protectPages(base, osPage, "none"))).toBe("ERR_PAGES_IN_USE");
    expect(own).toHaveLength(1);
    unmapPages(base);
    expect(own).toHaveLength(0);
    const answer = message<number[]>(worker);
    worker.postMessage("go on");
    expect(await answer).toEqual([osPage, 7, 0]);
  }

  test("that view a mapping hold its protection, and reach nothing else once it is unmapped", async () => {
    const base = mapPages(length);
    const worker = new Worker(program, { eval: true, workerData: base, execArgv: [] });
    await message(worker);
    await unmapUnder(worker, base);
    await collect();
    expect(isMapped(base)).toBe(true);
    await worker.terminate();
    await collect();
    expect(isMapped(base)).toBe(false);
  });
});

// A call that fails is the process's: where Node.js shares the heap, it would be Node.js that gets no memory.
test.runIf(isOwnHeap)(
  "every system call that fails is an error that says so, and nothing is left of the attempt",
  () => {
    for (let n = 1; n <= 8; n++) {
      failSystemCall(n);
      let base: bigint | undefined;
      try {
        base = mapPages(3 * osPage, { huge: true, locked: true, guard: true, protection: "read" });
        protectPages(base, osPage, "readWrite");
        advisePages(base, osPage, "willNeed");
        residentPages(base, osPage);
      } catch (error) {
        expect(["ERR_OUT_OF_MEMORY", "ERR_LOCK_LIMIT", "ERR_SYSTEM_REFUSED"]).toContain(
          (error as { code: string }).code,
        );
      }
      failSystemCall(0);
      if (base !== undefined) unmapPages(base);
      expect(memoryStats().ranges).toBe(0);
    }
  },
);

test("ten thousand mappings with views leave nothing behind", async () => {
  const mapped = () => readFileSync("/proc/self/maps", "utf8").split("\n").length;
  await collect();
  const before = mapped();
  let most = 0;
  for (let i = 0; i < 10_000; i++) {
    const base = mapPages(osPage * (1 + (i % 7)), { guard: true });
    view(base, 100).fill(i & 255);
    if (i % 50 === 0) protectPages(base, osPage, "none");
    unmapPages(base);
    if (i % 100 === 99) await new Promise(setImmediate);
    if (i % 1000 === 999) most = Math.max(most, mapped());
  }
  // The collector knows that they cost something, and runs by itself.
  expect(most).toBeLessThan(before + 15_000);
  await collect();
  expect(mapped()).toBeLessThan(before + 100);
});
