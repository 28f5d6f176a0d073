// What the calls refuse: each error code with its values and its words, and inputs that only an attacker would think of.
import * as pagerun from "pagerun";
import {
  alignedAlloc,
  calloc,
  copyIn,
  copyOut,
  free,
  malloc,
  PagerunError,
  realloc,
  residentPages,
  shared,
  usableSize,
  view,
} from "pagerun";
import { describe, expect, test } from "vitest";
import { filesBelow, read } from "../structure/tree.js";
import {
  codeOf,
  expectLiveBlocks,
  isOwnHeap,
  kinds,
  thrownBy,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";
import {
  foreignPointers,
  impossibleSizes,
  notNumeric,
  wrongNumbers,
  wrongPointers,
  wrongSizes,
} from "../support/hostile.js";
import { rangesBesidesTheHeap } from "../support/maps.js";

verifyAfterEach();

/** A block of its own for each call that must not touch it. */
const block = malloc(64);

/** Every parameter that takes a size, as a call with that parameter left open. */
const sizeCalls: { call: string; argument: string; with: (size: never) => unknown }[] = [
  { call: "malloc(size)", argument: "size", with: (size) => malloc(size) },
  { call: "calloc(count)", argument: "count", with: (count) => calloc(count) },
  { call: "calloc(1, size)", argument: "size", with: (size) => calloc(1, size) },
  { call: "realloc(ptr, size)", argument: "size", with: (size) => realloc(block, size) },
  { call: "realloc(0n, size)", argument: "size", with: (size) => realloc(0n, size) },
  { call: "alignedAlloc(16, size)", argument: "size", with: (size) => alignedAlloc(16, size) },
  { call: "alignedAlloc(alignment, 16)", argument: "alignment", with: (alignment) => alignedAlloc(alignment, 16) },
  { call: "view(ptr, length)", argument: "length", with: (length) => view(block, length) },
  { call: "copyOut(ptr, length)", argument: "length", with: (length) => copyOut(block, length) },
  { call: "shared(ptr, length)", argument: "length", with: (length) => shared(block, length) },
  { call: "residentPages(ptr, length)", argument: "length", with: (length) => residentPages(block, length) },
];

/** Every call that takes a pointer. */
const pointerCalls: { call: string; with: (ptr: never) => unknown }[] = [
  { call: "free(ptr)", with: (ptr) => free(ptr) },
  { call: "realloc(ptr, 100)", with: (ptr) => realloc(ptr, 100) },
  { call: "realloc(ptr, 0)", with: (ptr) => realloc(ptr, 0) },
  { call: "usableSize(ptr)", with: (ptr) => usableSize(ptr) },
  { call: "view(ptr, 8)", with: (ptr) => view(ptr, 8) },
  { call: "view(ptr, 0)", with: (ptr) => view(ptr, 0) },
  { call: "copyIn(ptr, bytes)", with: (ptr) => copyIn(ptr, new Uint8Array(8)) },
  { call: "copyOut(ptr, 8)", with: (ptr) => copyOut(ptr, 8) },
  { call: "shared(ptr, 8)", with: (ptr) => shared(ptr, 8) },
  { call: "residentPages(ptr, 8)", with: (ptr) => residentPages(ptr, 8) },
];

/** Of these, the ones that only the first byte of a block will do for. */
const wholeBlockCalls = pointerCalls.slice(0, 4);
const accessCalls = pointerCalls.slice(4);

describe.each(sizeCalls)("$call", ({ call: name, argument, with: call }) => {
  test.each(notNumeric)("refuses $name", ({ value }) => {
    // The second parameter of calloc has a default.
    if (value === undefined && name === "calloc(1, size)") return free(call(value as never) as bigint);
    const error = thrownBy(() => call(value as never));
    expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT", argument });
    expect(error.code === "ERR_INVALID_ARGUMENT" && error.received).toBe(value);
  });

  test.each(wrongNumbers)("refuses the number %s", (number) => {
    expect(thrownBy(() => call(number as never))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      argument,
      received: number,
    });
  });

  test("refuses bigints that are no size", () => {
    for (const size of wrongSizes) expect(codeOf(() => call(size as never))).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("a size that no machine has", () => {
  test.each(impossibleSizes)("%s bytes are out of memory, and every block is as it was", (size) => {
    const before = totalsAtRest().liveBlocks;
    for (const call of [
      malloc,
      calloc,
      (n: number | bigint) => realloc(block, n),
      (n: number | bigint) => alignedAlloc(64, n),
    ]) {
      expect(thrownBy(() => call(size))).toMatchObject({ code: "ERR_OUT_OF_MEMORY", size: expect.anything() });
    }
    expectLiveBlocks(before);
    expect(usableSize(block)).toBeGreaterThanOrEqual(64);
  });

  test("a product of count and size that overflows is out of memory, with the whole size in the error", () => {
    expect(thrownBy(() => calloc(2 ** 33, 2 ** 33))).toMatchObject({ code: "ERR_OUT_OF_MEMORY", size: 2n ** 66n });
    expect(codeOf(() => calloc(2n ** 63n, 2))).toBe("ERR_OUT_OF_MEMORY");
    expect(codeOf(() => calloc(2n ** 32n + 1n, 2n ** 32n))).toBe("ERR_OUT_OF_MEMORY");
  });

  test.each(impossibleSizes)("a view and a copy of %s bytes are out of bounds", (size) => {
    expect(codeOf(() => view(block, size))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => copyOut(block, size))).toBe("ERR_OUT_OF_BOUNDS");
  });

  test("an alignment beyond all addresses is out of memory", () => {
    expect(codeOf(() => alignedAlloc(2 ** 52, 16))).toBe("ERR_OUT_OF_MEMORY");
    expect(codeOf(() => alignedAlloc(2n ** 63n, 16))).toBe("ERR_OUT_OF_MEMORY");
  });
});

describe("alignedAlloc", () => {
  test.each([0, 3, 12, 24, 100, 2 ** 52 + 1, 0n, 3n, 2n ** 63n + 1n, 2n ** 64n - 1n])(
    "refuses the alignment %s",
    (alignment) => {
      expect(thrownBy(() => alignedAlloc(alignment, 16))).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        argument: "alignment",
        received: alignment,
      });
    },
  );
});

describe.each(pointerCalls)("$call", ({ with: call }) => {
  test.each(notNumeric)("refuses $name", ({ value }) => {
    const error = thrownBy(() => call(value as never));
    expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT", argument: "ptr" });
    expect(error.code === "ERR_INVALID_ARGUMENT" && error.received).toBe(value);
  });

  test.each([...wrongNumbers, 0, 16])("refuses the number %s: pointers are bigint", (number) => {
    expect(codeOf(() => call(number as never))).toBe("ERR_INVALID_ARGUMENT");
  });

  test("refuses a live block's address as a number", () => {
    expect(codeOf(() => call(Number(block) as never))).toBe("ERR_INVALID_ARGUMENT");
  });

  test("refuses bigints that are no address, and addresses of nobody", () => {
    for (const ptr of [...wrongPointers, ...foreignPointers]) {
      expect(thrownBy(() => call(ptr as never))).toMatchObject({ code: "ERR_FOREIGN_POINTER", ptr });
    }
  });

  test("refuses a live block's address in another 64-bit window", () => {
    for (const ptr of [block + 2n ** 64n, block - 2n ** 64n, block + 2n ** 128n, -block]) {
      expect(codeOf(() => call(ptr as never))).toBe("ERR_FOREIGN_POINTER");
    }
    expect(usableSize(block)).toBeGreaterThanOrEqual(64);
  });

  test("refuses every corner of everything that is mapped into the process", () => {
    const ours = new Set(["ERR_FOREIGN_POINTER", "ERR_DOUBLE_FREE", "ERR_INTERIOR_POINTER", "ERR_OUT_OF_BOUNDS"]);
    for (const { start, end } of rangesBesidesTheHeap()) {
      for (const ptr of [start - 1n, start, start + 8n, (start + end) / 2n, end - 16n, end - 1n]) {
        if (ptr >= block && ptr < block + 64n) continue;
        expect(ours).toContain(codeOf(() => call(ptr as never)));
      }
    }
  });
});

describe.each(wholeBlockCalls)("$call", ({ call: name, with: call }) => {
  test.runIf(isOwnHeap).each(kinds)("tells a freed block from others: $kind", ({ size }) => {
    const ptr = malloc(size);
    free(ptr);
    expect(thrownBy(() => call(ptr as never))).toMatchObject({ code: "ERR_DOUBLE_FREE", ptr });
  });

  test.each(kinds)("refuses a pointer into a block: $kind", ({ size }) => {
    const ptr = malloc(size);
    for (const offset of [1n, 2n, 3n, BigInt(size - 1), BigInt(usableSize(ptr) - 1)]) {
      expect(thrownBy(() => call((ptr + offset) as never))).toMatchObject({
        code: "ERR_INTERIOR_POINTER",
        ptr: ptr + offset,
        block: ptr,
      });
    }
    free(ptr);
  });

  test("says in the error which function it was", () => {
    const error = thrownBy(() => call((block + 1n) as never));
    expect(error).toMatchObject({ call: /^\w+/.exec(name)?.[0] });
  });
});

describe.each(accessCalls)("$call", ({ with: call }) => {
  test.runIf(isOwnHeap).each(kinds)("refuses a freed block: $kind", ({ size }) => {
    const ptr = malloc(size);
    free(ptr);
    expect(thrownBy(() => call(ptr as never))).toMatchObject({ code: "ERR_OUT_OF_BOUNDS", ptr, available: undefined });
    // The largest blocks give their addresses back: behind the first byte nobody knows that they were ours.
    expect(["ERR_OUT_OF_BOUNDS", "ERR_FOREIGN_POINTER"]).toContain(codeOf(() => call((ptr + 1n) as never)));
  });
});

describe("bounds", () => {
  test.each(kinds)("a view or copy ends where its block ends: $kind", ({ size }) => {
    const ptr = malloc(size);
    const usable = usableSize(ptr);
    expect(view(ptr, usable)).toHaveLength(usable);
    expect(view(ptr + BigInt(usable - 1), 1)).toHaveLength(1);
    expect(thrownBy(() => view(ptr, usable + 1))).toMatchObject({
      code: "ERR_OUT_OF_BOUNDS",
      ptr,
      length: usable + 1,
      available: usable,
    });
    expect(codeOf(() => view(ptr + 1n, usable))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => copyOut(ptr + 1n, usable))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => copyIn(ptr + BigInt(usable - 1), new Uint8Array(2)))).toBe("ERR_OUT_OF_BOUNDS");
    free(ptr);
  });

  test("a copy that does not fit has copied nothing", () => {
    const ptr = calloc(16);
    const bytes = new Uint8Array(usableSize(ptr) + 1).fill(1);
    expect(thrownBy(() => copyIn(ptr, bytes))).toMatchObject({ code: "ERR_OUT_OF_BOUNDS", length: bytes.length });
    expect(copyOut(ptr, 16).every((byte) => byte === 0)).toBe(true);
    free(ptr);
  });

  test("the bytes right before and behind a block are not in it", () => {
    const blocks = [malloc(64), malloc(64), malloc(64)];
    for (const ptr of blocks) expect(codeOf(() => view(ptr - 1n, 2))).toBe("ERR_OUT_OF_BOUNDS");
    for (const ptr of blocks) free(ptr);
  });
});

