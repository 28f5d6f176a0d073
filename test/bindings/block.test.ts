// Blocks: what alloc gives, how their bytes are reached, and what is left of them after free, resize and transfer.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { alloc, Block, copyIn, copyOut, free, residentPages, usableSize, view } from "pagerun";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failSystemCall } from "../../lib/internal/testing.js";
import { root } from "../structure/tree.js";
import {
  codeOf,
  expectLiveBlocks,
  isFastProfile,
  isOwnHeap,
  kinds,
  megabyte,
  thrownBy,
  totalsAtRest,
  verifyAfterEach,
} from "../support/heap.js";
import { impossibleSizes, notNumeric, wrongNumbers, wrongSizes } from "../support/hostile.js";
import { transferred } from "../support/transfer.js";

verifyAfterEach();

let liveBefore = 0;
beforeEach(() => {
  liveBefore = totalsAtRest().liveBlocks;
});
afterEach(() => failSystemCall(0));

/** The accessors, each with a value that needs all of its bits. */
const types = [
  { type: "Int8", bytes: 1, value: -100 },
  { type: "Uint8", bytes: 1, value: 200 },
  { type: "Int16", bytes: 2, value: -30_000 },
  { type: "Uint16", bytes: 2, value: 60_000 },
  { type: "Int32", bytes: 4, value: -2_000_000_000 },
  { type: "Uint32", bytes: 4, value: 4_000_000_000 },
  { type: "Int64", bytes: 8, value: -(2n ** 62n) - 1n },
  { type: "Uint64", bytes: 8, value: 2n ** 64n - 2n },
  { type: "Float32", bytes: 4, value: -1.5 },
  { type: "Float64", bytes: 8, value: Math.PI },
] as const;

type Getter = (offset?: unknown) => number | bigint;
type Setter = (offset: unknown, value: unknown) => void;

/** An accessor by name, with arguments that its types would not allow. */
function getter(block: Block, type: string): Getter {
  return (block as unknown as Record<string, Getter>)[`get${type}`]!.bind(block);
}
function setter(block: Block, type: string): Setter {
  return (block as unknown as Record<string, Setter>)[`set${type}`]!.bind(block);
}

/** The same value as DataView reads it. */
function readBy(memory: DataView, type: string, offset: number): number | bigint {
  const name = `get${type.replace("Int64", "BigInt64").replace("Uint64", "BigUint64")}`;
  return (memory as unknown as Record<string, (offset: number, isLittle: boolean) => number>)[name]!(offset, true);
}

/** Takes the memory of an ArrayBuffer away for good, and lets its finalizer run. */
async function end(buffer: ArrayBufferLike): Promise<void> {
  transferred(buffer, 0);
  await turn();
}

/** Every view that can be made of a Block's bytes. */
function viewsOf(block: Block): { readonly byteLength: number }[] {
  const { bytes } = block;
  const { buffer } = bytes;
  return [
    bytes,
    buffer,
    bytes.subarray(1),
    new Uint32Array(buffer, 0, 1),
    new Float64Array(buffer, 8, 1),
    block.buffer(),
    Buffer.from(buffer, 4),
  ];
}

function expectEnded(views: readonly { readonly byteLength: number }[]): void {
  expect(views.map(({ byteLength }) => byteLength)).toEqual(views.map(() => 0));
}

/** Expects that nothing of a Block can be reached. */
function expectOver(block: Block): void {
  expect({ ptr: block.ptr, size: block.size, bytes: block.bytes.length, buffer: block.buffer().length }).toEqual({
    ptr: 0n,
    size: 0,
    bytes: 0,
    buffer: 0,
  });
  for (const { type, value } of types) {
    expect(codeOf(() => getter(block, type)(0))).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => setter(block, type)(0, value))).toBe("ERR_OUT_OF_BOUNDS");
  }
  expect(codeOf(() => block.free())).toBe("ERR_DOUBLE_FREE");
  expect(codeOf(() => block.resize(10))).toBe("ERR_DOUBLE_FREE");
  block[Symbol.dispose]();
}

