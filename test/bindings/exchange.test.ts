// Strings, Buffers and ArrayBuffers out of blocks and into them, memmove and its like, and all of that unchecked.
import { types } from "node:util";
import {
  calloc,
  compare,
  copy,
  copyIn,
  copyOut,
  exportArrayBuffer,
  exportArrayBufferView,
  exportBuffer,
  exportString,
  fill,
  free,
  getInt32,
  getRawPointer,
  getUint8,
  malloc,
  setUint8,
  toString as textAt,
  toArrayBuffer,
  toBuffer,
  unchecked,
  usableSize,
  view,
} from "pagerun";
import { describe, expect, test } from "vitest";
import { libcFree, libcMalloc } from "../../lib/internal/testing.js";
import { fields } from "../support/fields.js";
import { codeOf, fillWith, isOwnHeap, kinds, megabyte, thrownBy, verifyAfterEach } from "../support/heap.js";
import { foreignPointers, notNumeric, wrongNumbers, wrongPointers, wrongSizes } from "../support/hostile.js";

verifyAfterEach();

const outside = /^ERR_(OUT_OF_BOUNDS|FOREIGN_POINTER)$/;

function detachedBuffer(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

/** A Buffer whose own properties say something else than its memory. */
function lyingBuffer(): Buffer {
  const lies = Object.fromEntries(
    ["buffer", "byteOffset", "byteLength", "length"].map((name) => [name, { value: 1e6 }]),
  );
  return Object.defineProperties(Buffer.alloc(4, 9), lies);
}

describe("toString", () => {
  test("reads up to the first zero byte, and gives null for null", () => {
    const ptr = calloc(64);
    for (const text of ["", "a", "Grüße, \u{1f600}", "\ufeffmark", "x".repeat(63)]) {
      fill(ptr, 0x41, 64);
      copyIn(ptr, Buffer.from(`${text}\0`));
      expect(textAt(ptr)).toBe(text);
    }
    expect(textAt(0n)).toBeNull();
    free(ptr);
  });

  test.each(kinds)("never reads behind the block: $kind", ({ size }) => {
    const ptr = malloc(size);
    const end = usableSize(ptr);
    view(ptr, end).fill(0x61);
    expect(thrownBy(() => textAt(ptr))).toMatchObject({ code: "ERR_OUT_OF_BOUNDS", available: end });
    setUint8(ptr, end - 1, 0);
    expect(textAt(ptr)).toHaveLength(end - 1);
    expect(textAt(ptr + BigInt(end - 1))).toBe("");
    free(ptr);
  });

  test("turns what is no UTF-8 into U+FFFD", () => {
    const ptr = calloc(16);
    copyIn(ptr, Uint8Array.of(0x61, 0xff, 0xc3, 0x62));
    expect(textAt(ptr)).toBe("a\ufffd\ufffdb");
    free(ptr);
  });
});

describe("toBuffer and toArrayBuffer", () => {
  test.each(kinds)("copy, or show the memory itself: $kind", ({ size }) => {
    const ptr = malloc(size);
    fillWith(ptr, size, 4);
    const copies = [toBuffer(ptr, size), Buffer.from(toArrayBuffer(ptr, size)), toBuffer(ptr, BigInt(size), true)];
    const shown = [toBuffer(ptr, size, false), Buffer.from(toArrayBuffer(ptr, size, false))];
    for (const bytes of [...copies, ...shown]) {
      expect(Buffer.isBuffer(bytes)).toBe(true);
      expect(bytes.equals(view(ptr, size))).toBe(true);
    }
    const last = getUint8(ptr, size - 1);
    setUint8(ptr, size - 1, last ^ 1);
    for (const bytes of copies) expect(bytes.at(-1)).toBe(last);
    for (const bytes of shown) expect(bytes.at(-1)).toBe(last ^ 1);
    for (const bytes of shown) expect(getRawPointer(bytes)).toBe(ptr);
    free(ptr);
    for (const bytes of copies) expect(bytes.at(-1)).toBe(last);
    for (const bytes of shown) expect(bytes.at(-1)).toBeGreaterThanOrEqual(0);
  });

  test("an ArrayBuffer has exactly the bytes asked for", () => {
    const ptr = calloc(100);
    for (const isCopy of [true, false]) {
      expect(toArrayBuffer(ptr + 3n, 37, isCopy).byteLength).toBe(37);
      expect(toArrayBuffer(ptr, 0, isCopy).byteLength).toBe(0);
    }
    free(ptr);
  });

  test("without a copy, buffers that are given away, dropped or outlived do no harm", () => {
    for (const size of [100, 6 * megabyte, 64 * megabyte]) {
      const ptr = calloc(size);
      const buffers = Array.from({ length: 3 }, () => toArrayBuffer(ptr, size, false));
      for (const buffer of buffers) {
        try {
          structuredClone(buffer, { transfer: [buffer] });
        } catch (error) {
          expect(error).toMatchObject({ name: "DataCloneError" });
        }
      }
      setUint8(ptr, size - 1, 3);
      expect(new Uint8Array(toArrayBuffer(ptr, size, false)).at(-1)).toBe(3);
      free(ptr);
    }
  });

  test.each([toBuffer, toArrayBuffer])("%o refuses what is outside a live block", (call) => {
    const ptr = malloc(100);
    const end = usableSize(ptr);
    for (const isCopy of [true, false]) {
      expect(codeOf(() => call(ptr, end + 1, isCopy))).toBe("ERR_OUT_OF_BOUNDS");
      for (const wrong of [...foreignPointers, ...wrongPointers, 0n]) {
        expect(codeOf(() => call(wrong, 1, isCopy))).toBe("ERR_FOREIGN_POINTER");
      }
      for (const length of [...wrongNumbers, ...wrongSizes, ...notNumeric.map(({ value }) => value)]) {
        expect(codeOf(() => call(ptr, length as number, isCopy))).toBe("ERR_INVALID_ARGUMENT");
      }
    }
    free(ptr);
    if (isOwnHeap) expect(codeOf(() => call(ptr, 1, false))).toMatch(outside);
  });
});

describe("exports", () => {
  test("write all of the source and nothing behind it", () => {
    const ptr = malloc(64);
    const source = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
    const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(5);
    const cases: { bytes: Uint8Array; run: () => void }[] = [
      { bytes: source, run: () => exportArrayBuffer(source.buffer, ptr, 64) },
      { bytes: source.subarray(3, 9), run: () => exportArrayBufferView(source.subarray(3, 9), ptr, 6) },
      { bytes: source.subarray(8, 24), run: () => exportArrayBufferView(new DataView(source.buffer, 8, 16), ptr, 16n) },
      {
        bytes: source.subarray(8, 24),
        run: () => exportArrayBufferView(new Float64Array(source.buffer, 8, 2), ptr, 64),
      },
      { bytes: shared, run: () => exportArrayBufferView(shared, ptr, 64) },
      { bytes: Buffer.from("text"), run: () => exportBuffer(Buffer.from("text"), ptr, 64) },
      { bytes: Buffer.from("\x09\x09\x09\x09"), run: () => exportBuffer(lyingBuffer(), ptr, 4) },
      { bytes: Buffer.from("Grüße\0"), run: () => exportString("Grüße", ptr, 8) },
      { bytes: Buffer.from("Gr\0\0", "utf16le").subarray(0, 6), run: () => exportString("Gr", ptr, 6, "utf16le") },
      { bytes: Buffer.from([0xde, 0xad, 0]), run: () => exportString("dead", ptr, 3, "hex") },
    ];
    for (const { bytes, run } of cases) {
      fill(ptr, 0xee, 64);
      run();
      expect([...copyOut(ptr, 64)]).toEqual([...bytes, ...Array(64 - bytes.length).fill(0xee)]);
    }
    free(ptr);
  });

  test("refuse a length that is too small or not all in the block, and write nothing", () => {
    const ptr = calloc(16);
    const end = usableSize(ptr);
    const calls = [
      (length: number) => exportString("abc", ptr, length),
      (length: number) => exportBuffer(Buffer.alloc(4, 1), ptr, length),
      (length: number) => exportArrayBuffer(new ArrayBuffer(4), ptr, length),
      (length: number) => exportArrayBufferView(Float32Array.of(1), ptr, length),
    ];
    for (const call of calls) {
      expect(codeOf(() => call(3))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => call(end + 1))).toBe("ERR_OUT_OF_BOUNDS");
      for (const length of [...wrongNumbers, ...notNumeric.map(({ value }) => value)]) {
        expect(codeOf(() => call(length as number))).toBe("ERR_INVALID_ARGUMENT");
      }
    }
    expect([...copyOut(ptr, 16)]).toEqual(Array(16).fill(0));
    free(ptr);
  });

  test("refuse sources of another kind, and detached ones", () => {
    const ptr = calloc(64);
    const detached = detachedBuffer();
    const none: unknown[] = [...notNumeric.map(({ value }) => value).filter(isNoMemory), 5, 5n];
    const fakes = [
      Object.create(Buffer.prototype),
      Object.create(Uint8Array.prototype),
      new Proxy(Buffer.alloc(4), {}),
    ];
    for (const source of [...none, ...fakes, detached]) {
      expect(codeOf(() => exportArrayBufferView(source as Uint8Array, ptr, 64))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => exportBuffer(source as Buffer, ptr, 64))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => exportArrayBuffer(source as ArrayBuffer, ptr, 64))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => getRawPointer(source as ArrayBuffer))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => exportString(source as string, ptr, 64, "none" as "hex"))).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(codeOf(() => exportBuffer(new Uint8Array(4) as Buffer, ptr, 64))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => exportArrayBuffer(new SharedArrayBuffer(4) as never, ptr, 64))).toBe("ERR_INVALID_ARGUMENT");
    expect([...copyOut(ptr, 64)]).toEqual(Array(64).fill(0));
    free(ptr);
  });

  test("copy from a view of the same block as if it were other memory", () => {
    const ptr = malloc(64);
    fillWith(ptr, 64, 2);
    const before = copyOut(ptr, 40);
    exportArrayBufferView(view(ptr, 40), ptr + 8n, 40);
    expect(copyOut(ptr + 8n, 40)).toEqual(before);
    free(ptr);
  });
});