describe("copyIn", () => {
  test.each(notNumeric.filter(({ name }) => !name.startsWith("a typed") && !name.startsWith("an ArrayBuffer")))(
    "refuses $name as bytes",
    ({ value }) => {
      expect(thrownBy(() => copyIn(block, value as never))).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        argument: "bytes",
      });
    },
  );

  test("is not misled by an object that looks like bytes", () => {
    const fake = Object.create(Uint8Array.prototype, { length: { value: 8 }, byteLength: { value: 8 } });
    expect(codeOf(() => copyIn(block, fake))).toBe("ERR_INVALID_ARGUMENT");
    const lying = Object.defineProperties(new Uint8Array(8).fill(5), {
      length: { value: 2 ** 30 },
      byteLength: { value: 2 ** 30 },
    });
    copyIn(block, lying);
    expect([...copyOut(block, 8)]).toEqual(Array(8).fill(5));
  });
});

describe("an error", () => {
  test("is an Error and a PagerunError, with its name, code, values and words", () => {
    const error = thrownBy(() => malloc(-1));
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(PagerunError);
    expect(error.name).toBe("PagerunError");
    expect(error.message).toMatch(/^Expected a non-negative safe integer .* for size but received -1$/);
    expect(error.stack).toContain("misuse.test.ts");
    expect({ ...error }).toMatchObject({ code: "ERR_INVALID_ARGUMENT", argument: "size", received: -1 });
  });

  test("says what it expected and what it received, for every code", () => {
    const freed = malloc(16);
    free(freed);
    const calls: Record<string, () => unknown> = {
      ERR_INVALID_ARGUMENT: () => malloc("16" as never),
      ERR_OUT_OF_MEMORY: () => malloc(2 ** 50),
      ...(isOwnHeap && { ERR_DOUBLE_FREE: () => free(freed) }),
      ERR_INTERIOR_POINTER: () => free(block + 8n),
      ERR_FOREIGN_POINTER: () => free(8n),
      ERR_OUT_OF_BOUNDS: () => view(block, 10_000),
    };
    for (const [code, call] of Object.entries(calls)) {
      const error = thrownBy(call);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/^Expected .* (for|in) .* but /);
      expect(error.message.length).toBeLessThan(200);
    }
  });

  test("writes pointers in hexadecimal, and no digits of a bigint that has thousands", () => {
    expect(thrownBy(() => free(0xdead0n)).message).toContain("0xdead0");
    expect(thrownBy(() => free(1n << 1_000_000n)).message).toContain("a huge bigint");
    expect(thrownBy(() => malloc("x".repeat(100_000) as never)).message.length).toBeLessThan(200);
  });
});