describe("alloc", () => {
  test.each(kinds)("gives a block of zeros with address and size: $kind", ({ size }) => {
    // What was there before is not zero.
    const dirty = alloc(size, { zero: false });
    dirty.bytes.fill(0xaa);
    dirty.free();
    const block = alloc(size);
    expect(block).toBeInstanceOf(Block);
    expect(block.size).toBe(size);
    expect(block.ptr % 16n).toBe(0n);
    expect(usableSize(block.ptr)).toBeGreaterThanOrEqual(size);
    expect(Buffer.compare(block.bytes, new Uint8Array(size))).toBe(0);
    block.free();
    expectLiveBlocks(liveBefore);
  });

  test.each([1, 2, 4, 8, 16, 64, 4096, 65_536, 2 * megabyte])(
    "aligns to %d bytes, zeroed or not, and keeps that",
    (align) => {
      for (const size of [1, 100, 5000, 70_000, 40 * megabyte]) {
        for (const zero of [true, false]) {
          const block = alloc(size, { align: align === 64 ? 64n : align, zero });
          expect(block.ptr % BigInt(align)).toBe(0n);
          if (zero)
            expect(Buffer.compare(block.bytes.subarray(0, 70_000), new Uint8Array(Math.min(size, 70_000)))).toBe(0);
          block.setUint8(size - 1, 7);
          block.resize(size + 4000);
          expect(block.ptr % BigInt(align)).toBe(0n);
          expect(block.getUint8(size - 1)).toBe(7);
          block.free();
        }
      }
      expectLiveBlocks(liveBefore);
    },
  );

  test.each([16, 65_536, 2 * megabyte])("of many bytes aligned to %d is zero without being in memory", (align) => {
    const block = alloc(200 * megabyte, { align });
    expect(residentPages(block.ptr, block.size).filter((isResident) => isResident === 1).length).toBeLessThan(16);
    expect(block.getUint8(123 * megabyte)).toBe(0);
    block.free();
  });

  test("of 0 bytes is a block, with an address and no bytes", () => {
    const block = alloc(0);
    expect(block.ptr).not.toBe(0n);
    expect(block.bytes).toHaveLength(0);
    expect(block.buffer()).toHaveLength(0);
    expect(codeOf(() => block.getInt8())).toBe("ERR_OUT_OF_BOUNDS");
    block.resize(100);
    expect(block.bytes).toHaveLength(100);
    block.resize(0);
    expect(block.bytes).toHaveLength(0);
    block.free();
    expectOver(block);
    expectLiveBlocks(liveBefore);
  });

  test("refuses sizes that are none, as resize does", () => {
    const block = alloc(8);
    for (const size of [...notNumeric.map(({ value }) => value), ...wrongNumbers, ...wrongSizes]) {
      const error = { code: "ERR_INVALID_ARGUMENT", argument: "size" };
      expect(thrownBy(() => alloc(size as number))).toMatchObject(error);
      expect(thrownBy(() => block.resize(size as number))).toMatchObject(error);
    }
    expect(block.size).toBe(8);
    block.free();
    expectLiveBlocks(liveBefore);
  });

  test("says when there is no memory, as alloc, and leaves nothing behind", () => {
    for (const size of impossibleSizes) {
      for (const options of [undefined, { zero: false }, { align: 4096 }, { align: 4096, zero: false }]) {
        expect(thrownBy(() => alloc(size, options))).toMatchObject({ code: "ERR_OUT_OF_MEMORY", call: "alloc" });
      }
    }
    expectLiveBlocks(liveBefore);
  });

  test("refuses options of the wrong kind, and reads each of them once", () => {
    for (const options of [null, 4, "zero", () => {}]) {
      expect(thrownBy(() => alloc(8, options as object))).toMatchObject({ argument: "options" });
    }
    for (const zero of [0, 1, null, "no"])
      expect(codeOf(() => alloc(8, { zero: zero as never }))).toBe("ERR_INVALID_ARGUMENT");
    for (const align of [0, 3, -1, 2n ** 70n, "16", null, {}]) {
      expect(thrownBy(() => alloc(8, { align: align as number }))).toMatchObject({ argument: "align" });
    }
    const reads: string[] = [];
    const options = new Proxy(
      { zero: true, align: 32 },
      {
        get(target, name) {
          reads.push(String(name));
          return Reflect.get(target, name);
        },
      },
    );
    alloc(8, options).free();
    expect(reads.sort()).toEqual(["align", "zero"]);
    expectLiveBlocks(liveBefore);
  });

  test("is the only way to make a Block", () => {
    const block = alloc(8);
    const forge = block.constructor as new (...args: unknown[]) => Block;
    expect(() => new forge()).toThrow(TypeError);
    expect(() => new forge({}, {}, 16n, 100, 16)).toThrow(TypeError);
    expect(() => Block.prototype.getInt8.call({} as Block)).toThrow(TypeError);
    expect(() => Block.prototype.free.call(Object.create(Block.prototype) as Block)).toThrow(TypeError);
    block.free();
  });
});