/** Strings are sources of exportString, and typed arrays and ArrayBuffers of the others. */
function isNoMemory(value: unknown): boolean {
  return typeof value !== "string" && !ArrayBuffer.isView(value) && !types.isArrayBuffer(value);
}

describe("getRawPointer", () => {
  test.each(kinds)("gives back the address that a view was made with: $kind", ({ size }) => {
    const ptr = malloc(size);
    expect(getRawPointer(view(ptr, size))).toBe(ptr);
    expect(getRawPointer(view(ptr + 1n, 1))).toBe(ptr + 1n);
    const { buffer, byteOffset } = view(ptr, size);
    expect(getRawPointer(new DataView(buffer, byteOffset + 2, 2))).toBe(ptr + 2n);
    expect(getRawPointer(buffer)).toBe(ptr - BigInt(byteOffset));
    free(ptr);
  });

  test("gives the address of JavaScript's own memory, small arrays included", () => {
    for (const source of [
      Uint8Array.of(1, 2, 3),
      new Float64Array(1000).fill(1),
      new Uint8Array(new SharedArrayBuffer(9)),
    ]) {
      const ptr = getRawPointer(source);
      expect([...unchecked.toBuffer(ptr, source.byteLength)]).toEqual([...Buffer.from(source.buffer)]);
      expect(getRawPointer(source.buffer)).toBe(ptr);
    }
  });
});

