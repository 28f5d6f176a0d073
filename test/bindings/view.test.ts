// Views: the memory itself, over ArrayBuffers that are shared and kept, and what happens to them when blocks end.
import { constants } from "node:buffer";
import { receiveMessageOnPort } from "node:worker_threads";
import { deflate } from "node:zlib";
import { calloc, copyIn, copyOut, free, malloc, realloc, usableSize, view } from "pagerun";
import { describe, expect, test } from "vitest";
import {
  codeOf,
  fillWith,
  holds,
  isFastProfile,
  isOwnHeap,
  kinds,
  megabyte,
  verifyAfterEach,
} from "../support/heap.js";

verifyAfterEach();

const stretchBytes = 4 * megabyte;

/** The number of the stretch of memory that an address is in. */
function stretchOf(ptr: bigint): bigint {
  return ptr / BigInt(stretchBytes);
}

describe("a view", () => {
  test.each(kinds)("is the memory itself, for all views of it: $kind", ({ size }) => {
    const ptr = malloc(size);
    const one = view(ptr, size);
    const other = view(ptr, size);
    one[size - 1] = 77;
    expect(other[size - 1]).toBe(77);
    other[0] = 78;
    expect(one[0]).toBe(78);
    expect(copyOut(ptr, 1)).toEqual(Uint8Array.of(78));
    free(ptr);
  });

  test("is a Uint8Array of exactly its length", () => {
    const ptr = malloc(100);
    const bytes = view(ptr, 37);
    expect(Object.prototype.toString.call(bytes)).toBe("[object Uint8Array]");
    expect(bytes).toHaveLength(37);
    expect(bytes.byteLength).toBe(37);
    expect(view(ptr, 37n)).toHaveLength(37);
    expect(view(ptr, 0)).toHaveLength(0);
    free(ptr);
  });

  test("may start inside its block", () => {
    const ptr = malloc(64);
    fillWith(ptr, 64, 5);
    for (let offset = 0; offset < 64; offset++) {
      expect([...view(ptr + BigInt(offset), 64 - offset)]).toEqual([...view(ptr, 64).subarray(offset)]);
    }
    free(ptr);
  });

  test("of one block shows nothing of another's writes", () => {
    const blocks = Array.from({ length: 500 }, (_, i) => ({ ptr: malloc(i + 1), size: i + 1 }));
    const views = blocks.map(({ ptr, size }) => view(ptr, size));
    views.forEach((bytes, i) => {
      bytes.fill(i & 0xff);
    });
    expect(views.every((bytes, i) => bytes.every((byte) => byte === (i & 0xff)))).toBe(true);
    for (const { ptr } of blocks) free(ptr);
  });

  test("works with other typed arrays, DataView and Buffer over the same memory", () => {
    const ptr = malloc(64);
    const bytes = view(ptr, 64);
    const floats = new Float64Array(bytes.buffer, bytes.byteOffset, 8);
    floats[1] = Math.PI;
    expect(new DataView(bytes.buffer, bytes.byteOffset, 64).getFloat64(8, true)).toBe(Math.PI);
    Buffer.from(bytes.buffer, bytes.byteOffset, 64).write("pagerun", 32, "latin1");
    expect(new TextDecoder().decode(bytes.subarray(32, 39))).toBe("pagerun");
    free(ptr);
  });

  test("of a large or huge block can be written to the last byte", () => {
    for (const size of [stretchBytes, 7 * megabyte, 32 * megabyte, 33 * megabyte, 100 * megabyte]) {
      const ptr = malloc(size);
      const bytes = view(ptr, usableSize(ptr));
      bytes.fill(0xee);
      expect(bytes.at(-1)).toBe(0xee);
      free(ptr);
    }
  });
});

describe("a block longer than 4 GiB", () => {
  const gigabyte = 1024 * megabyte;
  const size = 6 * gigabyte;

  test("is viewed in parts, anywhere, as long as the runtime's ArrayBuffers are", () => {
    const ptr = malloc(size);
    for (const offset of [0, 1, 2 * gigabyte - 1, 4 * gigabyte, 5 * gigabyte - 10, size - 100]) {
      const bytes = view(ptr + BigInt(offset), 100);
      bytes[99] = 42;
      expect(copyOut(ptr + BigInt(offset) + 99n, 1)[0]).toBe(42);
      expect(view(ptr + BigInt(offset), 100).buffer).toBe(bytes.buffer);
    }
    const longest = Math.min(constants.MAX_LENGTH, size);
    expect(view(ptr + BigInt(size - longest), longest)).toHaveLength(longest);
    expect(codeOf(() => view(ptr, size + 5000))).toBe("ERR_OUT_OF_BOUNDS");
    if (constants.MAX_LENGTH < size) expect(codeOf(() => view(ptr, size))).toBe("ERR_INVALID_ARGUMENT");
    else expect(view(ptr, size)).toHaveLength(size);
    free(ptr);
  });
});