describe("the accessors", () => {
  test.each(types)("read and write $type at every offset, as DataView on the same bytes", ({ type, bytes, value }) => {
    const block = alloc(64);
    const memory = new DataView(block.bytes.buffer);
    for (let offset = 0; offset + bytes <= 64; offset++) {
      setter(block, type)(offset, value);
      expect(getter(block, type)(offset)).toBe(value);
      expect(readBy(memory, type, offset)).toBe(value);
    }
    expect(getter(block, type)()).toBe(getter(block, type)(0));
    block.free();
  });

  test.each(kinds)("reach the first and the last byte, and not one more: $kind", ({ size }) => {
    const block = alloc(size);
    for (const { type, bytes, value } of types) {
      if (bytes > size) continue;
      setter(block, type)(size - bytes, value);
      expect(getter(block, type)(size - bytes)).toBe(value);
      for (const offset of [
        size - bytes + 1,
        size,
        size + 1,
        2 ** 31,
        2 ** 32 + size - bytes,
        Number.MAX_SAFE_INTEGER,
      ]) {
        const available = Math.max(0, size - offset);
        const error = { code: "ERR_OUT_OF_BOUNDS", length: bytes, available, ptr: block.ptr + BigInt(offset) };
        expect(thrownBy(() => getter(block, type)(offset))).toMatchObject({ ...error, call: `get${type}` });
        expect(thrownBy(() => setter(block, type)(offset, value))).toMatchObject({ ...error, call: `set${type}` });
      }
    }
    block.free();
    expectOver(block);
    expectLiveBlocks(liveBefore);
  });

  test("work beyond 4 GiB", () => {
    const gigabyte = 1024 * megabyte;
    const block = alloc(6 * gigabyte, { zero: false });
    for (const offset of [0, 2 * gigabyte - 4, 4 * gigabyte - 4, 4 * gigabyte, 5 * gigabyte + 1, 6 * gigabyte - 8]) {
      block.setFloat64(offset, offset + 0.5);
      expect(block.getFloat64(offset)).toBe(offset + 0.5);
      expect(new Float64Array(copyOut(block.ptr + BigInt(offset), 8).buffer)[0]).toBe(offset + 0.5);
    }
    expect(codeOf(() => block.getFloat64(6 * gigabyte - 7))).toBe("ERR_OUT_OF_BOUNDS");
    block.free();
    expectLiveBlocks(liveBefore);
  });

  test("refuse offsets that are none, and call no code of theirs", () => {
    const block = alloc(64);
    const offsets = [
      ...notNumeric.filter(({ value }) => value !== undefined).map(({ value }) => value),
      ...wrongNumbers,
      0n,
      -1n,
    ];
    for (const { type, value } of types) {
      for (const offset of offsets) {
        const error = { code: "ERR_INVALID_ARGUMENT", argument: "offset" };
        expect(thrownBy(() => getter(block, type)(offset))).toMatchObject(error);
        expect(thrownBy(() => setter(block, type)(offset, value))).toMatchObject(error);
      }
    }
    block.free();
  });

  test("refuse values of another type, and call no code of theirs", () => {
    const block = alloc(64);
    for (const { type, value } of types) {
      const wrong = [...notNumeric.map((other) => other.value), typeof value === "number" ? 1n : 1];
      for (const other of wrong) {
        expect(thrownBy(() => setter(block, type)(0, other))).toMatchObject({
          code: "ERR_INVALID_ARGUMENT",
          argument: "value",
        });
      }
    }
    expect(Buffer.compare(block.bytes, new Uint8Array(64))).toBe(0);
    block.free();
  });

  test("work whether bytes was asked for or not, and whatever became of its ArrayBuffer", async () => {
    const block = alloc(100);
    block.setInt16(50, 1234);
    expect(new DataView(block.bytes.buffer).getInt16(50, true)).toBe(1234);
    const moved = transferred(block.bytes.buffer);
    new DataView(moved).setInt16(50, 4321, true);
    expect(block.getInt16(50)).toBe(4321);
    block.free();
    await end(moved);
    expectLiveBlocks(liveBefore);
  });
});