describe("copy, fill and compare", () => {
  test("do what Buffers do, overlapping or not", () => {
    const ptr = malloc(256);
    for (let round = 0; round < 200; round++) {
      fillWith(ptr, 256, round);
      const model = Buffer.from(copyOut(ptr, 256));
      const [to, from, length] = [(round * 37) % 128, (round * 53) % 128, (round * 11) % 128];
      copy(ptr + BigInt(to), ptr + BigInt(from), length);
      model.copy(model, to, from, from + length);
      fill(ptr + BigInt(from), (round % 384) - 128, length);
      model.fill((round % 384) - 128, from, from + length);
      expect(model.equals(copyOut(ptr, 256))).toBe(true);
      const expected = model.compare(model, from, from + length, to, to + length);
      expect(compare(ptr + BigInt(to), ptr + BigInt(from), length)).toBe(expected);
    }
    free(ptr);
  });

  test("reach over blocks of every kind", () => {
    for (const { size } of kinds) {
      const [one, other] = [calloc(size), malloc(size)];
      fill(one, 255, size);
      copy(other, one, size);
      expect(compare(one, other, BigInt(size))).toBe(0);
      setUint8(other, size - 1, 0);
      expect(compare(one, other, size)).toBe(1);
      expect(compare(other, one, size)).toBe(-1);
      free(one);
      free(other);
    }
  });

  test("refuse either pointer, any wrong length or byte, and change nothing", () => {
    const ptr = calloc(64);
    const end = usableSize(ptr);
    const pairs = [copy, compare];
    for (const call of pairs) {
      expect(codeOf(() => call(ptr, ptr + 1n, end))).toBe("ERR_OUT_OF_BOUNDS");
      expect(codeOf(() => call(ptr + 1n, ptr, end))).toBe("ERR_OUT_OF_BOUNDS");
      for (const wrong of [...foreignPointers, ...wrongPointers, 0n]) {
        expect(codeOf(() => call(ptr, wrong, 1))).toBe("ERR_FOREIGN_POINTER");
        expect(codeOf(() => call(wrong, ptr, 1))).toBe("ERR_FOREIGN_POINTER");
      }
    }
    for (const wrong of [...wrongNumbers, ...wrongSizes, ...notNumeric.map(({ value }) => value)]) {
      for (const call of pairs) expect(codeOf(() => call(ptr, ptr, wrong as number))).toBe("ERR_INVALID_ARGUMENT");
      expect(codeOf(() => fill(ptr, 1, wrong as number))).toBe("ERR_INVALID_ARGUMENT");
      if (wrong !== -1) expect(codeOf(() => fill(ptr, wrong as number, 1))).toBe("ERR_INVALID_ARGUMENT");
    }
    for (const byte of [-129, 256]) expect(codeOf(() => fill(ptr, byte, 1))).toBe("ERR_INVALID_ARGUMENT");
    expect(codeOf(() => fill(ptr, 1, end + 1))).toBe("ERR_OUT_OF_BOUNDS");
    expect([...copyOut(ptr, 64)]).toEqual(Array(64).fill(0));
    free(ptr);
  });
});