describe("the ArrayBuffers under views", () => {
  test.runIf(isFastProfile)("are one for all blocks of a stretch, and are not made again", () => {
    const blocks = Array.from({ length: 2000 }, () => malloc(1000));
    const buffers = new Map<bigint, ArrayBufferLike>();
    for (const ptr of blocks) {
      const { buffer, byteOffset } = view(ptr, 1000);
      expect(buffer.byteLength).toBe(stretchBytes);
      expect(BigInt(byteOffset)).toBe(ptr % BigInt(stretchBytes));
      const known = buffers.get(stretchOf(ptr));
      if (known !== undefined) expect(buffer).toBe(known);
      buffers.set(stretchOf(ptr), buffer);
    }
    // Where Node.js shares the heap, its own blocks spread these over more stretches.
    expect(buffers.size).toBeLessThan(isOwnHeap ? 4 : 20);
    for (const ptr of blocks) free(ptr);
    const again = malloc(1000);
    expect(view(again, 1).buffer).toBe(buffers.get(stretchOf(again)));
    free(again);
  });

  test.each([
    { kind: "across stretches", size: 6 * megabyte },
    { kind: "huge", size: 64 * megabyte },
  ])("are one for a block that is $kind, over that block alone", ({ size }) => {
    const ptr = malloc(size);
    const bytes = view(ptr, size);
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(usableSize(ptr));
    // A shorter view may be one of a stretch that others have had views of.
    expect(view(ptr + 5n, size - 5).buffer === bytes.buffer).toBe(true);
    expect(view(ptr + 5n, size - 5).byteOffset).toBe(5);
    view(ptr + 5n, 10).fill(7);
    expect([...bytes.subarray(5, 15)]).toEqual(Array(10).fill(7));
    free(ptr);
  });

  test("are never stale when an address is used again for a block of another kind or size", () => {
    const sizes = [5 * megabyte, 1000, 9 * megabyte, 4 * megabyte, 100, 40 * megabyte, 6 * megabyte, 64 * megabyte];
    for (let round = 0; round < 40; round++) {
      const size = sizes[(round * 5) % sizes.length]!;
      const ptr = malloc(size);
      expect(codeOf(() => view(ptr, usableSize(ptr) + 1))).toBe("ERR_OUT_OF_BOUNDS");
      view(ptr, size).fill(round);
      expect(copyOut(ptr + BigInt(size - 1), 1)[0]).toBe(round);
      free(ptr);
    }
  });
});

describe("a view whose block has ended", () => {
  test.each(kinds)("can be read and written without a crash: $kind", ({ size }) => {
    const ptr = malloc(size);
    const bytes = view(ptr, size);
    free(ptr);
    expect(bytes).toHaveLength(size);
    if (isOwnHeap) bytes.fill(1);
    expect(bytes.slice()).toHaveLength(size);
  });

  test("of a huge block never shows another block's bytes", () => {
    const ptr = malloc(64 * megabyte);
    const stale = view(ptr, 64 * megabyte);
    free(ptr);
    const others = Array.from({ length: 5 }, () => malloc(64 * megabyte));
    for (const other of others) view(other, 64 * megabyte).fill(0xab);
    expect(stale.includes(0xab)).toBe(false);
    for (const other of others) free(other);
  });

  test.each([
    { from: 6 * megabyte, to: 100 },
    { from: 6 * megabyte, to: 80 * megabyte },
    { from: 64 * megabyte, to: 100 },
    { from: 64 * megabyte, to: 40 * megabyte },
    { from: 64 * megabyte, to: 200 * megabyte },
  ])("by a realloc from $from to $to bytes is no danger to the block", ({ from, to }) => {
    const ptr = malloc(from);
    const bytes = view(ptr, from);
    fillWith(ptr, 100, 8);
    const resized = realloc(ptr, to);
    if (resized !== ptr && isOwnHeap) bytes.fill(0xff);
    expect(holds(resized, 100, 8)).toBe(true);
    view(resized, to).fill(1);
    expect(bytes.at(-1)).toBeGreaterThanOrEqual(0);
    free(resized);
  });

  test("is no danger to asynchronous calls that still use it", async () => {
    const deflated = Array.from({ length: 4 }, () => {
      const ptr = malloc(40 * megabyte);
      const bytes = view(ptr, 40 * megabyte);
      const result = new Promise<Buffer>((done, fail) =>
        deflate(bytes, { level: 1 }, (error, output) => (error === null ? done(output) : fail(error))),
      );
      free(ptr);
      return result;
    });
    for (const output of await Promise.all(deflated)) expect(output.length).toBeGreaterThan(0);
  });
});