describe("bytes", () => {
  test.each(kinds)("is the memory itself, over an ArrayBuffer of its own: $kind", ({ size }) => {
    const block = alloc(size);
    const { bytes } = block;
    expect(bytes).toHaveLength(size);
    expect([bytes.byteOffset, bytes.buffer.byteLength]).toEqual([0, size]);
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
    expect(block.bytes).toBe(bytes);
    bytes[size - 1] = 9;
    expect(copyOut(block.ptr + BigInt(size - 1), 1)[0]).toBe(9);
    copyIn(block.ptr, Uint8Array.of(8));
    expect(view(block.ptr, 1)[0]).toBe(8);
    expect(bytes[0]).toBe(8);
    expect(block.buffer().buffer).toBe(bytes.buffer);
    expect(Buffer.isBuffer(block.buffer())).toBe(true);
    block.free();
    expectLiveBlocks(liveBefore);
  });

  test("of a Block longer than any typed array is refused", () => {
    const { MAX_LENGTH: longest } = process.getBuiltinModule("node:buffer").constants;
    if (longest > 2 ** 40) return;
    const block = alloc(longest + 1, { zero: false });
    expect(codeOf(() => block.bytes)).toBe("ERR_INVALID_ARGUMENT");
    block.free();
  });

  test("cannot be belied by properties that a program puts on it", () => {
    const block = alloc(32);
    const { bytes } = block;
    const stolen = bytes.buffer;
    for (const name of ["buffer", "byteLength", "length"])
      Object.defineProperty(bytes, name, { get: () => expect.fail("was called") });
    Object.defineProperty(stolen, "byteLength", { get: () => expect.fail("was called") });
    block.resize(64);
    block.free();
    expect(Reflect.get(ArrayBuffer.prototype, "byteLength", stolen)).toBe(0);
    expectLiveBlocks(liveBefore);
  });
});

describe("free", () => {
  test.each(kinds.filter(({ size }) => size >= 100))("ends every view that came from the Block: $kind", ({ size }) => {
    const block = alloc(size);
    const views = viewsOf(block);
    const memory = new DataView(block.bytes.buffer);
    block.free();
    expectEnded(views);
    expect(() => memory.getInt8(0)).toThrow(TypeError);
    expectOver(block);
    expectLiveBlocks(liveBefore);
  });

  test("frees at once, so that the memory can be used again", () => {
    for (const size of [100, 5000, 200_000]) {
      const addresses = new Set<bigint>();
      for (let i = 0; i < 50; i++) {
        const block = alloc(size);
        block.bytes[0] = i;
        addresses.add(block.ptr);
        block.free();
      }
      if (isOwnHeap && isFastProfile) expect(addresses.size).toBeLessThan(5);
    }
    expectLiveBlocks(liveBefore);
  });

  test.skipIf(!isOwnHeap)("behind the Block's back is found by the Block", () => {
    const block = alloc(100);
    free(block.ptr);
    expect(codeOf(() => block.bytes)).toBe("ERR_OUT_OF_BOUNDS");
    expect(codeOf(() => block.free())).toBe("ERR_DOUBLE_FREE");
    expectOver(block);
    expectLiveBlocks(liveBefore);
  });

  test("is what using does at the end of the scope, whatever ends it", () => {
    const folder = mkdtempSync(join(tmpdir(), "pagerun-using-"));
    const file = join(folder, "scope.mts");
    const source = [
      "export function work(alloc: (size: number) => Disposable, fails: boolean, early: (block: any) => void): unknown {",
      "  using block = alloc(100);",
      "  early(block);",
      "  if (fails) throw block;",
      "  return block;",
      "}",
    ];
    writeFileSync(file, source.join("\n"));
    const options = [
      "--target",
      "es2022",
      "--module",
      "esnext",
      "--lib",
      "es2022,esnext.disposable",
      "--types",
      "",
      "--ignoreConfig",
    ];
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...options, file], { cwd: folder });
    const compiled = readFileSync(join(folder, "scope.mjs"), "utf8").replace("export function", "function");
    rmSync(folder, { recursive: true });
    expect(compiled).not.toContain("using block");
    const work = new Function(`${compiled}; return work;`)() as (
      make: typeof alloc,
      fails: boolean,
      early: (block: Block) => void,
    ) => Block;
    expectOver(work(alloc, false, (block) => expect(block.size).toBe(100)));
    expectOver(work(alloc, false, (block) => block.free()));
    let kept: Block | undefined;
    expect(() =>
      work(alloc, true, (block) => {
        kept = block;
      }),
    ).toThrow();
    expectOver(kept!);
    expectLiveBlocks(liveBefore);
  });
});