describe("unchecked", () => {
  /** Memory of libc, which pagerun knows nothing of. (Where pagerun is libc's malloc, it is a block like any other.) */
  function withForeign(use: (ptr: bigint) => void): void {
    const ptr = libcMalloc(256);
    try {
      if (isOwnHeap) expect(codeOf(() => getInt32(ptr))).toBe("ERR_FOREIGN_POINTER");
      use(ptr);
    } finally {
      libcFree(ptr);
    }
  }

  test("getters and setters reach memory of others, with the same values and refusals", () => {
    withForeign((ptr) => {
      const memory = new DataView(unchecked.toArrayBuffer(ptr, 256, false));
      for (const { name, size, read, fitting, unfit } of fields) {
        const get = unchecked[`get${name}` as "getInt8"];
        const set = unchecked[`set${name}` as "setInt8"];
        for (const value of fitting) {
          unchecked.fill(ptr, 0xaa, 64);
          set(ptr, 9, value as number);
          expect(get(ptr, 9)).toBe(read(memory, 9));
          expect(get(ptr + 9n)).toBe(read(memory, 9));
          expect([memory.getUint8(8), memory.getUint8(9 + size)]).toEqual([0xaa, 0xaa]);
        }
        for (const value of unfit) expect(codeOf(() => set(ptr, 9, value as number))).toBe("ERR_INVALID_ARGUMENT");
        for (const offset of [-1, 0.5, "1", null]) {
          expect(codeOf(() => get(ptr, offset as number))).toBe("ERR_INVALID_ARGUMENT");
        }
      }
    });
  });

  test("strings, buffers and moves reach it too", () => {
    withForeign((ptr) => {
      unchecked.exportString("Grüße", ptr, 32);
      expect(unchecked.toString(ptr)).toBe("Grüße");
      unchecked.exportBuffer(Buffer.from("abcdef"), ptr, 6);
      unchecked.exportArrayBufferView(Uint16Array.of(0x4241), ptr + 2n, 2);
      unchecked.exportArrayBuffer(new ArrayBuffer(1), ptr + 5n, 1);
      expect(unchecked.toString(ptr)).toBe("abABe");
      unchecked.copy(ptr + 1n, ptr, 5);
      expect(unchecked.toBuffer(ptr, 6).toString("latin1")).toBe("aabABe");
      expect(unchecked.compare(ptr, ptr + 1n, 1)).toBe(0);
      expect(unchecked.compare(ptr, ptr + 3n, 1)).toBe(1);
      unchecked.fill(ptr, -1, 2);
      expect([...unchecked.toBuffer(ptr, 3, false)]).toEqual([255, 255, 98]);
      expect(unchecked.getRawPointer(unchecked.toBuffer(ptr, 3, false))).toBe(ptr);
    });
  });

  test("refuse what is no address", () => {
    const calls: ((ptr: never) => unknown)[] = [
      (ptr) => unchecked.getInt8(ptr),
      (ptr) => unchecked.setFloat64(ptr, 0, 1),
      (ptr) => unchecked.toBuffer(ptr, 1),
      (ptr) => unchecked.toArrayBuffer(ptr, 1, false),
      (ptr) => unchecked.exportString("", ptr, 1),
      (ptr) => unchecked.exportBuffer(Buffer.alloc(1), ptr, 1),
      (ptr) => unchecked.copy(ptr, 8n as never, 1),
      (ptr) => unchecked.copy(8n, ptr, 1),
      (ptr) => unchecked.fill(ptr, 0, 1),
      (ptr) => unchecked.compare(8n, ptr, 1),
    ];
    for (const call of calls) {
      for (const wrong of [...wrongPointers, 0n])
        expect(codeOf(() => call(wrong as never))).toBe("ERR_FOREIGN_POINTER");
      for (const { value } of notNumeric) expect(codeOf(() => call(value as never))).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(codeOf(() => unchecked.getInt32(2n ** 64n - 2n))).toBe("ERR_FOREIGN_POINTER");
    expect(codeOf(() => unchecked.getInt8(8n, Number.MAX_SAFE_INTEGER + 1))).toBe("ERR_INVALID_ARGUMENT");
    expect(unchecked.toString(0n)).toBeNull();
    expect(Object.isFrozen(unchecked)).toBe(true);
  });
});