describe("a program that plays with the ArrayBuffer", () => {
  test.each(kinds)("gets a copy from structuredClone, and the block stays as it is: $kind", ({ size }) => {
    const ptr = calloc(size);
    const clone = structuredClone(view(ptr, size));
    expect(clone).toHaveLength(size);
    clone.fill(9);
    expect(copyOut(ptr, 1)[0]).toBe(0);
    free(ptr);
  });

  test.each(kinds)("cannot break later views by transferring it away: $kind", ({ size }) => {
    const ptr = malloc(size);
    const { buffer } = view(ptr, size);
    const taken = takeAway(buffer as ArrayBuffer);
    const bytes = view(ptr, size);
    bytes.fill(4);
    expect(copyOut(ptr, 1)[0]).toBe(4);
    if (taken !== undefined) new Uint8Array(taken)[0] = 5;
    free(ptr);
    if (taken !== undefined) expect(new Uint8Array(taken).at(-1)).toBeGreaterThanOrEqual(0);
    const next = malloc(size);
    view(next, size).fill(6);
    free(next);
  });

  test("sends a copy to other threads, never the memory, even where it asks for a transfer", () => {
    const { port1, port2 } = new MessageChannel();
    for (const size of [100, 64 * megabyte]) {
      const ptr = calloc(size);
      const bytes = view(ptr, size);
      try {
        port1.postMessage(bytes, [bytes.buffer as ArrayBuffer]);
        const { message } = receiveMessageOnPort(port2) as { message: Uint8Array };
        message.fill(9);
      } catch (error) {
        expect(error).toMatchObject({ name: "DataCloneError" });
      }
      expect(bytes).toHaveLength(size);
      expect(bytes[0]).toBe(0);
      free(ptr);
    }
    port1.close();
    port2.close();
  });
});

/** Takes the memory out of an ArrayBuffer in whatever way this runtime has; undefined where it has none. */
function takeAway(buffer: ArrayBuffer): ArrayBuffer | undefined {
  const { transfer } = ArrayBuffer.prototype as { transfer?: () => ArrayBuffer };
  if (transfer !== undefined) return transfer.call(buffer);
  try {
    return structuredClone(buffer, { transfer: [buffer] });
  } catch {
    return undefined;
  }
}

describe("copyIn and copyOut", () => {
  test.each(kinds)("bring bytes in and out: $kind", ({ size }) => {
    const ptr = malloc(size);
    const bytes = new Uint8Array(size).map((_, i) => i * 7);
    copyIn(ptr, bytes);
    expect(Buffer.compare(copyOut(ptr, size), bytes)).toBe(0);
    expect([...copyOut(ptr + BigInt(size - 2), 2)]).toEqual([...bytes.subarray(size - 2)]);
    free(ptr);
  });

  test("take every kind of bytes, at their offset and length", () => {
    const ptr = malloc(64);
    const source = Uint8Array.from({ length: 64 }, (_, i) => i);
    const shared = new SharedArrayBuffer(64);
    new Uint8Array(shared).set(source);
    const sources = [
      source,
      source.buffer,
      shared,
      new Uint8Array(shared),
      new Uint8Array(source.buffer, 8, 16),
      new Uint8ClampedArray(source.buffer, 8, 16),
      new Float64Array(source.buffer, 8, 3),
      new BigInt64Array(source.buffer, 16),
      new DataView(source.buffer, 5, 11),
      Buffer.from("some text"),
      new Uint8Array(0),
    ];
    for (const bytes of sources) {
      view(ptr, 64).fill(0xff);
      copyIn(ptr, bytes);
      const expected = ArrayBuffer.isView(bytes)
        ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        : new Uint8Array(bytes);
      expect([...copyOut(ptr, 64)]).toEqual([...expected, ...Array(64 - expected.length).fill(0xff)]);
    }
    free(ptr);
  });

  test("copy between overlapping parts of one block", () => {
    const ptr = malloc(64);
    copyIn(
      ptr,
      Uint8Array.from({ length: 64 }, (_, i) => i),
    );
    copyIn(ptr + 8n, view(ptr, 48));
    expect([...copyOut(ptr + 8n, 48)]).toEqual(Array.from({ length: 48 }, (_, i) => i));
    free(ptr);
  });

  test("a copy is memory of its own", () => {
    const ptr = calloc(16);
    const copy = copyOut(ptr, 16);
    view(ptr, 16).fill(1);
    expect(copy.every((byte) => byte === 0)).toBe(true);
    expect(copy.buffer.byteLength).toBe(16);
    free(ptr);
  });

  test("take nothing from a detached or emptied source", () => {
    const ptr = malloc(16);
    const bytes = new Uint8Array(16);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    copyIn(ptr, bytes);
    free(ptr);
  });
});