test("every public function is in one of these tables, or tried in a file of its own with values like these", () => {
  const tried = [...sizeCalls, ...pointerCalls].map(({ call }) => /^\w+/.exec(call)?.[0]);
  const others = filesBelow("test/bindings", /\.test\.ts$/)
    .filter((file) => !file.endsWith("/misuse.test.ts"))
    .map(read)
    .filter((text) => text.includes('"../support/hostile.js"'));
  const isTried = (name: string) =>
    tried.includes(name) || others.some((text) => new RegExp(`\\b${name}\\b`).test(text));
  const functions = Object.entries(pagerun).filter(
    ([, value]) => typeof value === "function" && value !== PagerunError,
  );
  const withoutArguments = ["memoryStats", "snapshot", "verify"];
  // Classes, whose files pass them such values under other names, and accessors, which are told by their types.
  const isNamedOtherwise = (name: string) => /^([A-Z]|setLeak|[gs]et(Int|Uint|Float)\d+$)/.test(name);
  const untried = functions
    .map(([name]) => name)
    .filter((name) => !(withoutArguments.includes(name) || isNamedOtherwise(name) || isTried(name)));
  expect(untried).toEqual([]);
});

test("calls with too few or too many arguments are refused or do what they say", () => {
  for (const call of [malloc, realloc, alignedAlloc, free, usableSize, view, copyIn, copyOut, calloc] as ((
    ...a: unknown[]
  ) => unknown)[]) {
    expect(codeOf(() => call())).toBe("ERR_INVALID_ARGUMENT");
  }
  const ptr = (malloc as (...a: unknown[]) => bigint)(16, "ignored", {});
  (free as (...a: unknown[]) => void)(ptr, ptr, ptr);
});