describe("resize", () => {
  test.each([
    { from: 100, to: 120 },
    { from: 100, to: 5000 },
    { from: 5000, to: 100 },
    { from: 200_000, to: 6 * megabyte },
    { from: 40 * megabyte, to: 80 * megabyte },
    { from: 80 * megabyte, to: 40 * megabyte },
    { from: 40 * megabyte, to: 100 },
  ])("keeps the content and ends the views, moved or not: $from to $to", ({ from, to }) => {
    const block = alloc(from);
    const last = Math.min(from, to) - 8;
    block.setInt32(0, 17);
    block.setFloat64(last, 0.25);
    const views = viewsOf(block);
    block.resize(to);
    expectEnded(views);
    expect(block.size).toBe(to);
    expect(block.bytes).toHaveLength(to);
    expect([block.getInt32(0), block.getFloat64(last)]).toEqual([17, 0.25]);
    expect(codeOf(() => block.getInt8(to))).toBe("ERR_OUT_OF_BOUNDS");
    block.free();
    expectLiveBlocks(liveBefore);
  });

  test("without memory leaves the Block and its views as they were", () => {
    for (const align of [undefined, 64]) {
      const block = alloc(100, { align });
      const views = viewsOf(block);
      const lengths = views.map(({ byteLength }) => byteLength);
      const { ptr } = block;
      block.setInt32(96, 5);
      expect(thrownBy(() => block.resize(2 ** 50))).toMatchObject({
        code: "ERR_OUT_OF_MEMORY",
        call: "resize",
        size: 2 ** 50,
      });
      expect(views.map(({ byteLength }) => byteLength)).toEqual(lengths);
      expect([block.ptr, block.size, block.getInt32(96)]).toEqual([ptr, 100, 5]);
      block.free();
    }
    expectLiveBlocks(liveBefore);
  });
});

describe("an ArrayBuffer of a Block that others move", () => {
  test.each(kinds.filter(({ size }) => size >= 100))("keeps the memory until it is gone: $kind", async ({ size }) => {
    const block = alloc(size);
    const { bytes, ptr } = block;
    bytes.fill(3);
    const moved = new Uint8Array(transferred(bytes.buffer));
    expect(bytes).toHaveLength(0);
    expect(block.bytes).toBe(bytes);
    block.free();
    expectOver(block);
    // The block is not free: nobody else is given its memory.
    expect(usableSize(ptr)).toBeGreaterThanOrEqual(size);
    const others = Array.from({ length: 20 }, () => alloc(size, { zero: false }));
    for (const other of others) other.setInt32(0, -1);
    expect(moved[0]).toBe(3);
    expect(moved.every((byte) => byte === 3)).toBe(true);
    for (const other of others) other.free();
    await end(moved.buffer);
    expectLiveBlocks(liveBefore);
  });

  test("may be gone before the Block is", async () => {
    const block = alloc(100);
    await end(transferred(block.bytes.buffer));
    block.setInt8(99, 4);
    block.resize(200);
    expect([block.getInt8(99), block.bytes.length]).toEqual([4, 200]);
    await end(transferred(block.bytes.buffer));
    block.free();
    expectOver(block);
    expectLiveBlocks(liveBefore);
  });

  test("leaves resize a copy to work on", async () => {
    const block = alloc(1000);
    block.bytes.fill(4);
    const { ptr } = block;
    const moved = new Uint8Array(transferred(block.bytes.buffer));
    block.resize(2000);
    expect(block.ptr).not.toBe(ptr);
    expect([block.getUint8(999), block.bytes.length]).toEqual([4, 2000]);
    block.bytes.fill(5);
    expect(moved[0]).toBe(4);
    moved.fill(6);
    expect(block.getUint8(0)).toBe(5);
    block.free();
    await end(moved.buffer);
    expectLiveBlocks(liveBefore);
  });

  test("is cloned by structuredClone and postMessage, and not taken along", () => {
    const block = alloc(100);
    const { bytes } = block;
    const transfer = [bytes.buffer as ArrayBuffer];
    bytes.fill(1);
    const clone = structuredClone(bytes);
    for (const take of [
      () => structuredClone(bytes, { transfer }),
      () => new MessageChannel().port1.postMessage(bytes, transfer),
    ]) {
      // Node.js 20 clones what it cannot take along, later ones throw a DataCloneError.
      try {
        take();
      } catch (error) {
        expect(error).toMatchObject({ name: "DataCloneError" });
      }
      expect(bytes).toHaveLength(100);
    }
    block.free();
    expect(clone).toEqual(new Uint8Array(100).fill(1));
    expectLiveBlocks(liveBefore);
  });
});

describe("system calls that fail", () => {
  test("leave alloc, bytes and resize with an error or a result, and nothing else", () => {
    for (let n = 1; n <= 6; n++) {
      for (const size of [3000, 40 * megabyte]) {
        failSystemCall(n);
        try {
          const block = alloc(size);
          block.bytes[size - 1] = 1;
          block.resize(size * 2);
          block.free();
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_OUT_OF_MEMORY" });
        }
        failSystemCall(0);
      }
    }
  });
});
